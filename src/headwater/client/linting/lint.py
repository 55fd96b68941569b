"""What a profile is, and images held against one: pure rules on the documents that the API gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

Document = dict[str, Any]


class Level(StrEnum):
    """How much a profile minds."""

    ERROR = "error"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is missing or wrong."""

    image_id: str
    name: str | None
    property: str  # or another attribute of the image
    level: Level
    problem: str
    allowed: str  # what would be right


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What a profile wants of one property."""

    property: str
    allowed: str
    is_right: Callable[[str], bool] = bool
    absent: Level | None = None  # what it is when it is not there; None: it need not be


Check = Callable[[Document, date], Iterable[tuple[str, Level, str, str]]]  # property, level, problem, allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a standard wants of images."""

    wants: Sequence[Want]
    checks: Sequence[Check] = ()  # what is about more than one property, or depends on the day
    unique: Sequence[str] = ()  # of the images that have ``unique_value`` no two have these properties in common
    unique_value: tuple[str, str] = ("", "")


def lint(images: Iterable[Document], profile: Profile, today: date) -> Iterator[Finding]:
    """Yield what is missing or wrong, image by image."""
    seen: dict[tuple[str, ...], str] = {}
    for image in images:

        def finding(name: str, level: Level, problem: str, allowed: str, image: Document = image) -> Finding:
            return Finding(str(image["id"]), image.get("name"), name, level, problem, allowed)

        for want in profile.wants:
            value = image.get(want.property)
            if value is None or value == "":
                if want.absent is not None:
                    yield finding(want.property, want.absent, "is missing", want.allowed)
            elif not want.is_right(str(value)):
                yield finding(want.property, Level.ERROR, f"is {str(value)[:80]!r}", want.allowed)
        for check in profile.checks:
            for found in check(image, today):
                yield finding(*found)
        name, wanted = profile.unique_value
        if profile.unique and image.get(name) == wanted:
            key = tuple(str(image.get(each)) for each in profile.unique)
            other = seen.setdefault(key, str(image["id"]))
            if other != image["id"]:
                problem = f"is {wanted!r}, as of image {other}, which has the same {', '.join(profile.unique)}"
                yield finding(name, Level.ERROR, problem, "of such images one only; hide the older one")


def day_of(value: str) -> date | None:
    """Return the day that a text names, as YYYY-MM-DD with or without a time."""
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(value, form).date()
        except ValueError:
            continue
    return None


def is_day(value: str) -> bool:
    """Return whether a text is a day and nothing else."""
    return len(value) == len("YYYY-MM-DD") and day_of(value) is not None
