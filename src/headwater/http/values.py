"""Ids and whole numbers as clients write them: in paths, in queries, in headers, in ranges.

A number is judged by its value and never by how many digits it has, so one that is beyond all use counts as the
largest that is of any. No more digits than that are ever computed with.
"""

from __future__ import annotations

import re

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
