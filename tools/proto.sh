#!/usr/bin/env bash
# Generates proto/gen from proto/trunkline: messages for every file, gRPC stubs for services only.
# The old code stays until the new is whole: a mistake in a .proto file breaks nothing that runs.
set -euo pipefail
cd "$(dirname "$0")/../proto"
bin=../.venv/bin
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
protoc() { "$bin/python" -m grpc_tools.protoc -I . "--plugin=protoc-gen-mypy=$bin/protoc-gen-mypy" "--plugin=protoc-gen-mypy_grpc=$bin/protoc-gen-mypy_grpc" "$@"; }
# shellcheck disable=SC2046
protoc "--python_out=$new" "--mypy_out=$new" $(find trunkline -name '*.proto' | sort)
# shellcheck disable=SC2046
protoc "--grpc_python_out=$new" "--mypy_grpc_out=$new" $(find trunkline -name '*_service.proto' | sort)
rm -rf gen/trunkline/*/
cp -R "$new"/trunkline/. gen/trunkline/
touch gen/trunkline/py.typed
cp topics.yaml gen/trunkline/topics.yaml
