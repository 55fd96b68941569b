from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from headwater.streams.query.filters import Filter, FilterUnusable, version_order


@pytest.mark.parametrize(
    ("text", "passing", "failing"),
    [
        ("arch=amd64", ["amd64"], ["arm64", "AMD64", "amd64 ", "", None]),
        ("arch = amd64", ["amd64"], [" amd64"]),
        ("arch=", ["", None], ["amd64"]),
        ("arch!=amd64", ["arm64", "", None], ["amd64"]),
        ("arch==amd64", ["=amd64"], ["amd64"]),
        ("ftype~(disk1.img|disk.img)", ["disk1.img", "xdisk.imgx"], ["squashfs", "", None]),
        ("ftype~^$", ["", None], ["x"]),
        ("ftype!~^sq", ["disk1.img", "", None], ["squashfs"]),
        ("ftype!~", [], ["x", "", None]),
        ("release~(?i)NOBLE", ["noble"], ["jammy"]),
        ("a-b_c|d.e=1", ["1"], ["2"]),
        ("label=a=b~c", ["a=b~c"], ["a"]),
        ("size>999", ["1000", "80004"], ["999", "5", "", None]),
        ("size>=999", ["999", "1000"], ["998", None]),
        ("size<10", ["9"], ["10", "100", None]),
        ("version<=10.04", ["9.10", "10.04"], ["10.10", "24.04", None]),
        ("version_name>20240101", ["20240101.1", "20240102"], ["20240101", "20231231.9"]),
        ("release>=jammy", ["noble", "jammy"], ["focal", None]),
    ],
)
def test_a_filter_takes_the_values_that_it_names(
    text: str, passing: list[str | None], failing: list[str | None]
) -> None:
    condition = Filter.parse(text)
    for _ in range(2):  # what is remembered is what was found
        assert [value for value in [*passing, *failing] if condition.passes(value)] == passing


@pytest.mark.parametrize("text", ["", "arch", "=x", "~x", "a b=c", "a/b=c", "arch!amd64", "a~(", "a~[", "a~*"])
def test_what_is_no_filter_is_told(text: str) -> None:
    with pytest.raises(FilterUnusable, match="filter"):
        Filter.parse(text)


@pytest.mark.parametrize(
    ("expression", "why"),
    [(r"(a)\1", "backreferences are not supported"), ("(?=a)", "look-around"), ("a{9999}{9999}", "size limit")],
)
def test_an_expression_that_could_not_be_matched_in_linear_time_is_refused(expression: str, why: str) -> None:
    with pytest.raises(FilterUnusable, match=why):
        Filter.parse(f"id~{expression}")


def test_an_expression_made_to_hang_does_not() -> None:
    assert not Filter.parse("id~^(a+)+$").passes("a" * 100_000 + "b")


@given(some.lists(some.integers(0, 10**30), min_size=1, max_size=4), some.lists(some.integers(0, 10**30), min_size=1))
def test_versions_are_in_the_order_of_their_numbers(one: list[int], other: list[int]) -> None:
    texts = [".".join(map(str, each)) for each in (one, other)]
    assert (version_order(texts[0]) < version_order(texts[1])) == (one < other)


def test_a_number_of_any_length_is_compared() -> None:
    assert Filter.parse("size>5").passes("9" * 100_000)
