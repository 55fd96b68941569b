"""Names of products documents that say which ones they are: ``NAME-TAG.json`` beside ``NAME.json``, the newest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from headwater.streams.format.documents import signed_name
from headwater.streams.format.layout import DIRECTORY

TAG_DIGITS: Final = 16
_TAGGED: Final = re.compile(rf"(.+)-([0-9a-f]{{{TAG_DIGITS}}})(\.s?json)")


def with_tag(name: str, tag: str) -> str:
    """Return the name of a document with a tag in it."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}-{tag}{dot}{ending}"


def without_tag(name: str) -> tuple[str, str | None]:
    """Return the name of a document without the tag in it, and that tag; ``None``: it has none."""
    found = _TAGGED.fullmatch(name)
    return (name, None) if found is None else (f"{found[1]}{found[3]}", found[2])


def naming_tagged(index: bytes, names: Iterable[str], tag: str) -> bytes:
    """Return an index, as we write it, that names these documents, or their signed twins, with a tag."""
    for name in names:
        for each in (name, signed_name(name)):
            index = index.replace(_path(each), _path(with_tag(each, tag)))
    return index


def _path(name: str) -> bytes:
    return f'"{DIRECTORY}/{name}"'.encode("ascii")
