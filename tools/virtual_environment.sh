#!/usr/bin/env bash
# Bring a virtual environment to a requirement file: virtual_environment.sh DIRECTORY FILE [--with-headwater]
#
# A stamp in the environment holds the digest of all that decided its contents, so that a run with
# nothing to do costs a few milliseconds. Scripts in an environment hold its absolute path: a checkout
# that was moved or copied gets a new one. --with-headwater adds this checkout itself, editable; what builds
# it (requirements/build.txt) is pinned too, lies beside the environment while it is needed, and is gone after that.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

directory=$1 requirements=$2 with_headwater=${3:-}
stamp="$directory/.set-up-$(basename "$requirements" .txt)"
inputs=("$requirements")
[[ -z $with_headwater ]] || inputs+=(pyproject.toml requirements/build.txt)
digest="$PWD $(cat "${inputs[@]}" | sha256sum)"

if [[ -r $stamp && $(<"$stamp") == "$digest" && -x $directory/bin/python ]]; then
    exit 0
fi

# Made in another place, or its Python has gone.
if [[ -d $directory ]]; then
    if [[ $(head -n 1 "$directory/bin/pip" 2>/dev/null) != "#!$PWD/$directory/bin/python"* ]] ||
        ! "$directory/bin/python" -c 'import pip' 2>/dev/null; then
        rm -rf "$directory"
    fi
fi
if [[ ! -d $directory ]]; then
    python=$(tools/find_python.sh)
    printf 'Making %s with %s\n' "$directory" "$("$python" --version)"
    "$python" -m venv "$directory"
fi

pip=("$directory/bin/python" -m pip install --quiet --no-input --disable-pip-version-check)
printf 'Installing %s into %s (a minute or two, once)\n' "$requirements" "$directory"
rm -f "$stamp"
"${pip[@]}" --require-hashes -r "$requirements"
if [[ -n $with_headwater ]]; then
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
    "${pip[@]}" --require-hashes -r requirements/build.txt --target "$build"
    PYTHONPATH=$build "${pip[@]}" --no-deps --no-build-isolation --editable .
fi
printf '%s' "$digest" >"$stamp"
