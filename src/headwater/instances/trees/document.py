"""One answer: ready bytes and how a guest must read them."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import msgspec

TEXT = "text/plain; charset=UTF-8"
JSON = "application/json"
# Neutron's agent decodes and encodes every body; only this charset carries any byte through it.
BYTES = "text/plain; charset=ISO-8859-1"

SEED_BYTES = 512


# gc=False: a hundred of each guest are kept, none can be part of a cycle, and to look through all of them would stop
# every request for a quarter of a second, again and again.
class Document(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one path answers. Only the random seed is not in it: that is new on every read."""

    body: bytes
    content_type: str
    seed_at: int | None = None  # where in body the base64 of a random seed goes
    # With its quotes, the same in every process; weak where each read has another random seed and the rest is the same.
    etag: str = ""

    def __post_init__(self) -> None:
        tag = f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'
        msgspec.structs.force_setattr(self, "etag", tag if self.seed_at is None else f"W/{tag}")

    def read(self, entropy: Callable[[int], bytes]) -> bytes:
        """Return the body, with a random seed from ``entropy`` where it has one."""
        if self.seed_at is None:
            return self.body
        return self.body[: self.seed_at] + b64encode(entropy(SEED_BYTES)) + self.body[self.seed_at :]


def text(value: str) -> Document:
    """A listing or a leaf."""
    return Document(body=value.encode(), content_type=TEXT)


def text_of_json(value: object) -> Document:
    """A JSON document that is read as YAML, as text and in lines."""
    return Document(body=json.dumps(value, indent=2).encode("ascii") + b"\n", content_type=TEXT)


def json_document(value: object) -> Document:
    """A JSON document, in ASCII so that no hop on the way can spoil it."""
    return Document(body=_dump(value), content_type=JSON)


def seeded_json_document(value: dict[str, Any], *, after: str) -> Document:
    """A JSON object that gets a new ``random_seed`` on every read, as the next key after ``after``."""
    keys = list(value)
    split = keys.index(after) + 1
    head = _dump({key: value[key] for key in keys[:split]}).removesuffix(b"}") + b', "random_seed": "'
    rest = _dump({key: value[key] for key in keys[split:]}).removeprefix(b"{")
    tail = b'"}' if rest == b"}" else b'", ' + rest
    return Document(body=head + tail, content_type=JSON, seed_at=len(head))


def raw(value: bytes) -> Document:
    """User data: the bytes as they are, under the charset that keeps them so."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return Document(body=value, content_type=BYTES)
    return Document(body=value, content_type=TEXT)


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode("ascii")
