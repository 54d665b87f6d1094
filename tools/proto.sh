#!/usr/bin/env bash
# Generates proto/gen from proto/trunkline: messages for every file, gRPC stubs for services only.
set -euo pipefail
cd "$(dirname "$0")/../proto"
bin=../.venv/bin
rm -rf gen/trunkline/*/
protoc() { "$bin/python" -m grpc_tools.protoc -I . "--plugin=protoc-gen-mypy=$bin/protoc-gen-mypy" "--plugin=protoc-gen-mypy_grpc=$bin/protoc-gen-mypy_grpc" "$@"; }
# shellcheck disable=SC2046
protoc --python_out=gen --mypy_out=gen $(find trunkline -name '*.proto' | sort)
# shellcheck disable=SC2046
protoc --grpc_python_out=gen --mypy_grpc_out=gen $(find trunkline -name '*_service.proto' | sort)
touch gen/trunkline/py.typed
cp topics.yaml gen/trunkline/topics.yaml
