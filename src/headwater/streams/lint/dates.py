"""Dates as feeds write them, and what their strictest reader takes."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

_ZONE: Final = re.compile(r".* [+-][0-9]{4}")


def date_problem(value: str) -> str:
    """Return what is wrong with a date, as the end of a sentence; empty: nothing."""
    try:
        if value[:1].isdecimal():
            datetime.fromisoformat(value)
            return ""
        parsedate_to_datetime(value)
    except ValueError:
        return f"{value!r} is no date"
    return "" if _ZONE.fullmatch(value) else f"{value!r} has no numeric zone such as +0000"
