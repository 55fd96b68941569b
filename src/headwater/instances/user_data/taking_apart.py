"""User data as the pieces that a guest finds in it: decompressed, out of MIME, out of archives, however nested."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from typing import Final

from headwater.instances.user_data.errors import UserDataUnreadable
from headwater.instances.user_data.kinds import GZIP, MULTIPART, Kind, kind_named, kind_of
from headwater.instances.user_data.yaml_documents import NotYaml, loaded

MOST_BYTES: Final = 16 << 20  # of all that is decompressed; user data has 64 KiB, so more is meant to hurt
_DEEPEST: Final = 8
_MOST_PARTS: Final = 200
_TELLS_NOTHING: Final = frozenset({"text/plain", "text/x-not-multipart", "application/octet-stream"})
_COMPRESSED: Final = frozenset({"application/gzip", "application/x-gzip"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of user data that a guest acts on."""

    number: str  # 1, 2, 2.1 …, as it is nested
    kind: Kind | None  # None: guests would not know
    mime: str | None
    name: str | None
    data: bytes


def pieces(data: bytes) -> list[Piece]:
    """Return the pieces of user data; what is one thing is one piece.

    Raises:
        UserDataUnreadable: It is compressed, or several pieces, and broken or beyond all bounds.
    """
    found: list[Piece] = []
    for each in _of(data, None, None, (), _Budget()):
        found.append(each)
        if len(found) > _MOST_PARTS:
            raise UserDataUnreadable("", f"it has more than {_MOST_PARTS} parts")
    return found


class _Budget:
    """How much may still be decompressed, and how often: there are archives that hold themselves."""

    def __init__(self) -> None:
        self.left = MOST_BYTES
        self.times = _MOST_PARTS

    def decompressed(self, data: bytes, number: str) -> bytes:
        self.times -= 1
        if self.times < 0:
            raise UserDataUnreadable(number, "it is compressed again and again")
        unpacking = zlib.decompressobj(wbits=31)
        try:
            whole = unpacking.decompress(data, self.left + 1)
        except zlib.error as error:
            raise UserDataUnreadable(number, "it begins as gzip does, and is broken") from error
        if len(whole) > self.left:
            raise UserDataUnreadable(number, f"it is more than {MOST_BYTES >> 20} MiB when it is decompressed")
        if not unpacking.eof:
            raise UserDataUnreadable(number, "it is compressed with gzip, and its end is missing")
        self.left -= len(whole)
        return whole


_Place = tuple[int, ...]


def _of(data: bytes, mime: str | None, name: str | None, place: _Place, budget: _Budget) -> Iterator[Piece]:
    number = ".".join(map(str, place))
    if len(place) > _DEEPEST:
        raise UserDataUnreadable(number, "parts are nested too deeply")
    kind = kind_of(data)
    if kind is GZIP and (mime is None or mime in _TELLS_NOTHING or mime in _COMPRESSED):
        yield from _of(budget.decompressed(data, number), None, name, (*place, 1) if place else (), budget)
    elif kind is MULTIPART and (mime is None or mime in _TELLS_NOTHING):
        yield from _in_message(BytesParser().parsebytes(data), place, budget)
    elif kind is not None and kind.name == "cloud-config-archive":
        yield from _in_archive(data, place, budget)
    else:
        tells = mime is not None and mime not in _TELLS_NOTHING
        named = kind_named(mime) if tells and mime is not None else kind
        if named is not None and kind is not None and named.mime == kind.mime:
            named = kind  # PowerShell and shell scripts have one type
        yield Piece(number=number or "1", kind=named, mime=mime, name=name, data=data)


def _in_message(message: Message, place: _Place, budget: _Budget) -> Iterator[Piece]:
    if not message.is_multipart():
        yield from _of(_payload(message), _type_of(message), message.get_filename(), (*place, 1), budget)
        return
    leaves = [each for each in message.walk() if not each.is_multipart()]
    for position, each in enumerate(leaves, 1):
        yield from _of(_payload(each), _type_of(each), each.get_filename(), (*place, position), budget)


def _type_of(message: Message) -> str:
    return message.get_content_type()


def _payload(message: Message) -> bytes:
    payload = message.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _in_archive(data: bytes, place: _Place, budget: _Budget) -> Iterator[Piece]:
    number = ".".join(map(str, place))
    try:
        entries = loaded(data)
    except NotYaml as error:
        raise UserDataUnreadable(number, "the archive is no YAML") from error
    if not isinstance(entries, list):
        raise UserDataUnreadable(number, "the archive is no list")
    for position, entry in enumerate(entries, 1):
        item = {"content": entry} if isinstance(entry, str) else entry
        content = item.get("content") if isinstance(item, dict) else None
        if not isinstance(content, str | bytes):
            raise UserDataUnreadable(f"{number or '1'}.{position}", "an entry of the archive has no content")
        body = content if isinstance(content, bytes) else content.encode()
        name, mime = item.get("filename"), item.get("type")
        # An archive's entries without a type are cloud-configs unless they begin otherwise.
        mime = mime if isinstance(mime, str) else None if kind_of(body) else "text/cloud-config"
        yield from _of(body, mime, name if isinstance(name, str) else None, (*(place or (1,)), position), budget)
