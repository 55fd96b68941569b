#!/usr/bin/env bash
# Install the programs that the tests run against, from the distribution, as far as they are missing.
#
# Nothing that is installed here starts by itself: PostgreSQL gets no cluster, MariaDB comes without
# its service, those of RabbitMQ are masked. What cannot be installed is named; the suites that need it are reported as not run.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."
PATH="$PATH:/usr/sbin:/sbin"

missing=()
need() { # need PACKAGE PROGRAM...
    local package=$1 program
    for program in "${@:2}"; do
        if ! command -v "$program" >/dev/null; then
            missing+=("$package")
            return
        fi
    done
}

# Debian keeps initdb out of PATH, in a directory for each version.
has_postgresql() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' || { command -v initdb && command -v postgres; }
} >/dev/null

# The server alone; its own installer needs a program of the client's package. Before Debian 12 their
# names hold the version.
mariadb_packages() {
    local names=()
    if command -v apt-cache >/dev/null; then
        mapfile -t names < <(apt-cache search --names-only '^mariadb-(server|client)-core(-[0-9.]+)?$' 2>/dev/null |
            sed 's/ .*//' | sort --reverse)
    fi
    if [[ ${#names[@]} -eq 0 || " ${names[*]} " == *' mariadb-server-core '* ]]; then
        names=(mariadb-server-core mariadb-client-core)
    fi
    printf '%s\n' "${names[@]}"
}

has_mariadb() {
    command -v mariadbd && command -v mariadb-install-db && command -v my_print_defaults
} >/dev/null

# Its program in PATH refuses whoever is neither root nor its own account.
has_rabbitmq() {
    [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] && command -v epmd
} >/dev/null

has_postgresql || missing+=(postgresql)
if ! has_mariadb; then
    mapfile -t -O "${#missing[@]}" missing < <(mariadb_packages)
fi
has_rabbitmq || missing+=(rabbitmq-server)
need qemu-utils qemu-img
need e2fsprogs mke2fs
need dosfstools fsck.vfat
need mtools mtype mlabel mdir
need qemu-system-x86 qemu-system-x86_64
need gnupg gpg gpg-agent
need gpgv gpgv
need wrk wrk
need curl curl
need iproute2 ip
need chromium chromium
need haproxy haproxy
[[ -e /usr/lib/python3/dist-packages/libvirt.py ]] || missing+=(python3-libvirt)
[[ ${#missing[@]} -gt 0 ]] || exit 0

# Debian's package would make a cluster and start it; a file that somebody else wrote is left alone.
cluster_settings=/etc/postgresql-common/createcluster.conf
if ! has_postgresql && [[ ! -e $cluster_settings ]] && command -v apt-get >/dev/null; then
    as_root=()
    [[ $(id -u) -eq 0 ]] || as_root=(sudo -n)
    if "${as_root[@]}" mkdir -p "${cluster_settings%/*}" 2>/dev/null; then
        printf 'create_main_cluster = false\n' | "${as_root[@]}" tee "$cluster_settings" >/dev/null
    fi
fi

# Debian's packages would start the broker and Erlang's port mapper, now and with each boot.
if ! has_rabbitmq && [[ -d /run/systemd/system ]] && command -v apt-get >/dev/null; then
    as_root=()
    [[ $(id -u) -eq 0 ]] || as_root=(sudo -n)
    units=(rabbitmq-server.service epmd.service epmd.socket)
    if "${as_root[@]}" systemctl mask --quiet "${units[@]}" 2>/dev/null; then
        printf 'Masked %s; systemctl unmask gives them back.\n' "${units[*]}"
    fi
fi

# Debian's package would start it, now and with each boot.
if ! command -v haproxy >/dev/null && [[ -d /run/systemd/system ]] && command -v apt-get >/dev/null; then
    as_root=()
    [[ $(id -u) -eq 0 ]] || as_root=(sudo -n)
    if "${as_root[@]}" systemctl mask --quiet haproxy.service 2>/dev/null; then
        printf 'Masked haproxy.service; systemctl unmask gives it back.\n'
    fi
fi

status=0
tools/apt_install.sh "${missing[@]}" || status=$?
if [[ $status -ne 0 ]]; then
    printf '\nSome tests cannot run without these. To install them:\n\n    sudo apt-get install --no-install-recommends %s\n\n' \
        "${missing[*]}" >&2
fi
