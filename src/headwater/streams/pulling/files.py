"""The files that a products document names, and what tells whether one is right."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headwater.errors import HeadwaterError
from headwater.streams.format.json_objects import UnsafePath, safe_path

# The strongest first, with their digits.
_HASHES: Final = {"sha512": 128, "sha384": 96, "sha256": 64, "sha224": 56, "sha1": 40, "md5": 32}
_KEYS: Final = ("path", "size", *_HASHES)
_HEX: Final = re.compile(r"[0-9a-f]+")
_GROUP: Final = "file"


class FileWrong(HeadwaterError):
    """What the server of a feed gives is not what the feed says of a file."""

    def __init__(self, place: str, path: str, problem: str) -> None:
        super().__init__(f"{place}: {path} {problem}; it is not kept, and nobody got all of it")
        self.place, self.path, self.problem = place, path, problem


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file as a feed names it."""

    path: str
    size: int
    algorithm: str
    value: str

    @property
    def name(self) -> str:
        """What it is called where files are kept: two paths with one content are kept once."""
        return f"{_GROUP}.{self.algorithm}.{self.value}.{self.size}"

    def hasher(self) -> Any:
        return hashlib.new(self.algorithm, usedforsecurity=False)


def named_files(document: Mapping[str, Any]) -> dict[str, NamedFile]:
    """Return the files of a products document that can be verified, by path.

    What is said of the document, a product or a version holds for all below it. An item whose path leaves the tree is
    passed over, and so is one of which size or hash is missing: nobody could tell whether it is right.
    """
    found: dict[str, NamedFile] = {}
    for said in _items(document):
        named = _named(said)
        if named is not None:
            found[named.path] = named
    return found


def _items(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    top = _own(document)
    for product in _objects(document, "products"):
        above = top | _own(product)
        for version in _objects(product, "versions"):
            inherited = above | _own(version)
            for item in _objects(version, "items"):
                if "path" in item:
                    yield inherited | _own(item)


def _objects(parent: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    children = parent.get(key)
    for child in children.values() if isinstance(children, dict) else ():
        if isinstance(child, dict):
            yield child


def _own(each: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each[key] for key in _KEYS if each.get(key) is not None}


def _named(said: Mapping[str, Any]) -> NamedFile | None:
    path, size = said.get("path"), said.get("size")
    if isinstance(size, str) and size.isascii() and size.isdecimal():
        size = int(size)
    if not isinstance(path, str) or not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 62:
        return None
    try:
        safe_path(path)
    except UnsafePath:
        return None
    for algorithm, digits in _HASHES.items():
        value = said.get(algorithm)
        if isinstance(value, str) and len(value) == digits and _HEX.fullmatch(value.lower()):
            return NamedFile(path, size, algorithm, value.lower())
    return None
