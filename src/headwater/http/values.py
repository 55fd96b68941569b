"""Ids and whole numbers as clients write them: in paths, in queries, in headers, in ranges.

A number is judged by its value and never by how many digits it has, so one that is beyond all use counts as the
largest that is of any. No more digits than that are ever computed with.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

LARGEST = 2**63 - 1  # what a catalogue can hold

_WHOLE = re.compile(r"-?[0-9]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def whole(text: str, most: int = LARGEST) -> int | None:
    """Return the number that ``text`` is, or ``most`` (below zero: ``-most``) if it is further from zero than that.

    ``None`` is returned for what is no whole number in decimal digits.
    """
    if not _WHOLE.fullmatch(text):
        return None
    digits = text.removeprefix("-").lstrip("0")
    size = most if len(digits) > len(str(most)) else min(int(digits or "0"), most)
    return -size if text.startswith("-") else size


def canonical_id(text: str) -> str:
    """Return an id as the catalogue has it: in lower case, whatever the client wrote. What is no id stays as it is."""
    return text.lower() if _UUID.fullmatch(text) else text


def moment(text: str) -> int | None:
    """Return a time of ISO 8601, in UTC unless it says otherwise, in microseconds since 1970; ``None`` for no time."""
    try:
        # In a query a "+" that is not encoded is a space.
        found = datetime.fromisoformat(text.replace(" ", "+") if re.search(r" \d\d:?\d\d$", text) else text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return None
