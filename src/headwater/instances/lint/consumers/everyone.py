"""What holds whoever reads the record: who can ask, who can log in, what carries it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from headwater.findings import Level
from headwater.instances.devices import Nic
from headwater.instances.keys import Key
from headwater.instances.lint.rules import Place, Rule
from headwater.instances.lint.subject import Subject
from headwater.instances.user_data.limits import too_large_for

_SHORTEST_RSA: Final = 2048  # bits
_KNOWN_TO_ALL: Final = ("admin_pass", "password", "passwd", "secret", "token")


def _no_address(subject: Subject) -> Iterator[Place]:
    if not subject.instance.addresses:
        yield "addresses", {}


def _nobody_in(subject: Subject) -> Iterator[Place]:
    if not subject.instance.keys and not subject.instance.user_data and subject.instance.vendor_data is None:
        yield "keys", {}


def _targets_that_fail(subject: Subject) -> Iterator[Place]:
    for name, reason in subject.failing.items():
        yield f"vendor_data2: {name}", {"name": name, "reason": reason}


def _key_twice(subject: Subject) -> Iterator[Place]:
    first: dict[bytes, str] = {}
    for number, key in enumerate(subject.instance.keys):
        if (blob := _blob(key)) is None:
            continue
        if blob in first:
            yield f"keys[{number}]", {"name": key.name, "first": first[blob]}
        first.setdefault(blob, key.name)


def _key_dss(subject: Subject) -> Iterator[Place]:
    for number, key in enumerate(subject.instance.keys):
        if key.data.startswith("ssh-dss "):
            yield f"keys[{number}]", {"name": key.name}


def _key_short(subject: Subject) -> Iterator[Place]:
    for number, key in enumerate(subject.instance.keys):
        bits = _rsa_bits(key)
        if bits is not None and bits < _SHORTEST_RSA:
            yield f"keys[{number}]", {"name": key.name, "bits": bits}


def _blob(key: Key) -> bytes | None:
    words = key.data.split()
    try:
        return base64.b64decode(words[1]) if key.type == "ssh" and len(words) > 1 else None
    except binascii.Error:
        return None


def _rsa_bits(key: Key) -> int | None:
    """Return the length of an RSA key's modulus, the third string of its blob (RFC 4253, section 6.6)."""
    blob = _blob(key) if key.data.startswith("ssh-rsa ") else None
    strings: list[bytes] = []
    while blob and len(strings) < 3:
        end = 4 + int.from_bytes(blob[:4], "big")
        strings.append(blob[4:end])
        blob = blob[end:]
    return int.from_bytes(strings[2], "big").bit_length() if len(strings) == 3 else None


def _hostname_number(subject: Subject) -> Iterator[Place]:
    label = subject.instance.hostname.split(".")[0]
    if label.isdecimal():
        yield "hostname", {"label": label}


def _hostname_without_domain(subject: Subject) -> Iterator[Place]:
    labels = subject.instance.hostname.split(".")
    if labels[-1].lower() in ("novalocal", "none") and len(labels) > 1:
        yield "hostname", {"domain": labels[-1]}


def _size(subject: Subject) -> Iterator[Place]:
    size = len(subject.instance.user_data or b"")
    for way in too_large_for(size):
        yield "user_data", {"size": size, "way": way.name, "most": way.most, "source": way.source}


def _secret_meta(subject: Subject) -> Iterator[Place]:
    for key in subject.instance.meta:
        if key.lower() in _KNOWN_TO_ALL:
            yield f"meta.{key}", {"key": key}


def _hops_for_containers(subject: Subject) -> Iterator[Place]:
    if subject.instance.tokens == "required" and subject.instance.hop_limit == 1:
        yield "hop_limit", {}


def _hops_for_nothing(subject: Subject) -> Iterator[Place]:
    if subject.instance.tokens == "optional" and subject.instance.hop_limit is not None:
        yield "hop_limit", {"hops": subject.instance.hop_limit}


def _nic_without_link(subject: Subject) -> Iterator[Place]:
    if not subject.links:
        return
    known = {link.get("ethernet_mac_address") for _, link in subject.links}
    for number, device in enumerate(subject.instance.devices):
        if isinstance(device, Nic) and device.mac not in known:
            yield f"devices[{number}]", {"mac": device.mac}


RULES: Final = (
    Rule(
        id="address-missing",
        level=Level.WARNING,
        says="no address is registered: who asks by address is answered with 404",
        fix="register it with --address, or let it ask by 'headwater instance seed'; media need neither",
        why="a machine is known by the address that it sends from, or by the secret in its URL",
        source="this service's own rule",
        judge=_no_address,
    ),
    Rule(
        id="login-missing",
        level=Level.WARNING,
        says="there is neither a key nor user data: nobody can log in, unless the image has a password",
        fix="add --ssh-key",
        why="cloud images have no password, and let in whoever has the key in their metadata",
        source="how the images of all distributions for clouds are made",
        judge=_nobody_in,
    ),
    Rule(
        id="vendor-data-target-fails",
        level=Level.WARNING,
        says="the target {name!r} of vendor data has nothing for it: {reason}",
        fix="look at what answers at its URL in [metadata.vendor_data], and at its log; it was asked just now",
        why="guests read {} in its place, and do not ask again at this boot",
        source="this service's own rule",
        judge=_targets_that_fail,
    ),
    Rule(
        id="key-duplicate",
        level=Level.NOTE,
        says="the key {name!r} is the same as {first!r}",
        fix="leave one out",
        why="guests write both lines",
        source="sshd takes the first line that fits",
        judge=_key_twice,
    ),
    Rule(
        id="key-dss",
        level=Level.ERROR,
        says="the key {name!r} is of type ssh-dss, which sshd takes no more",
        fix="use an ed25519 key: ssh-keygen -t ed25519",
        why="sshd passes over it",
        source="OpenSSH 7.0 switched ssh-dss off, 10.0 has it no more",
        judge=_key_dss,
    ),
    Rule(
        id="key-rsa-short",
        level=Level.WARNING,
        says="the RSA key {name!r} has {bits} bits: sshd of today's distributions refuses it",
        fix="use an ed25519 key, or RSA with 3072 bits",
        why="sshd refuses RSA keys that are shorter than RequiredRSASize",
        source="OpenSSH 9.1 (RequiredRSASize); RHEL 9 and Fedora set 2048",
        judge=_key_short,
    ),
    Rule(
        id="hostname-number",
        level=Level.WARNING,
        says="the host name begins with the label {label}, which has digits only: tools take it for an address",
        fix="put a letter into it, such as host-{label}",
        why="inet_aton reads a number as an IPv4 address, and systemd refuses host names of digits",
        source="inet_aton(3); RFC 1123 section 2.1",
        judge=_hostname_number,
    ),
    Rule(
        id="hostname-no-domain",
        level=Level.NOTE,
        says="the domain of the host name is {domain}, which no name server knows",
        fix="give it the domain of its network, or none",
        why="guests write it into /etc/hosts and mail programs use it",
        source="nova bugs 1698010, 1824813",
        judge=_hostname_without_domain,
    ),
    Rule(
        id="user-data-size",
        level=Level.NOTE,
        says="the user data has {size} bytes, and {way} carries {most}: {source}",
        fix="compress it (user-data compose --gzip), or let it include a URL, if it is to go that way",
        why="what is larger is refused there, or cut",
        source="the limits of each way stand in the finding",
        judge=_size,
    ),
    Rule(
        id="meta-secret",
        level=Level.WARNING,
        says="meta has the key {key!r}: every process of the guest can read it, and so can who talks it into a request",
        fix="leave it out; a guest posts a password of its own, encrypted ('headwater instance password')",
        why="metadata is readable with one request by whoever runs in the guest",
        source="cloudbase-init takes meta.admin_pass; AWS security blog of 2019-11-19 for such requests",
        judge=_secret_meta,
    ),
    Rule(
        id="hop-limit-containers",
        level=Level.NOTE,
        says="tokens are required and travel one hop: containers behind a bridge of the guest get none",
        fix="set --hop-limit 2 where containers need metadata; leave it where they must not have any",
        why="the answer with the token passes a router in the guest, which counts its time to live down to 0",
        source="EC2 user guide: 2 is advised for containers, and what AL2023 images say",
        judge=_hops_for_containers,
    ),
    Rule(
        id="hop-limit-without-tokens",
        level=Level.NOTE,
        says="the hop limit is {hops}, and tokens are optional: who gets no token reads without one",
        fix="set --tokens required",
        why="the limit holds for answers with tokens only",
        source="EC2 user guide: HttpPutResponseHopLimit",
        judge=_hops_for_nothing,
    ),
    Rule(
        id="device-without-link",
        level=Level.WARNING,
        says="the device {mac} is no link of the network data: guests configure it by no part of it",
        fix="add a link with ethernet_mac_address {mac}, or take the device out",
        why="guests find interfaces by their MAC address among the links",
        source="cloud-init's helpers/openstack.py; netplan's match",
        judge=_nic_without_link,
    ),
)
