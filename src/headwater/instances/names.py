"""Which texts may name things, because guests parse them line by line and write them into files."""

from __future__ import annotations

import re
import unicodedata
import uuid

from headwater.instances.errors import InstanceInvalid

NAME_LIMIT = 255  # characters
HOSTNAME_LIMIT = 253  # characters of a full name; a label has at most 63
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
# Control characters, halves of surrogate pairs, line and paragraph separators.
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})


def require_text(field: str, value: str, *, limit: int = NAME_LIMIT) -> None:
    """Accept one line of 1 to ``limit`` characters.

    Raises:
        InstanceInvalid: It is empty or too long, or holds a line break, control character or no Unicode.
    """
    if value != value.strip():
        raise InstanceInvalid(field, "give a text that is not empty and neither begins nor ends with a space")
    require_line(field, value, limit=limit)


def require_line(field: str, value: str, *, limit: int = NAME_LIMIT) -> None:
    """Accept as ``require_text`` does, also with spaces at both ends."""
    if not value:
        raise InstanceInvalid(field, "give a text that is not empty")
    if len(value) > limit:
        raise InstanceInvalid(field, f"{len(value)} characters are more than the {limit} allowed")
    if any(unicodedata.category(character) in _NO_TEXT for character in value):
        raise InstanceInvalid(field, "it holds a line break, a control character, or bytes that are not UTF-8")


def require_hostname(value: str) -> None:
    """Accept a host name of RFC 1123: labels of letters, digits and inner hyphens, joined by dots.

    Raises:
        InstanceInvalid: It is something else.
    """
    if len(value) > HOSTNAME_LIMIT or not all(_LABEL.fullmatch(label) for label in value.split(".")):
        raise InstanceInvalid(
            "hostname",
            f"{value[:64]!r} is no host name; use letters, digits and hyphens, at most 63 in a row, joined by dots",
        )


def hostname_from(name: str, instance_id: str) -> str:
    """Return the host name closest to a display name, or one made from the id when nothing is left of it."""
    labels = [re.sub(r"[^a-z0-9]+", "-", label).strip("-")[:63].strip("-") for label in name.lower().split(".")]
    hostname = ".".join(label for label in labels if label)
    while len(hostname) > HOSTNAME_LIMIT:
        hostname = hostname.rpartition(".")[0]
    return hostname or f"host-{instance_id[:8]}"


def is_uuid(text: str) -> bool:
    """Whether this is a UUID in its usual form, lower case with hyphens."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def require_uuid(field: str, value: str) -> None:
    """Accept a UUID in lower case with hyphens.

    Raises:
        InstanceInvalid: It is something else.
    """
    if not is_uuid(value):
        raise InstanceInvalid(
            field, f"{value[:64]!r} is no UUID; write it as b65cee2f-8c69-4aeb-be2f-f79742548fc2, in lower case"
        )
