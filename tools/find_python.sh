#!/usr/bin/env bash
# Print the path of a Python that fits (3.11 or newer) and can make virtual environments.
#
# PYTHON in the environment is taken or refused, never replaced. Debian and Ubuntu ship `venv` in a
# package of its own: it is installed when we may, otherwise the command to run is printed.
set -euo pipefail

readonly candidates=(python3 python3.13 python3.12 python3.11 python3.14 python)

# Prints the real path of the interpreter $1, when it is new enough.
fitting() {
    "$1" -c 'import sys; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null || true
}

makes_environments() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

found=()
for candidate in ${PYTHON:-"${candidates[@]}"}; do
    path=$(fitting "$candidate")
    [[ -n $path ]] || continue
    if makes_environments "$path"; then
        printf '%s\n' "$path"
        exit 0
    fi
    found+=("$path")
done

if [[ ${#found[@]} -eq 0 ]]; then
    if [[ -n ${PYTHON:-} ]]; then
        printf 'PYTHON=%s is not a Python 3.11 or newer; give the path of one, or unset PYTHON.\n' "$PYTHON" >&2
    else
        printf 'Headwater needs Python 3.11 or newer, and python3 here is %s.\n' \
            "$(python3 --version 2>/dev/null || echo absent)" >&2
        printf 'Install one (on Debian or Ubuntu: sudo apt-get install python3 python3-venv), or say PYTHON=/path/to/python make ...\n' >&2
    fi
    exit 1
fi

python=${found[0]}
package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
"${BASH_SOURCE[0]%/*}/apt_install.sh" "$package" >&2 || true
if ! makes_environments "$python"; then
    printf '%s has no venv module. Run this, then try again:\n\n    sudo apt-get install %s\n\n' "$python" "$package" >&2
    exit 1
fi
printf '%s\n' "$python"
