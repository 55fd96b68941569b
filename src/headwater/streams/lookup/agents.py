"""Agents: which items of a feed are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headwater.streams.lookup.documents import Placed, ProductsFile
from headwater.streams.lookup.source import Pick
from headwater.streams.lookup.trace import Kind, LookupFailed, Trace
from headwater.streams.lookup.wanted import AgentsWanted, AgentVersion, BadVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAgent:
    """A tarball of an agent, and where it was found."""

    version: str
    os: str
    arch: str
    url: str
    size: int  # bytes; 0: not told
    sha256: str
    stream: str
    source: str
    products_url: str
    signed: bool

    @property
    def name(self) -> str:
        """As Juju writes it, such as ``3.6.27-ubuntu-amd64``."""
        return f"{self.version}-{self.os}-{self.arch}"

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def picking(wanted: AgentsWanted) -> Pick:
    """Return what takes agents of the wanted products: each version, system and architecture once, from the newest."""

    def pick(file: ProductsFile, trace: Trace) -> Sequence[Placed]:
        taken: list[Placed] = []
        for product in wanted.products():
            if product in file:
                taken += _of_product(file, product, wanted, trace)
        return taken

    return pick


def _of_product(file: ProductsFile, product: str, wanted: AgentsWanted, trace: Trace) -> list[Placed]:
    taken: list[Placed] = []
    seen: set[tuple[str, str, str]] = set()
    others: list[str] = []
    for version in file.versions(product):
        new: list[Placed] = []
        for item in file.items(product, version):
            differs = _differs(item, wanted, trace)
            if differs:
                others.append(f"{item.key}: {differs}")
            elif _identity(item) not in seen:
                new.append(item)
        for item in new:
            trace.add(Kind.TAKEN, item.key, f"{product}, version {version}")
        seen |= {_identity(item) for item in new}
        taken += new
    if others:
        more = f", and {len(others) - 1} more like it" if len(others) > 1 else ""
        trace.add(Kind.PASSED_OVER, product, f"{others[0]}{more}")
    return taken


def _differs(item: Placed, wanted: AgentsWanted, trace: Trace) -> str:
    """Say what keeps an agent from being one that is wanted; nothing: it is one."""
    if item["release"] not in wanted.oses:
        return f"its release is {item['release']!r}, not {' or '.join(wanted.oses)}"
    try:
        version = AgentVersion.parse(item["version"])
    except BadVersion as error:
        place = f"products[{item.product!r}].versions[{item.version!r}].items[{item.key!r}]"
        trace.add(Kind.FAILED, place, str(error))
        raise LookupFailed(f"{place}: {error}; Juju ends in a panic over it") from error
    return "" if wanted.takes(version) else f"its version is {version}"


def _identity(item: Placed) -> tuple[str, str, str]:
    return item["version"], item["release"], item["arch"]
