"""The question of a list: for whom it is, what of the catalogue it shows, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headwater.images.model import Image

Direction = Literal["asc", "desc"]
Comparison = Literal["eq", "neq", "gt", "gte", "lt", "lte", "in", "between", "outside"]

SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter on one column of the image: ``column comparison value``."""

    column: str
    comparison: Comparison
    value: Any  # for "in": a tuple; for "between" and "outside": the first and the last value


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """For whom a list is made."""

    project_id: str | None = None
    sees_all: bool = False  # an admin: every image, though others' community images only when asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list shows: all filters hold, ordered by ``sort``, ``limit`` images after ``marker``."""

    viewer: Viewer = Viewer(sees_all=True)
    # public, community, shared or private; "all": of any visibility; None: what the viewer works with,
    # which others' community images are not part of.
    visibility: str | None = "all"
    member_status: str = "accepted"  # which images that others share count; "all": whatever was said to them

    conditions: tuple[Condition, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    os_hidden: bool = False
    sort: tuple[tuple[str, Direction], ...] = (("created_at", "desc"), ("id", "desc"))
    marker: str | None = None
    after: Image | None = None  # in place of a marker: begin after an image that is in no list any more
    limit: int = 25


def total_order(sort: Sequence[tuple[str, Direction]]) -> tuple[tuple[str, Direction], ...]:
    """Append the tie-breakers, so that no two images are equal in the order.

    Source: Glance appends created_at and id, in the direction of the only key, else descending.
    """
    given = [key for key, _ in sort]
    direction: Direction = sort[0][1] if len(sort) == 1 else "desc"
    rest = [(key, direction) for key in ("created_at", "id") if key not in given]
    order = [*sort, *rest]
    # Nothing sorts after the id, as no two are equal.
    last = next(place for place, (key, _) in enumerate(order) if key == "id")
    return tuple(order[: last + 1])
