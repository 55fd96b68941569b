"""No list of any API asks a database more than it can plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headwater.http.paging import BadQuery, GivenTwice, once
from headwater.images.compute_proxy.http import lists as compute
from headwater.images.http.filters import FILTER_LIMIT, parted
from headwater.images.http_v2.list_query import list_query
from headwater.images.http_v2.metadefs.routes import namespace_query, page_of_parts
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


@pytest.mark.parametrize("name", ["limit", "marker", "os_hidden", "visibility", "member_status", "sort_key"])
@pytest.mark.parametrize("api", READERS)
def test_a_parameter_of_one_value_is_given_once(api: str, name: str) -> None:
    if (api, name) == ("v2", "sort_key"):  # which are several
        assert list_query([(name, "name"), (name, "size")], ImagesSettings()).sort[1] == ("size", "desc")
        return
    for values in (("1", "1"), ("1", "2")):
        with pytest.raises(GivenTwice, match=f"parameter '{name}' is given twice; give it once"):
            READERS[api]([(name, each) for each in values], ImagesSettings())


def test_a_filter_of_the_api_v2_may_be_given_again_and_both_count() -> None:
    found = list_query(
        [("name", "a"), ("size_min", "1"), ("size_min", "2"), ("tag", "x"), ("tag", "y")], ImagesSettings()
    )
    assert [each.value for each in found.conditions if each.column == "size"] == [1, 2]
    assert found.tags == ("x", "y")


@pytest.mark.parametrize("read", [namespace_query, page_of_parts], ids=["namespaces", "parts"])
def test_lists_of_definitions_take_a_parameter_once_as_those_of_images_do(read: Callable[..., Any]) -> None:
    for values in (("1", "1"), ("1", "2")):
        with pytest.raises(GivenTwice, match="'limit' is given twice"):
            read([("limit", each) for each in values])
    assert read([("x", "1"), ("x", "2"), ("limit", "3")]).limit == 3  # what is not known says nothing
    assert once([("limit", "1"), ("x", "1"), ("x", "2")], ("limit",)) == {"limit": "1"}
