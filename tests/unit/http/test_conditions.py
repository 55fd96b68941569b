from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from headwater.errors import RangeNotSatisfiable
from headwater.http.conditions import NotAsExpected, SeveralRanges, is_held, wanted_range

ETAG = '"e"'
AT = 1_800_000_000.0
DATE, EARLIER = "Fri, 15 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 07:59:59 GMT"
OLD_DATES = ("Fri Jan 15 08:00:00 2027", "Friday, 15-Jan-27 08:00:00 GMT")  # RFC 9110, 5.6.7: still to be read
NO_DATES = (
    *("yesterday", "", "Fri, 99 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 99999 08:00:00 GMT", "-1"),
    *("Fri, 15 Jan 2027 08:00:00 +9999", "Fri, 15 Jan 2027 08:00:00 +" + "9" * 16),
)


def headers(*lines: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for name, value in lines])


@pytest.mark.parametrize("tags", ['"e"', 'W/"e"', 'w/"e"', '"a","e"', '"a, b" , W/"e"', 'a, ,"e"', "*", " * "])
def test_if_none_match_has_what_one_of_its_tags_names(tags: str) -> None:
    assert is_held(headers(("if-none-match", tags)), ETAG)


@pytest.mark.parametrize("tags", ['"a"', "e", 'W/e, "a"', '"a, e"', "", '"E"', '"e', '"*"'])
def test_if_none_match_has_not_what_none_of_its_tags_names(tags: str) -> None:
    assert not is_held(headers(("if-none-match", tags), ("if-modified-since", DATE)), ETAG, AT)


def test_a_list_may_stand_in_several_lines() -> None:
    assert is_held(headers(("if-none-match", '"a"'), ("if-none-match", '"e"')), ETAG)


def test_what_was_not_modified_since_a_date_is_held_and_no_date_says_nothing() -> None:
    assert all(is_held(headers(("if-modified-since", date)), ETAG, AT) for date in (DATE, *OLD_DATES))
    assert not is_held(headers(("if-modified-since", EARLIER)), ETAG, AT)
    assert not is_held(headers(("if-modified-since", DATE)), ETAG)
    assert not any(is_held(headers(("if-modified-since", date)), ETAG, AT) for date in NO_DATES)


def test_if_match_compares_strongly_and_decides_before_all_others() -> None:
    assert not is_held(headers(("if-match", '"a", "e"'), ("if-unmodified-since", EARLIER)), ETAG, AT)
    for tags in ('"a"', 'W/"e"', "e", ""):
        with pytest.raises(NotAsExpected, match="If-Match"):
            is_held(headers(("if-match", tags), ("if-none-match", "*")), ETAG)


def test_what_was_modified_since_is_not_what_if_unmodified_since_expects() -> None:
    assert not is_held(headers(("if-unmodified-since", DATE)), ETAG, AT)
    assert not is_held(headers(("if-unmodified-since", EARLIER)), ETAG)
    assert not any(is_held(headers(("if-unmodified-since", date)), ETAG, AT) for date in NO_DATES)
    with pytest.raises(NotAsExpected, match="If-Unmodified-Since"):
        is_held(headers(("if-unmodified-since", EARLIER)), ETAG, AT)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("bytes=0-9", range(10)),
        ("BYTES=3-", range(3, 100)),
        ("Bytes = 0-0", range(1)),
        ("bytes=0-9,", range(10)),
        ("bytes=, ,5-6", range(5, 7)),
        ("bytes=-7", range(93, 100)),
        ("bytes=-1000", range(100)),
        ("bytes=0000000000000000000000000000000000000000000000000000000000000000005-6", range(5, 7)),
        ("bytes=90-9223372036854775807", range(90, 100)),
        ("bytes=90-" + "9" * 5000, range(90, 100)),
        ("bytes=-" + "9" * 5000, range(100)),
        ("items=0-3", None),
        ("pages=1", None),
        ("byte=0-3", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_range_is_clipped_to_what_there_is_and_other_units_are_ignored(given: str, wanted: range | None) -> None:
    assert wanted_range(headers(("range", given)), 100, ETAG) == wanted


@pytest.mark.parametrize(
    "given",
    [
        *(
            "bytes=100-",
            "bytes=9-5",
            "bytes=-0",
            "bytes=-",
            "bytes=",
            "bytes",
            "bytes=a-b",
            "bytes=" + "9" * 5000 + "-",
        ),
        *("bytes=--5", "bytes=5--3", "bytes=+1-2", "bytes=1_0-20", "bytes=\u0663-\u0664", "bytes=0-5-9"),
    ],
)
def test_a_range_of_bytes_that_cannot_be_is_not_satisfiable(given: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        wanted_range(headers(("range", given)), 100, ETAG)


def test_several_ranges_are_refused_in_one_line_or_in_two() -> None:
    for lines in (
        [("range", "bytes=0-1,5-6")],
        [("range", "bytes=5-6,0-1")],
        [("range", "bytes=-1,x")],
        [("range", "bytes=0-1"), ("range", "5-6")],
    ):
        with pytest.raises(SeveralRanges):
            wanted_range(headers(*lines), 100, ETAG)


def test_a_range_of_another_representation_is_ignored_whatever_it_says() -> None:
    for condition in ('"other"', 'W/"e"', DATE, "yesterday", "*"):
        assert wanted_range(headers(("range", "bytes=500-,1-2"), ("if-range", condition)), 100, ETAG) is None
    assert wanted_range(headers(("range", "bytes=0-1"), ("if-range", ' "e" ')), 100, ETAG) == range(2)


def test_the_older_header_is_taken_where_it_can_be() -> None:
    for given, wanted in {
        "bytes 3-14/15": range(3, 15),
        "bytes 3-99/*": range(3, 15),
        "Bytes 0-0/15": range(1),
        f"bytes  3-{'9' * 5000}/*": range(3, 15),
    }.items():
        assert wanted_range(headers(("content-range", given)), 15, ETAG) == wanted
    for given in (
        "bytes 3-16/15",
        "bytes 3-15/15",
        "bytes */15",
        "bytes 9-3/15",
        "nonsense",
        "bytes 15-16/*",
        "bytes 3-9/-5",
    ):
        with pytest.raises(RangeNotSatisfiable):
            wanted_range(headers(("content-range", given)), 15, ETAG)
