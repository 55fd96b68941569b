"""Juju's agents: tarballs in a tree, one directory for each stream, and what the feed says of them.

Juju takes an agent only if its size and hash are those of the feed, so all that is said of a tarball is read from it
each time: one that was built anew has its new hash, and one that was deleted goes. What leads elsewhere than into the
directory of the stream is somebody else's and stays.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headwater.clock import Clock, now
from headwater.errors import Invalid, NotFound
from headwater.streams.format.documents import Item, Mirror, Products
from headwater.streams.format.layout import DIRECTORY
from headwater.streams.trees.tree import PathNotFound, Tree
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.files import Content, FileUnusable, pieces_of
from headwater.streams.writing.merging import Place, with_item, without

DATATYPE: Final = "content-download"
RELEASED: Final = "released"
_FTYPE = "tar.gz"
_GZIP = b"\x1f\x8b"

# Source: Juju's names of operating systems; it passes over others. Its tarballs for `linux` serve three of them.
_SYSTEMS: dict[str, tuple[str, ...]] = {
    name: (name,) for name in ("ubuntu", "windows", "centos", "genericlinux", "kubernetes", "unknown")
}
_SYSTEMS |= {"linux": ("ubuntu", "centos", "genericlinux")}
# Source: Juju's grammar of versions: 1.2, 1.2.3, 1.2.3.4, 1.2-alpha3, 1.2-alpha3.4.
_NAME = re.compile(
    r"juju-(?P<version>\d{1,9}\.\d{1,9}(?:(?:\.\d{1,9}){1,2}|-[a-z]+\d{1,9}(?:\.\d{1,9})?)?)"
    r"-(?P<release>[A-Za-z0-9_.]+)-(?P<arch>[A-Za-z0-9_]+)\.tgz"
)
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}")


class BadAgents(Invalid):
    """What was given describes no agents that Juju could find."""


class NoAgents(NotFound):
    """There is no tarball to describe."""

    def __init__(self, place: str) -> None:
        super().__init__("no agent binaries available")  # Source: what Juju says
        self.place = place


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One tarball as one product of the feed."""

    version: str
    os: str
    arch: str
    path: str
    size: int
    sha256: str

    @property
    def product(self) -> str:
        return f"com.ubuntu.juju:{self.os}:{self.arch}"

    @property
    def item(self) -> str:
        return f"{self.version}-{self.os}-{self.arch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What became different: names such as ``3.6.27-ubuntu-amd64``."""

    stream: str
    written: tuple[str, ...]
    gone: tuple[str, ...]


def content_id_of(stream: str) -> str:
    """Return the name under which Juju from 2.9 on looks for a stream.

    Raises:
        BadAgents: It is no word.
    """
    if not _STREAM.fullmatch(stream):
        raise BadAgents(f"stream: {stream!r} is no word such as released or proposed")
    return f"com.ubuntu.juju:{stream}:agents"


def is_tarball(name: str) -> bool:
    """Return whether a file is named as Juju names tarballs of agents."""
    return _NAME.fullmatch(name) is not None


def of_directory(directory: Path, stream: str) -> dict[str, list[Path]]:
    """Return the tarballs of a directory, which are of ``stream``, and of those below it, which are named for theirs.

    Raises:
        NoAgents: There is none.
        FileUnusable: The directory cannot be read.
    """
    found: dict[str, list[Path]] = {}
    try:
        inside = sorted(directory.iterdir())
        found[stream] = [each for each in inside if is_tarball(each.name) and each.is_file()]
        for each in inside:
            if each.is_dir() and _STREAM.fullmatch(each.name):
                tarballs = sorted(file for file in each.iterdir() if is_tarball(file.name) and file.is_file())
                found.setdefault(each.name, []).extend(tarballs)
    except OSError as error:
        raise FileUnusable(directory, f"it cannot be read: {error.strerror}") from error
    found = {name: files for name, files in found.items() if files}
    if not found:
        raise NoAgents(str(directory))
    return found


def bring(tree: Tree, files: Iterable[Path], stream: str, told: Callable[[Path], None]) -> list[Agent]:
    """Copy tarballs into the directory of a stream, and return what they are.

    Raises:
        FileUnusable: One is none, by its name or its content.
    """
    content_id_of(stream)
    found: list[Agent] = []
    for file in files:
        path = f"{stream}/{file.name}"
        if not is_tarball(file.name):
            raise FileUnusable(file, "its name is not as Juju reads it: juju-VERSION-OS-ARCH.tgz")
        content = Content.of_file(file)
        if not content.beginning.startswith(_GZIP):
            raise FileUnusable(file, "it is no .tgz: its bytes are not those of gzip")
        agents = list(_agents(path, content.size, content.sha256))
        if not agents:
            raise FileUnusable(file, f"Juju knows no such operating system; it knows {', '.join(_SYSTEMS)}")
        if _facts(tree, path) != (content.size, content.sha256):
            with content.open() as opened:
                tree.write(path, opened, size=content.size)
        found += agents
        told(file)
    return found


def scan(tree: Tree, stream: str, told: Callable[[str], None]) -> list[Agent]:
    """Return what lies in the directory of a stream; what is named otherwise is passed over.

    Args:
        told: Is told the path of each tarball before it is read.
    """
    content_id_of(stream)
    found: list[Agent] = []
    for entry in tree.list(f"{stream}/"):
        name = entry.path.removeprefix(f"{stream}/")
        if is_tarball(name):
            told(entry.path)
            facts = _facts(tree, entry.path)
            if facts is not None:
                found += _agents(entry.path, *facts)
    return found


def describe(
    feed: Feed,
    stream: str,
    agents: Iterable[Agent],
    *,
    whole: bool,
    clean: bool = False,
    clock: Clock = now,
) -> Described:
    """Make the feed say what ``agents`` are; those that are as it says stay in the version where they stand.

    Args:
        whole: They are all of the stream: others of its directory go.
        clean: Forget all that the feed says of the stream before, also what leads elsewhere.
    """
    content_id = content_id_of(stream)
    before = feed.products(content_id) or Products(products={}, content_id=content_id, datatype=DATATYPE)
    # Of two tarballs for one system the one that is named for it counts, not the one for all of Linux.
    exact_last = sorted(agents, key=lambda agent: f"-{agent.os}-" in agent.path)
    wanted = {(agent.product, agent.version): agent for agent in exact_last}
    right: set[tuple[str, str]] = set()
    gone: list[str] = []

    def leaves(place: Place, item: Item) -> bool:
        key = place.product, item.version or before.products[place.product].version or ""
        agent = wanted.get(key)
        if agent is None:
            is_ours = whole and (item.path or "").startswith(f"{stream}/")
            if is_ours or clean:
                gone.append(place.item)
            return is_ours or clean
        if key not in right and item == replace(_item(agent), order=item.order):
            right.add(key)
            return False
        return True

    products = without(before, leaves)
    at = datetime.fromtimestamp(clock() // 1_000_000, UTC).strftime("%Y%m%d")
    written = [agent for key, agent in sorted(wanted.items()) if key not in right]
    for agent in written:
        place = Place(agent.product, at, agent.item)
        products = with_item(products, place, _item(agent), product={"arch": agent.arch})
    feed.put(content_id, products)
    return Described(stream=stream, written=tuple(agent.item for agent in written), gone=tuple(gone))


def name_mirrors(feed: Feed, stream: str, clock: Clock = now) -> None:
    """Make ``mirrors.json`` say where mirrors of a stream are listed, as Juju's own tool does for public sites."""
    mirrors = feed.mirrors()
    updated = datetime.fromtimestamp(clock() // 1_000_000, UTC).strftime("%Y%m%d")
    ours = Mirror(updated=updated, format="mirrors:1.0", datatype=DATATYPE, path=f"{DIRECTORY}/cpc-mirrors.json")
    content_id = content_id_of(stream)
    others = [each for each in mirrors.mirrors.get(content_id, ()) if each.path != ours.path]
    feed.put_mirrors(replace(mirrors, mirrors={**mirrors.mirrors, content_id: (*others, ours)}))


def _agents(path: str, size: int, sha256: str) -> Iterator[Agent]:
    match = _NAME.fullmatch(path.rpartition("/")[2])
    assert match is not None
    for system in _SYSTEMS.get(match["release"], ()):
        yield Agent(version=match["version"], os=system, arch=match["arch"], path=path, size=size, sha256=sha256)


def _item(agent: Agent) -> Item:
    return Item(
        path=agent.path,
        ftype=_FTYPE,
        size=agent.size,
        sha256=agent.sha256,
        version=agent.version,
        arch=agent.arch,
        extra={"release": agent.os},
    )


def _facts(tree: Tree, path: str) -> tuple[int, str] | None:
    """Return the size and the SHA-256 of a file; ``None``: there is none."""
    digest, size = hashlib.sha256(), 0
    try:
        for piece in pieces_of(tree, path):
            digest.update(piece)
            size += len(piece)
    except PathNotFound:
        return None
    return size, digest.hexdigest()
