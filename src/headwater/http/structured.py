"""Header fields in the form of RFC 9651: digests of bodies (RFC 9530), and single values.

The fields that have this form say for themselves what becomes of one that is malformed: a digest that cannot be read
is refused, as whoever sends it relies on it; a wish is ignored.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, cast

from http_sf import StructuredFieldError, parse
from starlette.datastructures import Headers

from headwater.errors import Invalid

T = TypeVar("T", bool, int, str)
Fields = Sequence[tuple[bytes, bytes]]  # names in lower case, as ASGI has them

CONTENT_DIGEST, REPR_DIGEST = "Content-Digest", "Repr-Digest"
MOST_IN_KEY = 255
_BARE_KEY = re.compile(r"(?!:)[A-Za-z0-9._~:/+=@-]+")  # a colon begins bytes
# The algorithms of RFC 9530 that are checked, by hashlib's names. MD5 proves nothing against an enemy, and is made of
# every upload anyway. All others are ignored, as the RFC says.
ALGORITHMS: Mapping[str, str] = {"sha-512": "sha512", "sha-256": "sha256", "md5": "md5"}


class MalformedField(Invalid):
    """A structured header field that cannot be read, or holds what it cannot mean."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The header {name} cannot be read: {reason}")
        self.name = name


class MalformedDigest(MalformedField):
    """A digest that no data could have; the answer says which digests are taken."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, f"{reason}; it has the form sha-256=:BASE64:")
        self.headers = {f"Want-{name}": "sha-512=10, sha-256=9"}


class BadIdempotencyKey(MalformedField):
    """An Idempotency-Key that is none."""

    def __init__(self) -> None:
        super().__init__("Idempotency-Key", f'it is a "string" of 1 to {MOST_IN_KEY} visible characters, in quotes')


def idempotency_key(headers: Headers) -> str | None:
    """Return the key that a request is to be known by; ``None`` when it has none.

    The draft wants a string in quotes. Many clients send a UUID without, which is the same key.

    Raises:
        BadIdempotencyKey: It is neither.
    """
    given = _value(headers.raw, "Idempotency-Key")
    if given is None:
        return None
    bare = _BARE_KEY.fullmatch(given.decode("latin-1"))
    try:
        key = bare[0] if bare else item(headers, "Idempotency-Key")
    except MalformedField as error:
        raise BadIdempotencyKey from error
    if type(key) is not str or not 0 < len(key) <= MOST_IN_KEY:
        raise BadIdempotencyKey
    return key


def digests(fields: Fields, name: str) -> list[tuple[str, bytes]]:
    """Return what the field of this name says that bytes hash to: algorithms by hashlib's names, and digests.

    Raises:
        MalformedDigest: It is not what RFC 9530 says, or a digest is not as long as its algorithm makes it.
    """
    given = _value(fields, name)
    if given is None:
        return []
    try:
        members = _members(given)
    except StructuredFieldError as error:
        raise MalformedDigest(name, str(error)) from error
    found = []
    for algorithm, value in members.items():
        if not isinstance(value, bytes):
            raise MalformedDigest(name, f"{algorithm} is no byte sequence")
        known = ALGORITHMS.get(algorithm)
        if known is None:
            continue
        length = hashlib.new(known, usedforsecurity=False).digest_size
        if len(value) != length:
            raise MalformedDigest(name, f"a digest by {algorithm} has {length} bytes, not {len(value)}")
        found.append((known, value))
    return found


def digests_of_body(fields: Fields) -> tuple[tuple[str, bytes], ...]:
    """Return what header or trailer fields say of a body that is the whole of what it represents.

    Raises:
        MalformedDigest: As ``digests`` says.
    """
    return (*digests(fields, CONTENT_DIGEST), *digests(fields, REPR_DIGEST))


def lenient_item(headers: Headers, name: str, kind: type[T]) -> T | None:
    """Return the one value that a field has; ``None`` when it has none of this kind, as if it were not there."""
    try:
        value = item(headers, name)
    except MalformedField:
        return None
    return value if type(value) is kind else None  # a bool is an int to Python only


def algorithms_behind_body(headers: Headers, *names: str) -> tuple[str, ...]:
    """Return by which algorithms, in hashlib's names, a digest may follow the body; none where none is announced.

    Args:
        names: Of the fields that count; by default both.
    """
    announced = {name.strip().lower() for line in headers.getlist("trailer") for name in line.split(",")}
    counting = {name.lower() for name in names or (CONTENT_DIGEST, REPR_DIGEST)}
    return tuple(ALGORITHMS.values()) if announced & counting else ()


def digest_field(hashed: Mapping[str, str], wanted: Mapping[str, int] | None) -> str | None:
    """Return the value of a digest field; ``None`` when there is none to tell.

    Args:
        hashed: Digests in hex, by hashlib's names of their algorithms.
        wanted: How much the client prefers which algorithm, if it said so; else the strongest is told.
    """
    there = {name: hashed[known] for name, known in ALGORITHMS.items() if known in hashed}
    if wanted is None:
        there.pop("md5", None)
        best = next(iter(there), None)
    else:
        best = max((name for name in there if wanted.get(name)), key=lambda name: wanted[name], default=None)
    return None if best is None else f"{best}=:{base64.b64encode(bytes.fromhex(there[best])).decode()}:"


def wanted_digests(headers: Headers, name: str) -> dict[str, int] | None:
    """Return what a client wants a digest to be made by, each with a weight from 0 to 10; ``None``: it does not say."""
    given = _value(headers.raw, f"Want-{name}")
    if given is None:
        return None
    try:
        members = _members(given)
    except StructuredFieldError:
        return None
    return {
        algorithm: weight
        for algorithm, weight in members.items()
        if isinstance(weight, int) and not isinstance(weight, bool) and 0 <= weight <= 10
    }


def item(headers: Headers, name: str) -> object:
    """Return the one value that a field has; ``None`` when it is not there.

    Raises:
        MalformedField: It is there, and is no item of RFC 9651.
    """
    given = _value(headers.raw, name)
    if given is None:
        return None
    try:
        value = parse(given, tltype="item")
    except StructuredFieldError as error:
        raise MalformedField(name, str(error)) from error
    return cast("tuple[object, object]", value)[0]


def _members(given: bytes) -> dict[str, object]:
    parsed = cast("Mapping[str, tuple[object, object]]", parse(given, tltype="dictionary"))
    return {name: value for name, (value, _parameters) in parsed.items()}


def _value(fields: Iterable[tuple[bytes, bytes]], name: str) -> bytes | None:
    wanted = name.lower().encode("ascii")
    values = [value for each, value in fields if each == wanted]
    return b", ".join(values) if values else None
