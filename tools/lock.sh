#!/usr/bin/env bash
# Resolves every version into constraints.txt; existing pins are kept where they still fit.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m pip install -q --disable-pip-version-check uv
in=build/lock.in
mkdir -p build
.venv/bin/python - "$@" > "$in" <<'P'
import sys, tomllib
wanted = ["uv-build>=0.13,<0.14"]
for package in sys.argv[1:]:
    wanted += tomllib.load(open(f"{package}/pyproject.toml", "rb"))["project"]["dependencies"]
for group in tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"].values():
    wanted += group
print("\n".join(w for w in wanted if not w.startswith("trunkline-")))
P
.venv/bin/python -m uv pip compile -q --universal --no-header --no-annotate --python-version 3.11 "$in" -o constraints.txt
