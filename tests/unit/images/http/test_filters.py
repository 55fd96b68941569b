"""No list of any API asks a database more than it can plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headwater.http.paging import BadQuery
from headwater.images.compute_proxy.http import lists as compute
from headwater.images.http.filters import FILTER_LIMIT, parted
from headwater.images.http_v2.list_query import list_query
from headwater.images.settings import ImagesSettings
from headwater.images.v1.http import lists as v1

READERS: dict[str, Callable[..., Any]] = {"v1": v1.wanted, "v2": list_query, "compute": compute.query}


@pytest.mark.parametrize("api", READERS)
def test_a_list_has_so_many_filters_and_no_more(api: str) -> None:
    filters = [(f"property-{number}", "x") for number in range(FILTER_LIMIT + 1)]
    assert READERS[api](filters[:-1], ImagesSettings())
    with pytest.raises(BadQuery, match=f"at most {FILTER_LIMIT} filters"):
        READERS[api](filters, ImagesSettings())


@pytest.mark.parametrize("api", READERS)
@pytest.mark.parametrize("parameter", [("name", "a\0"), ("property-\0", "x")], ids=["value", "name"])
def test_what_no_database_takes_is_refused(api: str, parameter: tuple[str, str]) -> None:
    with pytest.raises(BadQuery, match="NUL character"):
        READERS[api]([parameter], ImagesSettings())


def test_properties_are_asked_for_by_their_names() -> None:
    assert parted([("name", "a"), ("property-name", "b")]) == ({"name": "a"}, {"name": "b"})
