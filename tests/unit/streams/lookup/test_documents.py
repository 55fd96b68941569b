"""Whatever a server answers, it is read or refused, and what it says does nothing to who reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.streams.lookup.documents import ProductsFile, Unreadable, index_entries, mirror_entries
from headwater.streams.lookup.trace import Kind, Step

READERS: list[Callable[[bytes], object]] = [
    index_entries,
    mirror_entries,
    lambda body: read_all(ProductsFile(body, agents=False)),
    lambda body: read_all(ProductsFile(body, agents=True)),
]
KEYS = st.sampled_from(
    [
        "index",
        "products",
        "versions",
        "items",
        "mirrors",
        "clouds",
        "_aliases",
        "crsn",
        "path",
        "region",
        "size",
        "id",
        "x",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=5),
    max_leaves=30,
)


def read_all(file: ProductsFile) -> list[Any]:
    return [list(file.items(product, version)) for product in file.names() for version in file.versions(product)]


@pytest.mark.parametrize("read", READERS)
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_a_document_is_read_or_refused(read: Callable[[bytes], object], body: bytes) -> None:
    try:
        read(body)
    except Unreadable as error:
        assert str(error)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"1",
        b"{} {}",
        b'{"index": NaN}',
        b'{"products": Infinity}',
        b"[" * 100_000,
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b'{"updated": ' + b"9" * 10_000 + b"}",
    ],
    ids=range(11),
)
def test_what_is_no_document_is_refused(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    body = b'{"format": "index:1.0", "index": {"a": {"path": "first", "path": "last"}}}'
    assert index_entries(body)[0].path == "last"


def test_halves_of_characters_are_replaced() -> None:
    body = (
        rb'{"products": {"a": {"versions": {"\ud800": {"items": {"k": {"id": "\udc00x", "virt": "\ud83d\ude00"}}}}}}}'
    )
    [[item]] = read_all(ProductsFile(body, agents=False))
    assert (item["id"], item["virt"], item.version) == (
        "\N{REPLACEMENT CHARACTER}x",
        "\N{GRINNING FACE}",
        "\N{REPLACEMENT CHARACTER}",
    )


@pytest.mark.parametrize("size", [1 << 63, -(1 << 63) - 1, 1 << 200])
def test_a_size_that_no_file_has_is_refused(size: int) -> None:
    items = {"k": {"size": size}}
    with pytest.raises(Unreadable, match="size"):
        ProductsFile(json.dumps({"products": {"a": {"versions": {"1": {"items": items}}}}}).encode(), agents=True)


def test_a_step_is_one_line_that_no_terminal_obeys() -> None:
    step = Step(source="s", kind=Kind.TAKEN, what="\x1b[2Jan\nid", why="\u202eabc")
    assert str(step) == "taken: \\x1b[2Jan\\nid: \\u202eabc"
