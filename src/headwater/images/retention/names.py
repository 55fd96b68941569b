"""The names that operators give to editions of one image: what it is called, and a date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

NAME = "name"  # in a family: what an image is called, without a date at its end

_DATED = re.compile(
    r"(?P<name>.*?[^\s._(-])(?:[\s._-]+\(?|\()v?"
    r"(?P<year>(?:19|20)[0-9]{2})(?P<gap>-?)(?P<month>[0-9]{2})(?P=gap)(?P<day>[0-9]{2})"
    r"(?:[T\s._-][0-9:.]{1,15}Z?)?\)?\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Dated:
    """A name taken apart."""

    name: str
    day: date | None  # None: the name has no date at its end


def dated(name: str) -> Dated:
    """Take the date off the end of a name."""
    found = _DATED.fullmatch(name)
    if found is None:
        return Dated(name, None)
    try:
        day = date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        return Dated(name, None)
    return Dated(found["name"], day)
