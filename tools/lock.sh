#!/usr/bin/env bash
# Write the requirement files with hashes from the direct requirements; arguments go to uv.
#
# The tests run on the versions that `make run` installs, so run.txt constrains test.txt.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

lock() { # lock NAME [ARGUMENT...]
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header "${@:2}" \
        --output-file "requirements/$1.txt" "requirements/$1.in"
}

lock run "$@"
lock test --constraints requirements/run.txt "$@"
lock clients "$@"
lock keystone "$@"
lock barbican "$@"
lock conformance "$@"
