"""What the queries of lists of images have in common, whichever API they are of."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.http.paging import BadQuery, put, readable

FILTER_LIMIT = 50  # of one list; a database takes a minute to plan a question with some hundreds
_PROPERTY = "property-"


def parted(parameters: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters by name, and apart from them the properties that ``property-NAME`` asks for.

    Raises:
        GivenTwice, BadQuery: As ``paging.once`` says.
    """
    given: dict[str, str] = {}
    properties: dict[str, str] = {}
    for name, value in readable(parameters):
        if name.startswith(_PROPERTY):
            put(properties, name.removeprefix(_PROPERTY), value)
        else:
            put(given, name, value)
    return given, properties


def require_few(count: int) -> None:
    """Raise ``BadQuery`` when a list has more filters than ``FILTER_LIMIT``."""
    if count > FILTER_LIMIT:
        raise BadQuery(f"A list takes at most {FILTER_LIMIT} filters; each property, tag and column counts.")
