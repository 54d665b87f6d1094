#!/usr/bin/env bash
# The whole suite, in two halves side by side, each with a stack of its own: much of it waits. Every process it starts
# is a child of pytest and ends with it.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/check.sh
.venv/bin/pytest -q -n 2 --dist loadgroup "$@"
