"""Section 4.6 of the compatibility specification, parameter by parameter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.http.paging import BadQuery
from headwater.images.catalogue.lists.query import SORT_KEYS, Condition, Query
from headwater.images.http_v2.list_query import list_query
from headwater.images.settings import ImagesSettings

SETTINGS = ImagesSettings(limit_default=25, limit_max=1000)
NOT_KILLED = Condition("status", "neq", "killed")
NOON = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 1_000_000


def query(text: str) -> Query:
    return list_query(parse_qsl(text, keep_blank_values=True), SETTINGS)


def conditions(text: str) -> tuple[Condition, ...]:
    return query(text).conditions


def test_without_parameters_the_newest_images_come_first() -> None:
    assert query("") == Query(visibility=None, conditions=(NOT_KILLED,), sort=(("created_at", "desc"),), limit=25)


@pytest.mark.parametrize("name", ["name", "id", "container_format", "disk_format"])
@pytest.mark.parametrize(
    ("text", "comparison", "value"),
    [
        ("x", "eq", "x"),
        ("", "eq", ""),
        ("eq:x", "eq", "x"),
        ("eq:x:y", "eq", "x:y"),
        ("in:x", "in", ("x",)),
        ("in:x,y", "in", ("x", "y")),
        ('in:"x,y",z', "in", ("x,y", "z")),
        ('in:z,"x,y"', "in", ("z", "x,y")),
        ('in:"a:b"', "in", ("a:b",)),
        ("in:", "in", ("",)),
        ("in:a,,b", "in", ("a", "", "b")),
        ('in:"",a', "in", ("", "a")),
        ('in:"in:""a,b""",c', "in", ('in:"a,b"', "c")),
        ('in:""""', "in", ('"',)),
        ("x,y", "eq", "x,y"),
    ],
)
def test_texts_are_compared_by_equality_or_with_a_list(name: str, text: str, comparison: Any, value: Any) -> None:
    found = list_query([(name, text)], SETTINGS).conditions
    assert found == (Condition(name, comparison, value), NOT_KILLED)


def test_a_status_that_is_asked_for_takes_the_place_of_the_default() -> None:
    assert conditions("status=active") == (Condition("status", "eq", "active"),)
    assert conditions("status=in:killed,active") == (Condition("status", "in", ("killed", "active")),)


@pytest.mark.parametrize("name", ["owner", "checksum", "os_hash_value", "os_hash_algo"])
def test_some_columns_are_compared_as_they_are(name: str) -> None:
    assert conditions(f"{name}=in:a")[0] == Condition(name, "eq", "in:a")


@pytest.mark.parametrize("name", ["size", "virtual_size", "min_ram", "min_disk"])
def test_numbers_are_compared_by_equality_and_limits(name: str) -> None:
    assert conditions(f"{name}=5")[0] == Condition(name, "eq", 5)
    assert conditions(f"{name}_min=5")[0] == Condition(name, "gte", 5)
    assert conditions(f"{name}_max=-5")[0] == Condition(name, "lte", -5)
    assert conditions(f"{name}={2**63 - 1}")[0] == Condition(name, "eq", 2**63 - 1)


@pytest.mark.parametrize("beyond", [str(2**63), "1" + "0" * 30, "9" * 5000])
def test_a_number_beyond_all_that_there_can_be_counts_as_the_largest(beyond: str) -> None:
    assert conditions(f"size_max={beyond}")[0] == Condition("size", "lte", 2**63 - 1)
    assert conditions(f"size_min=-{beyond}")[0] == Condition("size", "gte", 1 - 2**63)
    assert list_query([("limit", beyond)], SETTINGS).limit == SETTINGS.limit_max


@pytest.mark.parametrize("text", ["debian:12", "a:b", ":", "a:", ":a", "In:a", "eq", "in", "gt", "http://a/b"])
def test_what_looks_like_an_operator_and_is_none_is_text(text: str) -> None:
    assert conditions(f"name={text}")[0] == Condition("name", "eq", text)


def test_an_id_is_found_however_it_is_written() -> None:
    low = "6ba7b810-9dad-41d1-80b4-00c04fd430aa"
    for written in (low, low.upper(), low.title()):
        assert conditions(f"id={written}")[0] == Condition("id", "eq", low)
        assert conditions(f"id=in:x,{written}")[0] == Condition("id", "in", ("x", low))
        assert list_query([("marker", written)], SETTINGS).marker == low
    assert conditions("id=X")[0] == Condition("id", "eq", "X")


def test_whether_images_are_deleted_is_not_asked_here() -> None:
    assert list_query([("deleted", "true")], SETTINGS) == list_query([], SETTINGS)


@pytest.mark.parametrize("name", ["created_at", "updated_at"])
@pytest.mark.parametrize(
    ("operator", "comparison", "value"),
    [
        ("", "between", (NOON, NOON + 999_999)),
        ("eq:", "between", (NOON, NOON + 999_999)),
        ("neq:", "outside", (NOON, NOON + 999_999)),
        ("gt:", "gt", NOON + 999_999),
        ("gte:", "gte", NOON),
        ("lt:", "lt", NOON),
        ("lte:", "lte", NOON + 999_999),
    ],
)
@pytest.mark.parametrize(
    "time", ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00", "2026-11-20T14:00:00+02:00", "2026-11-20T14:00:00 02:00"]
)
def test_times_are_compared_by_the_seconds_that_the_api_shows(
    name: str, operator: str, comparison: Any, value: Any, time: str
) -> None:
    assert list_query([(name, operator + time)], SETTINGS).conditions[0] == Condition(name, comparison, value)


def test_a_date_is_its_midnight() -> None:
    midnight = NOON - 12 * 3600 * 1_000_000
    assert conditions("created_at=gte:2026-11-20")[0] == Condition("created_at", "gte", midnight)


def test_flags_are_true_or_false() -> None:
    assert conditions("protected=true")[0] == Condition("protected", "eq", True)
    assert conditions("protected=false")[0] == Condition("protected", "eq", False)
    assert [query(f"os_hidden={value}").os_hidden for value in ("true", "TRUE", "False")] == [True, True, False]


def test_a_visibility_is_taken_and_all_is_not_the_same_as_none() -> None:
    assert query("").visibility is None
    for value in ("all", "public", "community", "shared", "private"):
        assert query(f"visibility={value}").visibility == value
        assert conditions(f"visibility={value}") == (NOT_KILLED,)


@pytest.mark.parametrize("value", ["pending", "accepted", "rejected", "all"])
def test_the_status_of_members_is_taken(value: str) -> None:
    assert query(f"member_status={value}").member_status == value
    assert conditions(f"member_status={value}") == (NOT_KILLED,)


def test_every_other_name_is_a_property_and_all_must_hold() -> None:
    assert query("os_distro=ubuntu&x=in:y&os_distro=debian&Name=z").properties == (
        ("os_distro", "ubuntu"),
        ("x", "in:y"),
        ("os_distro", "debian"),
        ("Name", "z"),
    )


def test_tags_may_be_repeated() -> None:
    assert query("tag=b&tag=a&tag=b&tag=").tags == ("b", "a", "")


@pytest.mark.parametrize(("text", "limit"), [("0", 0), ("1", 1), ("1000", 1000), ("1001", 1000), ("9" * 18, 1000)])
def test_a_limit_is_cut_to_the_largest(text: str, limit: int) -> None:
    assert query(f"limit={text}").limit == limit


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("sort_key=name", (("name", "desc"),)),
        ("sort_dir=asc", (("created_at", "asc"),)),
        ("sort_key=name&sort_dir=asc", (("name", "asc"),)),
        ("sort_key=name&sort_key=size&sort_dir=asc", (("name", "asc"), ("size", "asc"))),
        ("sort_key=name&sort_dir=asc&sort_key=size&sort_dir=desc", (("name", "asc"), ("size", "desc"))),
        ("sort=name", (("name", "desc"),)),
        ("sort=name:asc,size", (("name", "asc"), ("size", "desc"))),
        ("sort=name:asc, size:desc", (("name", "asc"), ("size", "desc"))),
        ("sort=name:asc&sort=size:asc", (("name", "asc"), ("size", "asc"))),
        ("sort=name:asc,name:desc", (("name", "asc"),)),
    ],
)
def test_both_ways_to_sort_are_read(text: str, sort: Any) -> None:
    assert query(text).sort == sort


def test_every_key_can_be_sorted_by() -> None:
    for key in SORT_KEYS:
        assert query(f"sort_key={key}").sort == ((key, "desc"),)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("visibility=secret", ("'secret'", "public", "all")),
        ("visibility=", ("visibility", "all")),
        ("member_status=maybe", ("'maybe'", "accepted")),
        ("os_hidden=1", ("'os_hidden'", "'1'", "true or false")),
        ("protected=TRUE", ("'protected'", "'TRUE'", "true or false")),
        ("name=gt:b", ("name", "'gt'", 'in:"gt:b"')),
        ("status=neq:active", ("status", "'neq'")),
        ('name=in:"a', ("name", "quotes")),
        ('name=in:a"b"', ("name", "quotes")),
        ('name=in:"a"b', ("name", "quotes")),
        ("created_at=soon", ("'created_at'", "'soon'", "2026-11-20T09:53:25Z")),
        ("created_at=like:2026-11-20", ("'created_at'", "gt, gte")),
        ("updated_at=", ("'updated_at'",)),
        ("created_at=2026-13-01", ("2026-13-01",)),
        ("size=x", ("'size'", "'x'", "whole number")),
        ("size=", ("'size'",)),
        ("size_min=1.5", ("'size_min'", "'1.5'")),
        ("min_ram_max=0x5", ("'min_ram_max'",)),
        ("size=٣", ("'size'",)),
        ("foo_min=1", ("'foo_min'", "min_disk")),
        ("os_distro_max=1", ("'os_distro_max'",)),
        ("created_at_min=1", ("'created_at_min'",)),
        ("changes-since=2026", ("'changes-since'",)),
        ("properties=x", ("'properties'",)),
        ("locations=x", ("'locations'",)),
        ("members=x", ("'members'",)),
        ("limit=x", ("limit", "'x'")),
        ("limit=-1", ("positive",)),
        ("limit=1e3", ("limit",)),
        ("limit=+5", ("limit",)),
        ("limit=", ("limit",)),
        ("limit=٣", ("limit",)),
        ("sort_key=owner", ("owner", "updated_at")),
        ("sort_key=", ("Invalid sort key",)),
        ("sort_dir=ASC", ("ASC", "asc, desc")),
        ("sort_dir=", ("asc, desc",)),
        ("sort=", ("Invalid sort key",)),
        ("sort=name:up", ("up", "asc, desc")),
        ("sort=name:asc,", ("Invalid sort key",)),
        ("sort=name&sort_dir=asc", ("cannot be combined",)),
        ("sort=name&sort_key=size", ("cannot be combined",)),
        ("sort_key=name&sort_dir=asc&sort_dir=asc", ("Number of sort dirs",)),
        ("name=a%00b", ("'name'", "NUL")),
        ("tag=%00", ("'tag'", "NUL")),
        ("&".join(["tag=x"] + [f"p{number}=x" for number in range(30)] + ["size=1"] * 20), ("at most 50 filters",)),
    ],
)
def test_a_bad_value_is_refused_by_name(text: str, names: tuple[str, ...]) -> None:
    with pytest.raises(BadQuery) as caught:
        query(text)
    for name in names:
        assert name in str(caught.value)
    assert len(str(caught.value)) < 300


NAMES = ["name", "status", "size", "size_min", "created_at", "limit", "sort", "sort_key", "sort_dir", "tag", "marker"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*NAMES, "os_hidden", "protected", "visibility", "x_min"]) | st.text(max_size=8),
            st.text(max_size=12)
            | st.sampled_from(["in:", 'in:"', "gt:0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "²", "-0"]),
        ),
        max_size=5,
    )
)
def test_any_parameters_are_a_query_or_refused(parameters: list[tuple[str, str]]) -> None:
    try:
        found = list_query(parameters, SETTINGS)
    except BadQuery as error:
        assert str(error)
    else:
        assert 0 <= found.limit <= 1000
        assert hash(found) == hash(list_query(parameters, SETTINGS))
