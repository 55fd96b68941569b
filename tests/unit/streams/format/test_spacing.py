"""Documents that others wrote are written back in the same bytes, and so is what was not changed in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.streams.format.documents import Index, Mirrors, Products
from headwater.streams.format.json_objects import to_bytes
from headwater.streams.format.spacing import Spacing
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.writing import feed as feeds
from headwater.streams.writing import image_ids
from headwater.streams.writing.image_ids import ImageId

PRODUCTS: dict[str, Any] = {
    "content_id": "com.ubuntu.cloud:custom",
    "format": "products:1.0",
    "products": {
        "com.ubuntu.cloud:server:22.04:amd64": {
            "aliases": ["22.04", "jammy"],
            "note": "a < b & c, \u2028 \u00e9",
            "versions": {"20260101": {"items": {"x": {"id": "x", "size": 1, "list": [], "object": {}, "none": None}}}},
        }
    },
}
ASCII = json.dumps(PRODUCTS, indent=4)
# Source of each form: a real feed, or the program that writes it so.
FORMS = {
    "ours": to_bytes(PRODUCTS),
    "juju": ASCII.replace("<", "\\u003c").replace("&", "\\u0026").encode(),
    "incus-simplestreams": json.dumps(PRODUCTS, separators=(",", ":"), ensure_ascii=False).encode(),
    "linuxcontainers": json.dumps(PRODUCTS, separators=(",", ":")).encode() + b"\n",
    "python 2": json.dumps(PRODUCTS, indent=1, separators=(", ", ": ")).encode() + b"\n",
    "json.dumps": json.dumps(PRODUCTS).encode(),
    "an editor": json.dumps(PRODUCTS, indent="\t", ensure_ascii=False).encode() + b"\n\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_document_is_written_back_in_the_same_bytes(form: str) -> None:
    body = FORMS[form]
    assert Products.from_bytes(body).to_bytes() == body


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_a_large_document_is_told_by_its_beginning(form: str) -> None:
    body = FORMS[form]
    assert replace(Spacing.of(body), text=None).to_bytes(PRODUCTS) == body


def test_a_document_that_was_laid_out_by_hand_stays_as_it_is_until_it_says_something_else() -> None:
    by_hand = b'{"format": "products:1.0",\n "products": {"a" : {"versions": {}},\n\n  "b":{}}, "n": [1,\n 2.0]\n}'
    read = Products.from_bytes(by_hand)
    assert read.to_bytes() == by_hand
    changed = replace(read, products=dict(reversed(list(read.products.items()))))
    assert list(json.loads(changed.to_bytes())["products"]) == ["b", "a"]


def test_an_index_and_mirrors_are_too() -> None:
    entry = {"path": "a.json", "products": ["p", "q"], "clouds": [{"region": "R", "endpoint": "http://k/v3"}]}
    for indent in (None, 2, 4):
        index = json.dumps({"format": "index:1.0", "index": {"a": entry}}, indent=indent).encode()
        assert Index.from_bytes(index).to_bytes() == index
        mirrors = json.dumps({"mirrors": {"a": [{"path": "m.json"}]}}, indent=indent).encode() + b"\n"
        assert Mirrors.from_bytes(mirrors).to_bytes() == mirrors


@pytest.mark.parametrize("form", FORMS)
def test_an_image_more_changes_no_other_line(tmp_path: Path, form: str) -> None:
    tree = DirectoryTree(tmp_path)
    path = "streams/v1/custom.json"
    entry = {"path": path, "datatype": "image-ids", "products": list(PRODUCTS["products"])}
    index = json.dumps({"format": "index:1.0", "index": {PRODUCTS["content_id"]: entry}}, indent=3).encode()
    for name, body in ((path, FORMS[form]), ("streams/v1/index.json", index)):
        tree.write(name, body)
    image = ImageId(id="new", region="R", endpoints=("http://k/v3",), version="24.04")
    feeds.edit(tree, lambda feed: image_ids.add(feed, image, content_id=PRODUCTS["content_id"]))
    written = tree.read(path).body
    if FORMS[form].count(b"\n") > 2:  # not all in one line
        lines = set(FORMS[form].split(b"\n"))
        assert {line for line in lines if line.strip(b" \t},]")} <= set(written.split(b"\n"))
    assert Spacing.of(written) == Spacing.of(FORMS[form])
    for name in ("index.json", "index2.json"):
        assert b'\n   "index": {\n      "com' in tree.read(f"streams/v1/{name}").body


def test_half_a_pair_of_utf_16_is_escaped() -> None:
    body = '{"products": {}, "é": "\\ud800"}'.encode()
    assert json.loads(Products.from_bytes(body).to_bytes()) == json.loads(body)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_spacing_that_writes(body: bytes) -> None:
    assert json.loads(Spacing.of(body).to_bytes({"a": ["<é", 1]})) == {"a": ["<é", 1]}


def test_products_stay_in_the_order_in_which_an_index_of_others_names_them(tmp_path: Path) -> None:
    tree = DirectoryTree(tmp_path)
    path, content_id = "streams/v1/custom.json", PRODUCTS["content_id"]
    product = PRODUCTS["products"]["com.ubuntu.cloud:server:22.04:amd64"]
    names = ["z", "a", "com.ubuntu.cloud:server:22.04:amd64"]
    tree.write(path, json.dumps({**PRODUCTS, "products": dict.fromkeys(names, product)}).encode())
    entry = {"path": path, "datatype": "image-ids", "products": ["gone", *names]}
    tree.write("streams/v1/index.json", json.dumps({"format": "index:1.0", "index": {content_id: entry}}).encode())
    image = ImageId(id="new", region="R", endpoints=("http://k/v3",), version="24.04")
    feeds.edit(tree, lambda feed: image_ids.add(feed, image, content_id=content_id))
    named = json.loads(tree.read("streams/v1/index.json").body)["index"][content_id]["products"]
    assert named == [*names, image.product]
