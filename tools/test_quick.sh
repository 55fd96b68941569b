#!/usr/bin/env bash
# Run the tests that need neither servers nor clients of others; arguments go to pytest.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

folders=()
for folder in tests/unit tests/docs; do
    [[ ! -d $folder ]] || folders+=("$folder")
done
exec .venv/bin/python -m pytest --quiet --numprocesses=auto -m 'not slow' "${folders[@]}" "$@"
