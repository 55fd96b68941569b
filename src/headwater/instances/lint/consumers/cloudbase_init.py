"""cloudbase-init, which configures Windows. Read: 1.1.8 and its sources of 2026."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from headwater.findings import Level
from headwater.instances.lint.consumers import judges
from headwater.instances.lint.rules import Place, Rule
from headwater.instances.lint.subject import Subject
from headwater.instances.network.data import DYNAMIC
from headwater.instances.user_data.yaml_documents import NotYaml, loaded

_LONGEST_NETBIOS: Final = 15  # characters
_TAKES: Final = frozenset({"cloud-config", "script", "ps1", "cmd", "ec2config", "multipart", "gzip", "certificate"})
_KEYS: Final = frozenset(
    {"groups", "hostname", "ntp", "runcmd", "set_hostname", "set_timezone", "timezone", "users", "write_files"}
)


def _hostname(subject: Subject) -> Iterator[Place]:
    label = subject.instance.hostname.split(".")[0]
    if len(label) > _LONGEST_NETBIOS:
        yield "hostname", {"label": label, "length": len(label), "short": label[:_LONGEST_NETBIOS]}


def _no_rsa_key(subject: Subject) -> Iterator[Place]:
    keys = subject.instance.keys
    if keys and not keys[0].data.startswith("ssh-rsa "):
        yield "keys[0]", {"name": keys[0].name}


def _dynamic(subject: Subject) -> Iterator[Place]:
    for place, network in subject.networks:
        if network.get("type") in DYNAMIC and subject.static:
            yield f"network_data.{place}.type", {"type": network["type"]}


def _kind(subject: Subject) -> Iterator[Place]:
    kind = subject.kind
    if kind is not None and kind.name not in _TAKES:
        yield "user_data", {"kind": kind.name}


def _unread_keys(subject: Subject) -> Iterator[Place]:
    for piece in subject.pieces:
        if piece.kind is not None and piece.kind.name == "cloud-config":
            unread = sorted(str(key) for key in _mapping(piece.data) if key not in _KEYS)
            if unread:
                yield "user_data", {"keys": ", ".join(unread)}


def _mapping(data: bytes) -> dict[Any, Any]:
    try:
        found = loaded(data)
    except NotYaml:
        return {}  # another rule says so
    return found if isinstance(found, dict) else {}


def _multipart_begins(subject: Subject) -> Iterator[Place]:
    data = subject.instance.user_data or b""
    kind = subject.kind
    if kind is not None and kind.name == "multipart" and not data.startswith(b"Content-Type: multipart"):
        yield "user_data", {}


RULES: Final = (
    Rule(
        id="cloudbase-init-hostname",
        level=Level.WARNING,
        says="the host name {label!r} has {length} characters: Windows will be called {short!r}",
        fix="take a name of 15 characters or fewer, different from others in them",
        why="it cuts the name to NetBIOS's length, and two machines of one name cannot join a domain",
        source="cloudbase-init: netbios_host_name_compatibility, on by default",
        judge=_hostname,
    ),
    Rule(
        id="cloudbase-init-key",
        level=Level.WARNING,
        says="the first key, {name!r}, is no RSA key: no password is posted",
        fix="make an ssh-rsa key the first",
        why="it encrypts the password with the first key and takes ssh-rsa alone",
        source="cloudbase-init: setuserpassword.py, crypt.py",
        judge=_no_rsa_key,
    ),
    Rule(
        id="cloudbase-init-dynamic",
        level=Level.NOTE,
        says="it passes over the network of the type {type}: the interface stays as Windows has it",
        fix="nothing, where the interface uses DHCP in the image",
        why="it configures networks of the types ipv4 and ipv6",
        source="cloudbase-init: baseopenstackservice.py",
        judge=_dynamic,
    ),
    Rule(
        id="cloudbase-init-tokens",
        level=Level.ERROR,
        says="tokens are required, and it asks for none",
        fix="set --tokens optional, or give it a config drive",
        why="every answer is 401, and it goes on to the next service",
        source="cloudbase-init: ec2service.py, httpservice.py; its issue 150 is open",
        judge=judges.tokens,
    ),
    Rule(
        id="cloudbase-init-user-data-kind",
        level=Level.ERROR,
        says="it does not take user data of the kind {kind}",
        fix="give it #ps1, rem cmd, #cloud-config or several pieces (user-data compose)",
        why="it warns 'Unsupported user_data format'",
        source="cloudbase-init: userdata.py, userdatautils.py",
        judge=_kind,
    ),
    Rule(
        id="cloudbase-init-keys",
        level=Level.WARNING,
        says="it does not read these keys of the cloud-config: {keys}",
        fix="do it in a script (#ps1), or leave it to cloud-init",
        why="it has plugins for groups, hostname, ntp, runcmd, timezone, users and write_files",
        source="cloudbase-init: cloudconfigplugins/factory.py",
        judge=_unread_keys,
    ),
    Rule(
        id="cloudbase-init-multipart",
        level=Level.ERROR,
        says="the several pieces do not begin with 'Content-Type: multipart'",
        fix="let 'user-data compose' put them together: that header stands first then",
        why="it takes them for one script of no kind that it knows",
        source="cloudbase-init: userdata.py compares the first bytes",
        judge=_multipart_begins,
    ),
    Rule(
        id="cloudbase-init-files",
        level=Level.WARNING,
        says="it has files ({paths}), and cloudbase-init writes none",
        fix="write them with write_files of a cloud-config",
        why="the machine boots without them, and nothing says so",
        source="cloudbase-init: baseopenstackservice.py reads content for network_config alone",
        judge=judges.files,
    ),
)
