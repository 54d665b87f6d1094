#!/usr/bin/env bash
# Creates .venv and installs the packages given, editable, with the tools; uv where present, else venv and pip.
set -euo pipefail
cd "$(dirname "$0")/.."
groups="$(python3 - <<'P'
import tomllib
groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]
print(" ".join(groups["local"] + groups["dev"]))
P
)"
editable=()
for package in "$@"; do editable+=(-e "./$package"); done
echo "setup: installing into .venv (once; about a minute)"
# shellcheck disable=SC2086
if command -v uv >/dev/null; then
  [ -d .venv ] || uv venv -q .venv
  uv pip install -q --python .venv/bin/python -c constraints.txt uv-build "${editable[@]}" $groups
else
  [ -x .venv/bin/python ] || python3 -m venv .venv
  .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt uv-build
  .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt "${editable[@]}" $groups
fi
touch .venv/.installed
