#!/usr/bin/env bash
# Write the requirement files with hashes from the direct requirements; arguments go to uv.
#
# The tests run on the versions that `make run` and the extras install, so those constrain test.txt.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

lock() { # lock NAME [ARGUMENT...]
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header "${@:2}" \
        --output-file "requirements/$1.txt" "requirements/$1.in"
}

lock run "$@"
lock rabbitmq --constraints requirements/run.txt "$@"
lock build "$@"
lock test --constraints requirements/run.txt --constraints requirements/rabbitmq.txt "$@"
lock audit "$@"
lock clients "$@"
lock keystone "$@"
lock barbican "$@"
lock neutron "$@"
lock glance "$@"
lock swift "$@"
lock simplestreams "$@"
lock conformance "$@"
