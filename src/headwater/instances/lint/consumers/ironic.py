"""Ironic, which writes config drives to the disks of bare metal and looks into them before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from headwater.findings import Level
from headwater.instances.lint.rules import Place, Rule
from headwater.instances.lint.subject import Subject


def _mtu(subject: Subject) -> Iterator[Place]:
    for place, link in subject.links:
        if link.get("mtu") is None:
            yield f"network_data.{place}.mtu", {"id": link.get("id")}


def _empty(subject: Subject) -> Iterator[Place]:
    document = subject.instance.network_data
    if document is not None and not any(document.get(part) for part in ("links", "networks", "services")):
        yield "network_data", {}


RULES: Final = (
    Rule(
        id="ironic-mtu",
        level=Level.WARNING,
        says="the link {id!r} has no MTU",
        fix="write it as a number, such as 1500",
        why="it takes the whole network data for invalid and writes its own, from Neutron, in its place",
        source="ironic/conductor/configdrive_utils.py, 2026-08",
        judge=_mtu,
    ),
    Rule(
        id="ironic-network-empty",
        level=Level.WARNING,
        says="the network data has neither links nor networks nor services",
        fix="leave the network data out",
        why="it takes it for invalid and writes its own in its place",
        source="ironic/conductor/configdrive_utils.py, 2026-08",
        judge=_empty,
    ),
)
