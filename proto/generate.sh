#!/bin/sh
# Generates the committed Python code from the .proto files, with the generator pinned in proto/requirements.txt:
# code of grpcio-tools 1.62.3 loads on every protobuf from 4.25 on, code of later generators does not.
# Usage: proto/generate.sh [OUT_DIR]     (OUT_DIR: where to write; default: beside the .proto files)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
env=${PERDURE_PROTO_ENV:-$here/../.venv-proto}
if [ ! -x "$env/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$env"
    "$env/bin/python" -m pip install -q -r "$here/requirements.txt"
fi
PATH="$env/bin:$PATH" "$env/bin/python" -m grpc_tools.protoc -I "$here" \
    --python_out="$out" --grpc_python_out="$out" --mypy_out="quiet:$out" --mypy_grpc_out="quiet:$out" \
    "$here"/perdure_proto/v1/*.proto
