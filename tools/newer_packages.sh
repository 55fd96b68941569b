#!/usr/bin/env bash
# Unpack packages of a newer release of the distribution, without installing them:
#
#     newer_packages.sh SUITE PACKAGE[,PACKAGE...]=DIRECTORY...
#
# SUITE is "newest", for the release that the distribution works on, or "backports", for what is newer beside this one. What
# is in place is not fetched again. The mirror stands in the machine's own sources, and the keys that sign are those that it
# trusts; apt keeps what it learns in a directory that goes away, so that the machine's lists and packages stay as they are.
# What could not be fetched is named, and is no failure: the tests say so where they want it.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

suite=$1 wanted=()
for pair in "${@:2}"; do
    [[ -e ${pair#*=} ]] || wanted+=("$pair")
done
[[ ${#wanted[@]} -gt 0 ]] || exit 0

cannot() { # cannot PAIR REASON
    printf '%s of the %s packages could not be fetched (%s): its tests cannot run.\n' "${1%%=*}" "$suite" "$2" >&2
}

cannot_any() { # cannot_any REASON
    for pair in "${wanted[@]}"; do cannot "$pair" "$1"; done
    exit 0
}

command -v apt-get >/dev/null && command -v dpkg >/dev/null && [[ -r /etc/os-release ]] || cannot_any 'no apt'
. /etc/os-release
case $suite-$ID in
    backports-*) release=${VERSION_CODENAME:-}-backports ;;
    newest-debian) release=sid ;;
    newest-ubuntu) release=devel ;;
    *) cannot_any "no such release of ${ID}" ;;
esac
keyring=/usr/share/keyrings/$ID-archive-keyring.gpg
[[ -r $keyring ]] || cannot_any "no $keyring"
# shellcheck disable=SC2016 # apt fills them in
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="${VERSION_CODENAME:-}" '$2 == release && $3 == "main" && !found { print $1; found = 1 }')
[[ -n $mirror ]] || cannot_any "no source of ${VERSION_CODENAME:-this release}"

mkdir -p .cache
work=$(mktemp -d "$PWD/.cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial
printf 'deb [target=Packages signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$release" >"$work/sources.list"
# The machine's proxies are ours, and not what it does after an update. A mirror that stands still is as good here: its
# signature says whose packages these are, and only its age is not asked. Other accounts may not look into the checkout.
{
    apt-config dump --no-empty --format '%F "%v";%n' Acquire
    cat <<END
Dir::State "$work";
Dir::State::status "/dev/null";
Dir::Cache "$work";
Dir::Etc::Parts "/dev/null";
Dir::Etc::Main "/dev/null";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
END
} >"$work/apt.conf"
export APT_CONFIG="$work/apt.conf"

printf 'Fetching %s (%s)\n' "${wanted[*]%%=*}" "$release"
apt-get update --quiet --quiet </dev/null >"$work/log" 2>&1 ||
    cannot_any "$(grep -m1 '^E:' "$work/log" || printf 'apt-get update failed')"
for pair in "${wanted[@]}"; do
    IFS=, read -ra names <<<"${pair%%=*}"
    place=$(mktemp -d "$work/packages.XXXXXX")
    if (cd "$place" && apt-get download --quiet --quiet "${names[@]}" </dev/null >log 2>&1); then
        for package in "$place"/*.deb; do dpkg -x "$package" "$place/tree"; done
        mv "$place/tree" "${pair#*=}"
    else
        cannot "$pair" "$(grep -m1 '^E:' "$place/log" || printf 'apt-get download failed')"
    fi
done
