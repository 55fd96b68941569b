from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import Invalid
from headwater.streams.format.documents import (
    Index,
    IndexEntry,
    Mirrors,
    Product,
    Products,
    Version,
    signed_name,
)
from headwater.streams.format.json_objects import MalformedDocument, to_bytes

DOWNLOADS: dict[str, Any] = {
    "license": "none",
    "products": {
        "net.example:tiny:1.0:amd64": {
            "aliases": "tiny,1.0",
            "versions": {
                "20260102": {
                    "pubname": "tiny-1.0",
                    "items": {
                        "disk.img": {
                            "sha256": "ab",
                            "size": 7,
                            "path": "1.0/disk.img",
                            "ftype": "disk1.img",
                            "new": [1],
                        },
                        "other": {"size": "12", "path": "1.0/other", "combined_sha256": None, "md5": None},
                        "empty": {},
                    },
                    "label": "release",
                },
                "20260101": {},
            },
            "supported": True,
            "arch": "amd64",
            "requirements": {"secureboot": "false"},
        }
    },
    "_aliases": {"crsn": {"a": {"region": "A", "endpoint": "https://a.example"}}},
    "format": "products:1.0",
    "updated": None,
    "content_id": "net.example:released:download",
}
INDEX: dict[str, Any] = {
    "format": "index:1.0",
    "index": {
        "net.example:released:download": {
            "products": ["net.example:tiny:1.0:amd64"],
            "path": "streams/v1/net.example:released:download.json",
            "datatype": "image-downloads",
            "x-added": {"deep": [None, 1.5, "\u00fc\u2028"]},
        },
        "net.example:other": {
            "path": "streams/v1/other.json",
            "clouds": [{"endpoint": "u", "region": "r", "z": 1}, {}],
        },
    },
}
MIRRORS: dict[str, Any] = {
    "mirrors": {
        "com.example:agents": [
            {
                "updated": "20260721",
                "format": "mirrors:1.0",
                "datatype": "content-download",
                "path": "streams/v1/m.json",
            },
            {"mirror": "https://m.example/tools", "path": "streams/v1/a.json", "clouds": [{"region": "r"}], "more": 1},
        ]
    },
    "created": "today",
}

names = st.text(max_size=8)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
unknown = st.dictionaries(names.map("x-{}".format), scalars | st.lists(scalars, max_size=2), max_size=2)
paths = st.sampled_from(["a.json", "streams/v1/a:b.json", "a/b..c", "..a"])
known_texts = st.none() | st.text(max_size=8)


def objects(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with these keys and unknown ones, in any order of keys."""
    known = st.fixed_dictionaries(required, optional=optional)
    return st.builds(lambda a, b: list((a | b).items()), known, unknown).flatmap(st.permutations).map(dict)


items = objects({}, id=known_texts, path=paths, size=st.none() | st.integers(0) | st.just("17"), virt=known_texts)
versions = objects({}, items=st.none() | st.dictionaries(names, items, max_size=2), label=known_texts)
products = objects({}, versions=st.none() | st.dictionaries(names, versions, max_size=2), arch=known_texts)
product_files = objects(
    {"products": st.dictionaries(names, products, max_size=2)},
    format=st.sampled_from(["products:1.0", None]),
    content_id=known_texts,
)
clouds = st.none() | st.lists(objects({}, region=known_texts, endpoint=known_texts), max_size=2)
entries = objects({"path": paths}, clouds=clouds, products=st.none() | st.lists(names, max_size=2), updated=known_texts)
indexes = objects({"index": st.dictionaries(names, entries, max_size=2)}, format=st.just("index:1.0"))
mirror_files = objects(
    {"mirrors": st.dictionaries(names, st.lists(objects({}, path=paths, clouds=clouds), max_size=2), max_size=2)}
)


def says_the_same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return json.dumps(before) == json.dumps(after)  # the order of keys too


@given(product_files)
def test_products_read_and_written_say_the_same(data: dict[str, Any]) -> None:
    assert says_the_same(data, Products.from_dict(data).to_dict())


@given(indexes)
def test_an_index_read_and_written_says_the_same(data: dict[str, Any]) -> None:
    assert says_the_same(data, Index.from_dict(data).to_dict())


@given(mirror_files)
def test_mirrors_read_and_written_say_the_same(data: dict[str, Any]) -> None:
    assert says_the_same(data, Mirrors.from_dict(data).to_dict())


def test_the_bytes_read_back_are_the_same_document() -> None:
    assert says_the_same(DOWNLOADS, Products.from_bytes(Products.from_dict(DOWNLOADS).to_bytes()).to_dict())
    assert says_the_same(INDEX, Index.from_bytes(Index.from_dict(INDEX).to_bytes()).to_dict())
    assert says_the_same(MIRRORS, Mirrors.from_bytes(Mirrors.from_dict(MIRRORS).to_bytes()).to_dict())


def test_known_keys_are_typed_and_unknown_ones_are_kept() -> None:
    version = Products.from_dict(DOWNLOADS).products["net.example:tiny:1.0:amd64"].versions["20260102"]
    item = version.items["disk.img"]
    assert (item.path, item.size, item.ftype, item.sha256) == ("1.0/disk.img", 7, "disk1.img", "ab")
    assert item.extra == {"new": [1]}
    assert version.label == "release"


def test_null_counts_as_absent_and_gives_way_to_a_value() -> None:
    read = Products.from_dict(DOWNLOADS)
    assert read.updated is None
    changed = replace(read, updated="Thu, 01 Jan 2026 00:00:00 +0000")
    assert changed.to_dict()["updated"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    assert list(changed.to_dict()) == list(DOWNLOADS)


def test_a_change_keeps_everything_else_where_it_was() -> None:
    read = Index.from_dict(INDEX)
    entry = replace(read.index["net.example:other"], datatype="image-ids")
    written = replace(read, index={**read.index, "net.example:other": entry}).to_dict()
    assert list(written["index"]["net.example:other"]) == ["path", "clouds", "datatype"]
    assert says_the_same(
        INDEX["index"]["net.example:released:download"], written["index"]["net.example:released:download"]
    )


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ([], "products document"),
        ({}, "products document.products"),
        ({"products": []}, "products document.products"),
        ({"products": {}, "format": "index:1.0"}, "products document.format"),
        ({"products": {"a:b": []}}, 'products document.products["a:b"]'),
        ({"products": {"a": {"arch": 64}}}, 'products document.products["a"].arch'),
        ({"products": {"a": {"versions": {"1": 2}}}}, 'products document.products["a"].versions["1"]'),
        (
            {"products": {"a": {"versions": {"1": {"items": {"i": {"size": True}}}}}}},
            'products document.products["a"].versions["1"].items["i"].size',
        ),
        (
            {"products": {"a": {"versions": {"1": {"items": {"i": {"path": "/etc"}}}}}}},
            'products document.products["a"].versions["1"].items["i"].path',
        ),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(data: object, where: str) -> None:
    with pytest.raises(MalformedDocument) as refused:
        Products.from_dict(data)
    assert refused.value.where == where
    assert where in str(refused.value)
    assert isinstance(refused.value, Invalid)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({}, 'index document.index["c"].path'),
        ({"path": "a/.."}, 'index document.index["c"].path'),
        ({"path": "a", "clouds": {}}, 'index document.index["c"].clouds'),
        ({"path": "a", "clouds": [{}, {"region": 1}]}, 'index document.index["c"].clouds[1].region'),
        ({"path": "a", "products": ["p", None]}, 'index document.index["c"].products[1]'),
    ],
)
def test_a_wrong_index_entry_is_refused_with_its_place(entry: object, where: str) -> None:
    with pytest.raises(MalformedDocument) as refused:
        Index.from_dict({"index": {"c": entry}})
    assert refused.value.where == where


def test_the_bytes_are_ascii_without_blanks_at_the_ends_of_lines() -> None:
    body = to_bytes(Index.from_dict(INDEX).to_dict())
    assert body.isascii()
    assert body.endswith(b"}\n")
    assert all(line == line.rstrip() and not line.startswith(b"-") for line in body.split(b"\n"))
    assert len(body.decode().splitlines()) == body.count(b"\n")


def test_a_document_made_here_has_its_children_even_when_there_are_none() -> None:
    assert Product(versions={"1": Version(items={})}).to_dict() == {"versions": {"1": {"items": {}}}}
    assert Products(products={}).to_dict() == {"format": "products:1.0", "products": {}}


def test_a_signed_index_names_signed_documents() -> None:
    index = Index(index={"a": IndexEntry(path="streams/v1/x.json.json"), "b": IndexEntry(path="x.json/y.txt")})
    assert [entry.path for entry in index.with_signed_paths().index.values()] == [
        "streams/v1/x.json.sjson",
        "x.json/y.txt",
    ]
    assert signed_name("index.json") == "index.sjson"
