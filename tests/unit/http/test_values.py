from __future__ import annotations

import time

import pytest

from headwater.http.values import LARGEST, moment, whole


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("-5", -5),
        ("-0", 0),
        (str(LARGEST), LARGEST),
        (str(LARGEST + 1), LARGEST),
        ("-" + "9" * 5000, -LARGEST),
        ("0" * 5000 + "12", 12),
    ],
)
def test_a_number_is_what_its_value_is_within_the_largest(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("text", ["", "-", "+5", "1.0", "1e3", "0x5", " 5", "5\n", "٣", "²", "--5", "1_000"])
def test_what_is_no_whole_number_is_none(text: str) -> None:
    assert whole(text) is None


def test_a_limit_of_ones_own_clips_more() -> None:
    assert [whole(text, 1000) for text in ("999", "1000", "1001", "9999999999", "-1001")] == [
        999,
        1000,
        1000,
        1000,
        -1000,
    ]


def test_no_time_is_lost_on_many_digits() -> None:
    began = time.perf_counter()
    assert whole("1" * 4_000_000) == LARGEST
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-01T01:00:00", 3600),
        ("1970-01-01T01:00:00Z", 3600),
        ("1970-01-01T01:00:00.5+01:00", 0.5),
        ("1970-01-01T01:00:00 0100", 0),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, seconds: float) -> None:
    assert moment(text) == int(seconds * 1_000_000)


@pytest.mark.parametrize("text", ["", "x", "1970-13-01", "now", "1970-01-01T25:00", "0001-01-01T00:00:00+23:59x"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert moment(text) is None
