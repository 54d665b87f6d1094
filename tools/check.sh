#!/usr/bin/env bash
# What a reader would look for first: style, types, contract, freshness of generated code, architecture.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
echo "check: ruff"; $bin/ruff check -q .; $bin/ruff format -q --check .
echo "check: mypy"; $bin/mypy --no-error-summary libs/common/src services/*/src deploy/local tests
echo "check: buf lint"; $bin/buf lint proto
echo "check: generated code is fresh"
before="$(find proto/gen -type f -name '*_pb2*' -exec sha256sum {} + | sort)"
tools/proto.sh
after="$(find proto/gen -type f -name '*_pb2*' -exec sha256sum {} + | sort)"
[ "$before" = "$after" ] || { echo "proto/gen was stale: commit what make proto wrote" >&2; exit 1; }
echo "check: architecture"; $bin/pytest -q --no-header tests/test_architecture.py
