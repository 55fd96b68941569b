from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from headwater.streams.format.json_objects import MalformedDocument, UnsafePath
from headwater.streams.query.filters import Filter, version_order
from headwater.streams.query.flattening import Flattened
from unit.streams.query import oracle

KEYS = ("arch", "crsn", "id", "region", "size", "product_name", "version_name", "item_name")
TEXTS = some.sampled_from(["a", "b", "1", "10", "9", "", "True"])
VALUES = some.one_of(TEXTS, TEXTS, some.integers(0, 11), some.booleans(), some.none(), some.floats(0, 9), some.just([]))
OBJECTS = some.dictionaries(some.sampled_from(KEYS), VALUES, max_size=4)


def levels(below: str, children: some.SearchStrategy[Any], names: some.SearchStrategy[str]) -> Any:
    return some.builds(
        lambda own, inner: own if inner is None else {**own, below: inner},
        OBJECTS,
        some.none() | some.dictionaries(names, children, max_size=4),
    )


NAMES = some.sampled_from(["1", "2", "3", "10", "a"])
PRODUCTS = levels("versions", levels("items", OBJECTS, NAMES), NAMES)
TABLES = some.dictionaries(some.sampled_from(KEYS), some.dictionaries(TEXTS, OBJECTS, max_size=3), max_size=3)
DOCUMENTS = some.builds(
    lambda own, tables, products: {**own, "_aliases": tables, "products": products},
    OBJECTS,
    some.none() | TABLES,
    some.dictionaries(NAMES, PRODUCTS, max_size=4),
)
SIGNS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda value, text: value == text,
    "!=": lambda value, text: value != text,
    "~": lambda value, text: re.search(text, value) is not None,
    "!~": lambda value, text: re.search(text, value) is None,
}
CONDITIONS = some.lists(some.tuples(some.sampled_from(KEYS), some.sampled_from([*SIGNS]), TEXTS), max_size=3)


def rows(document: Any, *filters: str, most_versions: int | None = None) -> list[dict[str, str]]:
    return list(Flattened(document, "/feed").rows([Filter.parse(each) for each in filters], most_versions))


@given(DOCUMENTS, CONDITIONS, some.none() | some.integers(1, 3))
def test_the_rows_are_those_of_the_slow_way(
    document: Any, conditions: list[tuple[str, str, str]], most_versions: int | None
) -> None:
    def wanted(row: dict[str, str]) -> bool:
        return all(SIGNS[sign](row.get(key, ""), text) for key, sign, text in conditions)

    filters = ["".join(each) for each in conditions]
    found = rows(document, *filters, most_versions=most_versions)
    assert found == oracle.rows(document, wanted, most_versions)


@given(DOCUMENTS, some.sampled_from(KEYS), TEXTS)
def test_a_comparison_takes_rows_that_have_the_key(document: Any, key: str, text: str) -> None:
    def wanted(row: dict[str, str]) -> bool:
        return key in row and version_order(row[key]) >= version_order(text)

    assert rows(document, f"{key}>={text}") == oracle.rows(document, wanted)


def document_of(item: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {**top, "products": {"p": {"arch": "amd64", "versions": {"1": {"items": {"i": item}}}}}}


def only(document: dict[str, Any]) -> dict[str, str]:
    (row,) = rows(document)
    return {key: value for key, value in row.items() if not key.endswith("_name") and key != "arch"}


def test_all_becomes_text_and_what_is_no_text_or_number_is_dropped() -> None:
    item = {"a": True, "b": 80004, "c": 1.0, "d": None, "e": [1], "f": {"g": "h"}, "i": 1e22, "j": ""}
    assert only(document_of(item)) == {"a": "True", "b": "80004", "c": "1.0", "i": "1e+22", "j": ""}


def test_null_hides_nothing_that_is_inherited() -> None:
    assert only(document_of({"x": None}, x="top"))["x"] == "top"


def test_what_an_alias_gives_goes_over_what_the_item_has() -> None:
    aliases = {"crsn": {"one": {"region": "r1", "virt": "hvm"}}}
    assert only(document_of({"crsn": "one", "virt": "pv"}, _aliases=aliases)) == {
        "crsn": "one",
        "region": "r1",
        "virt": "hvm",
    }


def test_a_text_that_the_aliases_do_not_know_gives_nothing() -> None:
    assert only(document_of({"crsn": "two"}, _aliases={"crsn": {"one": {"x": "y"}}})) == {"crsn": "two"}


def test_the_table_of_aliases_applies_to_itself() -> None:
    aliases = {"b": {"1": {"c": "1"}}, "a": {"1": {"b": "1"}}}
    assert only(document_of({"a": "1"}, _aliases=aliases)) == {"a": "1", "b": "1", "c": "1"}


def test_an_item_with_a_path_has_a_url() -> None:
    assert rows(document_of({"path": "a/b c"}))[0]["item_url"] == "/feed/a/b c"


def test_a_path_that_leads_out_of_the_tree_is_refused() -> None:
    with pytest.raises(UnsafePath, match=r'items\["i"\].path'):
        rows(document_of({"path": "../x"}))


def test_the_newest_versions_are_counted_after_the_filters() -> None:
    versions = {name: {"items": {"i": {"arch": arch}}} for name, arch in [("1", "a"), ("2", "a"), ("3", "b")]}
    document = {"products": {"p": {"versions": versions}}}
    assert [row["version_name"] for row in rows(document, "arch=a", most_versions=1)] == ["2"]


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "products document"),
        ({}, "products document.products"),
        ({"products": []}, "products"),
        ({"products": {"p": 1}}, r'products\["p"\]'),
        ({"products": {"p": {"versions": 1}}}, r'products\["p"\].versions'),
        ({"products": {"p": {"versions": {"1": []}}}}, r'versions\["1"\]'),
        ({"products": {"p": {"versions": {"1": {"items": []}}}}}, r'versions\["1"\].items'),
        ({"products": {"p": {"versions": {"1": {"items": {"i": "x"}}}}}}, r'items\["i"\]'),
        ({"products": {}, "_aliases": []}, "_aliases"),
        ({"products": {}, "_aliases": {"a": 1}}, r'_aliases\["a"\]'),
        ({"products": {}, "_aliases": {"a": {"b": 1}}}, r'_aliases\["a"\]\["b"\]'),
    ],
)
def test_what_is_no_products_document_is_refused_with_its_place(document: Any, where: str) -> None:
    with pytest.raises(MalformedDocument, match=f"{where}: .*(expected an object|missing)"):
        rows(document)
