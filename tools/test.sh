#!/usr/bin/env bash
# The whole suite. Every process it starts is a child of pytest and ends with it.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/check.sh
.venv/bin/pytest -q "$@"
