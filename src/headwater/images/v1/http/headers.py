"""An image in the headers of HTTP, as the API v1 carries it: ``x-image-meta-NAME`` and ``x-image-meta-property-NAME``.

Names are folded: case does not count, and ``-`` is ``_``; so ``x-image-meta-is-public`` says the same as
``x-image-meta-is_public`` and passes proxies that drop underscores.

Values are text in UTF-8. Newer clients (python-glanceclient since 2.11) send them percent-encoded and older ones do
not, and nothing says which. A value that holds only what such an encoding leaves, and at least one ``%XX``, is
taken for encoded. Answers are not encoded, because no client decodes them; but what no header can hold is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from starlette.requests import Request

from headwater.errors import Invalid
from headwater.http.values import whole
from headwater.images.v1.attributes import FIELDS, Description

_META = "x-image-meta-"
_PROPERTY = "x-image-meta-property-"
_COPY_FROM = "x-glance-api-copy-from"
_PURGE = "x-glance-registry-purge-props"

_ENCODED = re.compile(r"(?:[A-Za-z0-9_.~/:+=-]|%[0-9A-Fa-f]{2})*")
_URLS = frozenset({"location", "copy_from", "uri"})
_URL = re.compile(r"[!-~]+")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_NUMBERS = frozenset({"size", "min_disk", "min_ram"})
_SWITCHES = frozenset({"is_public", "protected", "deleted"})
# Where a client of Python writes a null: str(None).
_NULLABLE = frozenset({"owner", "checksum", "disk_format", "container_format", "location", "copy_from"})
# Not ours to be told; shown back by clients that were shown them.
_IGNORED = frozenset({"created_at", "updated_at", "deleted_at", "deleted", "virtual_size", "uri"})
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})  # Source: oslo.utils' bool_from_string
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})


class BadHeader(Invalid):
    """A header that says nothing that could be done."""


def description(request: Request) -> Description:
    """Return what a request says of an image.

    Raises:
        BadHeader: It has an ``x-image-meta-…`` header that is none, or one with a value that it cannot have.
    """
    fields: dict[str, Any] = {}
    properties: dict[str, str] = {}
    copy_from: str | None = None
    for raw_name, raw_value in request.scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name.startswith(_PROPERTY):
            key = _text(name, name.removeprefix(_PROPERTY).encode("latin-1")).replace("-", "_")
            if not key:
                raise BadHeader("Bad header: x-image-meta-property- names no property")
            properties[key] = _text(name, raw_value)
        elif name.startswith(_META):
            key = name.removeprefix(_META).replace("-", "_")
            if key not in FIELDS:
                raise BadHeader(f"Bad header: {name[:80]}")
            if key not in _IGNORED:
                fields[key] = _typed(key, _text(name, raw_value, is_url=key in _URLS))
        elif name == _COPY_FROM:
            copy_from = _text(name, raw_value, is_url=True) or None
    copy_from = fields.pop("copy_from", None) or copy_from
    return Description(
        fields={name: value for name, value in fields.items() if value is not None or name not in _NUMBERS},
        properties=properties,
        copy_from=copy_from,
    )


def purges(request: Request) -> bool:
    """Return whether a change takes away the properties that it does not name; it does unless it says otherwise."""
    value = request.headers.get(_PURGE)
    return value is None or value.strip().lower() in _TRUE


def shown(document: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return an image, as ``documents.image_document`` gives it, as headers."""
    found = [(f"{_META}{name}", value) for name, value in document.items() if name != "properties"]
    found += [
        (_PROPERTY + quote(name.lower(), safe="!#$&'*+-.^_`|~"), value)
        for name, value in document["properties"].items()
    ]
    return [(name.encode(), _line(value)) for name, value in found]


def _line(value: Any) -> bytes:
    if value is None:
        return b""
    # "%0A" for a line end: no value may end its header and begin another.
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"%{ord(found[0]):02X}", str(value)).strip(" ").encode()


def _text(name: str, raw: bytes, *, is_url: bool = False) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BadHeader(f"The header {name[:80]} is not text in UTF-8") from error
    if "%" in text and _ENCODED.fullmatch(text):
        try:
            decoded = unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            return text
        if not is_url or _URL.fullmatch(decoded):
            text = decoded
    if "\x00" in text:
        raise BadHeader(f"The header {name[:80]} holds a NUL character")
    return text


def _typed(name: str, text: str) -> Any:
    if name in _NUMBERS:
        return _number(name, text) if text else None
    if name in _SWITCHES:
        return _switch(name, text)
    if not text or (name in _NULLABLE and text == "None"):
        return None
    if name != "checksum":
        return text
    if not _MD5.fullmatch(text):
        # No data could have it, so the image would be killed by whatever is uploaded.
        raise BadHeader(f"Invalid value '{text[:40]}' for image checksum: it is an MD5, of 32 hexadecimal digits.")
    return text.lower()


def _number(name: str, text: str) -> int:
    number = whole(text)
    if number is None:
        raise BadHeader(f"Cannot convert image {name} '{text[:40]}' to an integer.")
    if number < 0:
        raise BadHeader(f"Invalid value '{text[:40]}' for image {name}: Cannot be a negative value.")
    return number


def _switch(name: str, text: str) -> bool:
    # Source: an option of `glance --os-image-api-version 1` that is not given comes as "None", and means no.
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in (*_FALSE, "none", ""):
        return False
    raise BadHeader(f"Invalid value '{text[:40]}' for {name}: it must be True or False.")
