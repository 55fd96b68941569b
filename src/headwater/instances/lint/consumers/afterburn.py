"""Afterburn, which brings metadata to Fedora CoreOS and Flatcar: SSH keys, the host name, attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from headwater.findings import Level
from headwater.instances.lint.consumers import judges
from headwater.instances.lint.rules import Place, Rule, Versions
from headwater.instances.lint.subject import Subject

_LONGEST_HOSTNAME: Final = 64  # bytes; HOST_NAME_MAX of Linux


def _hostname(subject: Subject) -> Iterator[Place]:
    if (length := len(subject.instance.hostname)) > _LONGEST_HOSTNAME:
        yield "hostname", {"length": length}


def _static(subject: Subject) -> Iterator[Place]:
    if subject.static:
        yield "network_data.networks", {}


RULES: Final = (
    Rule(
        id="afterburn-hostname-long",
        level=Level.WARNING,
        says="the host name has {length} characters, and Linux takes 64: it is cut there",
        fix="take a shorter domain, or none",
        why="it writes the whole name, with its domain, to /etc/hostname",
        source="Afterburn 5.2.0: 'limit string written to hostname file to HOST_NAME_MAX bytes'",
        versions=Versions(since="5.2.0"),
        judge=_hostname,
    ),
    Rule(
        id="afterburn-hostname-refused",
        level=Level.ERROR,
        says="the host name has {length} characters, and Linux takes 64: the machine keeps the name localhost",
        fix="take a shorter domain, or none",
        why="releases before 5.2 write it whole, and systemd refuses it",
        source="Afterburn 5.2.0, release notes; hostname(5)",
        versions=Versions(before="5.2.0"),
        judge=_hostname,
    ),
    Rule(
        id="afterburn-network",
        level=Level.WARNING,
        says="the network data has fixed addresses, and its provider openstack reads none of it",
        fix="let the network use DHCP, or write the addresses into the config of Ignition or the kernel's arguments",
        why="the machine asks DHCP on every interface",
        source="Afterburn: src/providers/openstack reads attributes, hostname and keys",
        judge=_static,
    ),
    Rule(
        id="afterburn-tokens",
        level=Level.ERROR,
        says="tokens are required, and its provider openstack asks for none: there are no SSH keys",
        fix="set --tokens optional, give it a config drive, or boot an image of the platform aws",
        why="every answer is 401; the provider aws asks for tokens since 4.4.1",
        source="Afterburn: src/providers/openstack/network.rs; release notes 4.4.1",
        judge=judges.tokens,
    ),
)
