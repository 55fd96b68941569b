"""Which images follow each other: a family is what people think of as one image that gets newer.

Operators give each edition of an image a name of its own, with a date at its end (``ubuntu-24.04-20260705``, ``Ubuntu
24.04 (20260705)``), or give the newest one the plain name. Either way they are one family here: what they are called
without the date, or what their properties say they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from headwater.images.model import Image
from headwater.images.retention.names import NAME, dated

BUILD_DATE = "image_build_date"  # of SCS-0102: YYYY-MM-DD, or with a time


def family(image: Image, keys: Sequence[str]) -> tuple[str, ...] | None:
    """Return what the image has in common with the others of its family; ``None``: it is in none.

    Args:
        keys: As ``RetentionRule.family``.
    """
    values: list[str] = []
    for key in keys:
        name, may_be_absent = key.removesuffix("?"), key.endswith("?")
        value = dated(image.name).name if name == NAME and image.name else image.properties.get(name)
        if not value and not may_be_absent:
            return None
        values.append(value or "")
    return tuple(values)


def day_of(image: Image) -> date:
    """Return of which day the image is: when it was built, as a property or its name says, or else came here."""
    built = _day(image.properties.get(BUILD_DATE, ""))
    named = dated(image.name).day if image.name else None
    return built or named or datetime.fromtimestamp(image.created_at // 1_000_000, UTC).date()


def age_key(image: Image) -> tuple[date, int, str]:
    """Return what images of a family are ordered by, oldest first."""
    return day_of(image), image.created_at, image.id


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None
