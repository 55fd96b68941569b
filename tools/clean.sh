#!/usr/bin/env bash
# Remove all that the make targets made. ./data stays: it may hold somebody's images.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

rm -rf .venv .venv-clients .venv-keystone .venv-barbican .venv-neutron .venv-glance .venv-swift .venv-simplestreams .venv-conformance .venv-ceph .venv-audit .cache dist \
    .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench-*.json
find src tests tools -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
if [[ -d data ]]; then
    printf 'The data of make run is still in ./data; rm -r data removes it.\n'
fi
