"""The newest image of those that are alike: what one stable URL leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headwater.errors import NotFound
from headwater.identity.caller import Caller
from headwater.images.catalogue.lists.query import Condition, Query
from headwater.images.model import Image, Status
from headwater.images.retention.families import age_key
from headwater.images.retention.names import dated
from headwater.images.service import Images

PAGE, PAGES = 1000, 5  # so many images are looked at, of each way in which a name may be written

_ACTIVE = Condition("status", "eq", Status.ACTIVE.value)
# Between a name and its date stands one of these characters: see ``families.dated``.
_FIRST, _LAST = " ", "_\U0010ffff"


class NoNewest(NotFound):
    """No image is as the caller asks for, or none that it sees and can use."""

    def __init__(self) -> None:
        super().__init__("No active image that you see is like this; GET /v2/images with the same filters lists more")


class Newest:
    """The use case; safe to use from several threads."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def find(self, caller: Caller, query: Query) -> Image:
        """Return the newest image that a list by ``query`` would show and that is active.

        A name that is asked for is that of a family: an image may have a date at the end of its own. What is newest is
        decided as for the rules of retention.

        Raises:
            Forbidden: The caller may not list images.
            NoNewest: There is none.
        """
        found = [image for each in _queries(query) for image in self._all(caller, each)]
        named = _name(query)
        alike = [image for image in found if named is None or dated(image.name or "").name == named]
        if not alike:
            raise NoNewest
        return max(alike, key=age_key)

    def _all(self, caller: Caller, query: Query) -> Iterator[Image]:
        for _ in range(PAGES):
            page = self._images.page(caller, query)
            yield from page
            if not page or (len(page) < query.limit and not page.is_cut):
                return
            query = replace(query, after=page[-1])


def _name(query: Query) -> str | None:
    wanted = (each.value for each in query.conditions if each.column == "name" and each.comparison == "eq")
    name = next(wanted, None)
    return None if name is None else str(name)


def _queries(query: Query) -> list[Query]:
    """Return the lists in which to look: by name two, as it is and with something after it, newest date first."""
    others = tuple(each for each in query.conditions if each.column not in ("name", "status"))
    base = replace(query, limit=PAGE, conditions=(*others, _ACTIVE))
    name = _name(query)
    if name is None:
        names = tuple(each for each in query.conditions if each.column == "name")
        return [replace(base, conditions=(*base.conditions, *names))]
    plain = Condition("name", "eq", name)
    longer = Condition("name", "between", (name + _FIRST, name + _LAST))
    return [
        replace(base, conditions=(*base.conditions, plain)),
        replace(base, conditions=(*base.conditions, longer), sort=(("name", "desc"),)),
    ]
