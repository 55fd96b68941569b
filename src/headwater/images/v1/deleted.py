"""Deleted images in lists, which only the API v1 shows: to admins, and to a project what was its own.

What an image was lies in one document, so filters are judged here and not in SQL. Where few were deleted since the
time asked for, these are read. Where many were, they are read from an index in the order in which they were created,
which is that of most lists, until the page is full. Only a list in another order goes over all of them. They are read
in blocks and only as many are kept as the list shows, so the memory is that of a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.lists.query import Condition, Direction, Query, total_order
from headwater.images.model import Image, Status

_BLOCK = 100
_FEW = 1000  # of these the page is found by looking at all


@dataclass(frozen=True, slots=True)
class Shown:
    """One image as a list shows it."""

    image: Image
    deleted_at: int | None = None  # microseconds since 1970; None: it lives


def as_deleted(image: Image, deleted_at: int) -> Shown:
    """Return an image that is no more, as it is shown."""
    status = image.status if image.status is Status.PENDING_DELETE else Status.DELETED
    return Shown(replace(image, status=status, updated_at=max(image.updated_at, deleted_at)), deleted_at)


def page(catalogue: ImageRows, query: Query, *, since: int, owner: str | None, after: Image | None) -> list[Shown]:
    """Return the first of the deleted images that ``query`` asks for, in its order; its viewer does not count.

    Args:
        since: Only those deleted at this time (microseconds since 1970) or later.
        owner: Only those of this project; ``None``: of every project.
        after: Only what comes after this image in the order.
    """

    def shown(found: Iterable[tuple[Image, int]]) -> Iterator[Shown]:
        for image, deleted_at in found:
            each = as_deleted(image, deleted_at)
            if fits(each.image, query) and (after is None or _is_after(each.image, after, query)):
                yield each

    direction = _by_age(query)
    if direction is None or catalogue.count_deleted(since=since, owner=owner, most=_FEW + 1) <= _FEW:
        return _first(shown(_by_deletion(catalogue, since, owner)), query)
    aged = shown(_in_order_of_age(catalogue, since, owner, after, newest_first=direction == "desc"))
    return _first(chain(islice(aged, query.limit), shown(_of_no_age(catalogue, since, owner))), query)


def _by_age(query: Query) -> Direction | None:
    """Return the direction of a list by the time of creation; ``None`` for a list in another order."""
    order = total_order(query.sort)
    directions = {direction for _, direction in order}
    is_so = [key for key, _ in order] == ["created_at", "id"] and len(directions) == 1
    return order[0][1] if is_so else None


def _first(found: Iterable[Shown], query: Query) -> list[Shown]:
    best: list[Shown] = []
    for each in found:
        best.append(each)
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


Block = list[tuple[Image, int]]


def _blocks(block_after: Callable[[tuple[Image, int] | None], Block]) -> Iterator[tuple[Image, int]]:
    last = None
    while block := block_after(last):
        yield from block
        if len(block) < _BLOCK:
            return
        last = block[-1]


def _by_deletion(catalogue: ImageRows, since: int, owner: str | None) -> Iterator[tuple[Image, int]]:
    def block(last: tuple[Image, int] | None) -> Block:
        begin, after = (since, "") if last is None else (last[1], last[0].id)
        return catalogue.deleted(since=begin, limit=_BLOCK, owner=owner, after=after)

    return _blocks(block)


def _in_order_of_age(
    catalogue: ImageRows, since: int, owner: str | None, after: Image | None, *, newest_first: bool
) -> Iterator[tuple[Image, int]]:
    def block(last: tuple[Image, int] | None) -> Block:
        begin = after if last is None else last[0]
        return catalogue.deleted_by_age(
            since=since,
            limit=_BLOCK,
            newest_first=newest_first,
            owner=owner,
            after=None if begin is None else (begin.created_at, begin.id),
        )

    return _blocks(block)


def _of_no_age(catalogue: ImageRows, since: int, owner: str | None) -> Iterator[tuple[Image, int]]:
    return _blocks(
        lambda last: catalogue.deleted_of_no_age(
            since=since, limit=_BLOCK, owner=owner, after="" if last is None else last[0].id
        )
    )


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
