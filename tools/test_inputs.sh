#!/usr/bin/env bash
# Fetch what the tests read out of Debian packages without installing it: cloud-init, which is never
# started as a service here, the clients of LXD and Incus, which need no daemon for what they do here, the program by which
# systemd fetches images, and one real ISO image. All are unpacked below .cache. Of cloud-init, the client of Incus
# and systemd there is the newest beside the distribution's, where it can be reached (newer_packages.sh).
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."

readonly cloud_init=.cache/cloud-init iso=.cache/iso
work=
trap '[[ -z $work ]] || rm -rf "$work"' EXIT

# unpack PACKAGE: leaves its tree in $work/tree.
unpack() {
    work=$(mktemp -d .cache/unpack.XXXXXX)
    (cd "$work" && apt-get download --quiet --quiet "$1" </dev/null >log 2>&1) || return 1
    dpkg -x "$work"/*.deb "$work/tree"
}

# Package lists may be absent or too old; only root can renew them.
refresh_lists() {
    if [[ $(id -u) -eq 0 ]]; then
        apt-get update --quiet --quiet </dev/null >/dev/null 2>&1 || true
    elif sudo -n true 2>/dev/null; then
        sudo -n apt-get update --quiet --quiet </dev/null >/dev/null 2>&1 || true
    fi
}

fetch() { # fetch PACKAGE
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    printf 'Fetching %s\n' "$1"
    mkdir -p .cache
    unpack "$1" && return
    rm -rf "$work"
    refresh_lists
    unpack "$1"
}

if [[ ! -d $cloud_init ]]; then
    if fetch cloud-init; then
        mv "$work/tree" "$cloud_init"
    else
        printf 'cloud-init could not be fetched (apt-get download cloud-init): its tests cannot run.\n' >&2
    fi
    rm -rf "$work"
fi

for name in lxd incus; do
    case $name in lxd) client=lxc ;; *) client=incus ;; esac
    [[ -d .cache/$client-client ]] && continue
    if fetch "$name-client"; then
        mv "$work/tree" ".cache/$client-client"
    else # not every release of the distribution has both
        tools/newer_packages.sh backports "$name-client=.cache/$client-client"
    fi
    rm -rf "$work"
done

if [[ ! -d .cache/systemd-container ]]; then # its library is a package of its own in some releases only
    for package in libsystemd-shared systemd-container; do
        if fetch "$package"; then
            mkdir -p .cache/systemd
            cp -r "$work/tree/." .cache/systemd/
        else
            printf '%s could not be fetched (apt-get download %s).\n' "$package" "$package" >&2
        fi
        rm -rf "$work"
    done
    [[ ! -d .cache/systemd ]] || mv .cache/systemd .cache/systemd-container
fi

if ! compgen -G "$iso/*.iso" >/dev/null; then
    for package in ipxe grub-rescue-pc; do
        if fetch "$package" && file=$(find "$work/tree" -type f -name '*.iso' -print -quit) && [[ -n $file ]]; then
            mkdir -p "$iso"
            mv "$file" "$iso/"
        fi
        rm -rf "$work"
        if compgen -G "$iso/*.iso" >/dev/null; then break; fi
    done
    compgen -G "$iso/*.iso" >/dev/null ||
        printf 'No ISO image could be fetched (apt-get download ipxe): its tests cannot run.\n' >&2
fi

tools/newer_packages.sh newest cloud-init=.cache/cloud-init-newest incus-client=.cache/incus-newest-client \
    systemd-imds,systemd-container,libsystemd-shared=.cache/systemd-newest
