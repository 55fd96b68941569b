"""Deleted images in lists, which only the API v1 shows: to admins, and to a project what was its own.

What an image was lies in one document, so filters and order are judged here and not in SQL. They are read in
blocks and only as many are kept as the list shows, so the memory is that of a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.catalogue.lists.listing import Condition, Query, total_order
from headwater.images.model import Image, Status

_BLOCK = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """One image as a list shows it."""

    image: Image
    deleted_at: int | None = None  # microseconds since 1970; None: it lives


def as_deleted(image: Image, deleted_at: int) -> Shown:
    """Return an image that is no more, as it is shown."""
    return Shown(replace(image, status=Status.DELETED, updated_at=max(image.updated_at, deleted_at)), deleted_at)


def page(catalogue: ImageCatalogue, query: Query, *, since: int, owner: str | None, after: Image | None) -> list[Shown]:
    """Return the first of the deleted images that ``query`` asks for, in its order; its viewer does not count.

    Args:
        since: Only those deleted at this time (microseconds since 1970) or later.
        owner: Only those of this project; ``None``: of every project.
        after: Only what comes after this image in the order.
    """
    best: list[Shown] = []
    for shown in _all(catalogue, since, owner):
        if not fits(shown.image, query) or (after is not None and not _is_after(shown.image, after, query)):
            continue
        best.append(shown)
        if len(best) >= 2 * max(query.limit, 1):
            best = in_line(best, query)
    return in_line(best, query)


def in_line(found: list[Shown], query: Query) -> list[Shown]:
    """Return what the page of ``query`` shows of ``found``, in its order."""
    by_id = {each.image.id: each for each in found}
    return [by_id[image.id] for image in _in_order([each.image for each in found], query)][: query.limit]


def _in_order(found: list[Image], query: Query) -> list[Image]:
    def value(image: Image, key: str) -> tuple[bool, Any]:
        held = getattr(image, key)
        return held is not None, held

    for key, direction in reversed(total_order(query.sort)):
        found = sorted(found, key=lambda image, key=key: value(image, key), reverse=direction == "desc")  # type: ignore[misc]  # binds this turn's key
    return found


def _all(catalogue: ImageCatalogue, since: int, owner: str | None) -> Iterator[Shown]:
    after = ""
    while True:
        block = catalogue.deleted(since=since, limit=_BLOCK, owner=owner, after=after)
        yield from (as_deleted(image, deleted_at) for image, deleted_at in block)
        if len(block) < _BLOCK:
            return
        since, after = block[-1][1], block[-1][0].id


def _is_after(image: Image, marker: Image, query: Query) -> bool:
    return image.id != marker.id and _in_order([image, marker], query)[0].id == marker.id


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda held, value: bool(held == value),
    "neq": lambda held, value: bool(held != value),
    "gt": lambda held, value: bool(held > value),
    "gte": lambda held, value: bool(held >= value),
    "lt": lambda held, value: bool(held < value),
    "lte": lambda held, value: bool(held <= value),
    "in": lambda held, value: held in value,
    "between": lambda held, value: bool(value[0] <= held <= value[1]),
    "outside": lambda held, value: not value[0] <= held <= value[1],
}


def fits(image: Image, query: Query) -> bool:
    """Return whether all filters of ``query`` hold; an absent value holds none."""
    return (
        all(_holds(image, condition) for condition in query.conditions)
        and all(image.properties.get(name) == value for name, value in query.properties)
        and set(query.tags) <= set(image.tags)
    )


def _holds(image: Image, condition: Condition) -> bool:
    held = getattr(image, condition.column)
    return held is not None and _COMPARISONS[condition.comparison](held, condition.value)
