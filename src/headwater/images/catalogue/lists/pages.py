"""A page of a list is bounded in bytes, not only in number: one image may hold a mebibyte of properties.

The rows of a page are read in slices, so that never more than one slice is in memory besides what the page shows. The
usual page is one slice: one query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

SLICE = 50  # rows that are read at once
BYTES = 16 << 20  # of what rows hold, about; the row that reaches it is the last of its page


class Listed(list[T]):
    """One page."""

    def __init__(self, items: Iterable[T] = (), *, is_cut: bool = False) -> None:
        """Take what the page shows.

        Args:
            is_cut: It ended before its limit, for its bytes; there may be more after it.
        """
        super().__init__(items)
        self.is_cut = is_cut


def goes_on(page: Sequence[Any], limit: int) -> bool:
    """Return whether there may be a page after this one."""
    return bool(page) and (len(page) == limit or (isinstance(page, Listed) and page.is_cut))


def read(rows_after: Callable[[Any], Sequence[T]], marker: Any, limit: int, weight: Callable[[T], int]) -> Listed[T]:
    """Return the rows of one page, which have ids.

    Args:
        rows_after: Returns the next rows after a marker, at most ``min(limit, SLICE)``.
        marker: After what the page begins; then, the last row of a slice.
        weight: How many bytes a row holds, about.
    """
    found: dict[str, T] = {}  # by id: a row that changes its place between two slices is shown once
    held = 0
    while True:
        rows = rows_after(marker)
        for row in rows:
            found[row.id] = row  # type: ignore[attr-defined]  # every table that is listed has ids
            held += weight(row)
            if len(found) == limit:
                return Listed(found.values())
            if held >= BYTES:
                return Listed(found.values(), is_cut=True)
        if not rows or len(rows) < min(limit, SLICE):
            return Listed(found.values())
        marker = rows[-1]
