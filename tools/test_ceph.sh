#!/usr/bin/env bash
# Pass the tests that need Ceph; arguments go to pytest. With "bench" first, measure the store rbd instead.
#
# The modules for Ceph are the distribution's and load into a Python of its version only. Where .venv has another one,
# the tests get an environment with the distribution's Python, .venv-ceph.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

environment=.venv
if ! "$environment/bin/python" -c 'from headwater.stores.rbd.bindings import ceph_bindings; ceph_bindings()' 2>/dev/null &&
    [[ -x /usr/bin/python3 ]]; then
    environment=.venv-ceph
    export PYTHON=/usr/bin/python3
    tools/virtual_environment.sh "$environment" requirements/run.txt --with-headwater
    tools/virtual_environment.sh "$environment" requirements/test.txt
fi
if [[ ${1:-} == bench ]]; then
    exec "$environment/bin/python" tools/bench.py --only rbd "${@:2}"
fi
exec "$environment/bin/python" -m pytest --numprocesses=0 "$@"
