#!/usr/bin/env bash
# Run every check, also when an earlier one fails; what passes says one line.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=()
# Named, because only in a clone does ruff know what is ours: an unpacked release has no .gitignore in force.
code=(src tests tools)

check() { # check NAME COMMAND...
    if "${@:2}" >"$log" 2>&1 </dev/null; then
        printf 'ok      %s\n' "$1"
    else
        printf 'FAILED  %s: %s\n' "$1" "${*:2}"
        sed 's/^/        /' "$log"
        failed+=("$1")
    fi
}

check format .venv/bin/ruff format --check "${code[@]}"
check lint .venv/bin/ruff check --output-format concise "${code[@]}"
check types .venv/bin/mypy
check imports .venv/bin/lint-imports --no-logo
check files .venv/bin/python tools/check_files.py

if [[ ${#failed[@]} -gt 0 ]]; then
    printf '\n%s of 5 checks failed: %s\n' "${#failed[@]}" "${failed[*]}"
    exit 1
fi
