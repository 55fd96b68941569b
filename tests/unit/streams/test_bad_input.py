"""Feeds that are wrong, by every class of fault: whoever reads one is told the file, the place in it and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from headwater.cli import exits
from headwater.cli.main import app
from headwater.errors import HeadwaterError, Invalid
from headwater.streams.format.documents import Index, Mirrors, Products
from headwater.streams.format.json_objects import MalformedDocument, parse_json
from headwater.streams.lint.check import lint
from headwater.streams.lint.explaining import explain
from headwater.streams.query.filters import Filter, FilterUnusable
from headwater.streams.query.query import query
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.writing import feed as feeds
from unit.streams.lint.feeds import INDEX, PRODUCT, PRODUCTS, Change, Documents, image_files, image_ids, written

CONTENT_ID = "com.ubuntu.cloud:custom"
MIRRORS = "streams/v1/mirrors.json"
AT_PRODUCT = f'products["{PRODUCT}"]'
AT_ITEM = f'{AT_PRODUCT}.versions["20260101"].items["a"]'
CLOUD = ("--region", "RegionOne", "--endpoint", "https://keystone.example/v3")
LOOP = {"mirrors": {"com.ubuntu.juju:released:agents": [{"datatype": "content-download", "path": MIRRORS}]}}


def entry(feed: Documents) -> dict[str, Any]:
    found: dict[str, Any] = feed[INDEX]["index"][CONTENT_ID]
    return found


def product(feed: Documents) -> dict[str, Any]:
    found: dict[str, Any] = feed[PRODUCTS]["products"][PRODUCT]
    return found


def items(feed: Documents) -> dict[str, Any]:
    found: dict[str, Any] = product(feed)["versions"]["20260101"]["items"]
    return found


def as_text(path: str, change: Callable[[bytes], bytes]) -> Change:
    def spoil(feed: Documents) -> None:
        feed[path] = change(json.dumps(feed[path], indent=1).encode())

    return spoil


TWICE = as_text(PRODUCTS, lambda body: body.replace(b'"arch": "amd64",', b'"arch": "amd64", "arch": "arm64",'))
# Name, change, what a strict reader says (``query``, or ``list`` where that forgives; None: it takes it), what our
# check says: each names file, place and cure.
ROWS: list[tuple[str, Change, tuple[str, ...] | None, tuple[str, ...]]] = [
    ("not JSON", as_text(PRODUCTS, lambda body: body[:-30]),
     (PRODUCTS, "line 19, column 5", "publish it anew, whole"), (PRODUCTS, "line 19, column 5", "write it again")),
    ("an index that is not JSON", as_text(INDEX, lambda body: body[:-3]),
     (INDEX, "line 20, column 2", "publish it anew, whole"), (INDEX, "line 20, column 2", "write it again")),
    ("a page to log in", as_text(PRODUCTS, lambda _: b"<!DOCTYPE html><html>log in</html>"),
     (PRODUCTS, "a web page", "let the server give the document"), (PRODUCTS, "page of HTML", "without a login")),
    ("text as number", lambda feed: product(feed).update(version=24.04),
     (PRODUCTS, f"{AT_PRODUCT}.version", "write it as a string"), (PRODUCTS, f"{AT_PRODUCT}.version", "as a string")),
    ("list for text", lambda feed: items(feed)["a"].update(region=["R"]),
     (PRODUCTS, f"{AT_ITEM}.region", "write it as a string"), (PRODUCTS, f"{AT_ITEM}.region", "as a string")),
    ("text for list", lambda feed: entry(feed).update(products="p"),
     (INDEX, f'index["{CONTENT_ID}"].products', "write it as a list"),
     (INDEX, f'index["{CONTENT_ID}"].products', "as a list")),
    ("list for object", lambda feed: feed[PRODUCTS].update(products=[]),
     (PRODUCTS, "products", "write it as an object"), (PRODUCTS, "products", "fix: ")),
    ("a size that is none", lambda feed: items(feed)["a"].update(size="many", path="a/b"),
     (PRODUCTS, f"{AT_ITEM}.size", "write a whole number"), (PRODUCTS, f"{AT_ITEM}.size", "set size")),
    ("a byte order mark", as_text(PRODUCTS, lambda body: b"\xef\xbb\xbf" + body),
     (PRODUCTS, "byte order mark", "save it as UTF-8"), (PRODUCTS, "byte order mark", "save it as UTF-8")),
    ("a key twice", TWICE,
     (PRODUCTS, AT_PRODUCT, "'arch' twice", "keep one"), (PRODUCTS, f"{AT_PRODUCT}.arch", "keep one of them")),
    ("no products", lambda feed: feed[PRODUCTS].pop("products"),
     (PRODUCTS, "products", "it is missing"), (PRODUCTS, "products", "add products")),
    ("empty products", lambda feed: feed[PRODUCTS].update(products={}), None, (PRODUCTS, "products", "add products")),
    ("a datatype that nobody knows", lambda feed: entry(feed).update(datatype="image-idz"),
     None, (INDEX, f'index["{CONTENT_ID}"].datatype', "use image-ids")),
    ("a path that leaves the tree", lambda feed: entry(feed).update(path="../products.json"),
     (INDEX, f'index["{CONTENT_ID}"].path', "relative to the root"),
     (INDEX, f'index["{CONTENT_ID}"].path', "relative to the root")),
    ("an absolute path", lambda feed: entry(feed).update(path="/etc/passwd"),
     (INDEX, f'index["{CONTENT_ID}"].path', "must be relative"),
     (INDEX, f'index["{CONTENT_ID}"].path', "relative to the root")),
    ("a file that leaves the tree", lambda feed: items(feed)["a"].update(path="a/%2e%2e/%2e%2e/passwd"),
     (PRODUCTS, f"{AT_ITEM}.path", "relative to the root"), (PRODUCTS, f"{AT_ITEM}.path", "relative to the root")),
    ("an index of indexes that leads back", lambda feed: feed[INDEX]["index"].update(
        loop={"path": INDEX, "format": "index:1.0"}),
     (INDEX, "'loop'", "take that entry out"), (INDEX, 'index["loop"].path', "name the products documents")),
    ("a loop of mirrors", lambda feed: feed.update({MIRRORS: LOOP}),
     None, (MIRRORS, "a loop", "or remove the entry")),
    ("a document that is not there", lambda feed: feed.pop(PRODUCTS),
     (PRODUCTS, INDEX, "publish it"), (PRODUCTS, "it is not there", "publish the document")),
    ("no region", lambda feed: (items(feed)["a"].pop("region"), entry(feed).pop("clouds")),
     None, (PRODUCTS, f"{AT_ITEM}.region", 'set "region"')),
    ("no endpoint", lambda feed: items(feed)["a"].pop("endpoint"),
     None, (PRODUCTS, f"{AT_ITEM}.endpoint", 'set "endpoint"')),
    ("two images that Juju cannot tell apart", lambda feed: items(feed).update(b={**items(feed)["a"], "id": "two"}),
     None, (PRODUCTS, '.items["b"]', "keep one of them")),
]  # fmt: skip


def streams(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["streams", *map(str, words)])


def spoilt(root: Path, change: Change) -> Path:
    feed = image_ids()
    change(feed)
    written(root, feed)
    return root


@pytest.mark.parametrize(("change", "told"), [(row[1], row[2]) for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_strict_reader_names_file_place_and_cure_or_takes_it(
    tmp_path: Path, change: Change, told: tuple[str, ...] | None
) -> None:
    root = spoilt(tmp_path / "feed", change)
    answers = [streams(command, root) for command in ("query", "list")]
    if told is None:
        assert [each.exit_code for each in answers] == [0, 0]
        return
    errors = [each.exception for each in answers if each.exit_code]
    assert errors
    for error in errors:
        assert isinstance(error, HeadwaterError)
        assert exits.code_of(error) == exits.FAILED  # the command was right
    assert any(all(word in str(error) for word in told) for error in errors), errors


@pytest.mark.parametrize(("change", "told"), [(row[1], row[3]) for row in ROWS], ids=[row[0] for row in ROWS])
def test_our_check_names_file_place_and_cure(tmp_path: Path, change: Change, told: tuple[str, ...]) -> None:
    said = streams("lint", spoilt(tmp_path / "feed", change)).stdout
    for word in told:
        assert word in said, said


@pytest.mark.parametrize("change", [row[1] for row in ROWS], ids=[row[0] for row in ROWS])
def test_nothing_that_is_wrong_ends_a_command_otherwise_than_with_a_message(tmp_path: Path, change: Change) -> None:
    root = spoilt(tmp_path / "feed", change)
    commands: list[list[str | Path]] = [
        ["explain", "image-1", "--tree", root],
        ["find-image", *CLOUD, "--version", "24.04", "--no-defaults", "--url", root, "--for", "bootstrap"],
        ["validate-images", "-d", root, "-r", CLOUD[1], "-u", CLOUD[3], "--base", "ubuntu@24.04", "-p", "openstack"],
        ["add-image", root, "another", *CLOUD, "--version", "22.04"],
        ["remove", root, "image-1"],
        ["prune", root],
    ]
    for words in commands:
        done = streams(*words)
        assert done.exception is None or isinstance(done.exception, HeadwaterError | SystemExit), (
            words,
            done.exception,
        )
        assert "Traceback" not in done.output


@pytest.mark.parametrize("option", ["--region", "--endpoint"])
def test_an_image_without_region_or_endpoint_is_not_written(tmp_path: Path, option: str) -> None:
    words = ["--version", "24.04", "--region", "R", "--endpoint", "https://k/v3"]
    words[words.index(option) + 1] = ""
    refused = streams("add-image", tmp_path / "feed", "an-id", *words)
    assert "must be specified" in str(refused.exception)
    assert not (tmp_path / "feed").exists()


# --- Anything at all ---------------------------------------------------------------------------

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_KEYS = st.sampled_from(
    ["format", "index", "products", "versions", "items", "path", "clouds", "mirrors", "_aliases", "id", "size", "ftype"]
)
_FORMATS = st.sampled_from(["index:1.0", "products:1.0", "mirrors:1.0"])
_JSON = st.recursive(
    _LEAVES | _FORMATS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=4), inside, max_size=4),
    max_leaves=20,
)
_DOCUMENTS = st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode())
# What feeds of the wild and of attackers hold; whatever is found later is added.
CORPUS = [
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{}",
    b"{" * 100_000,
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"index": {"a": {"path": "streams/v1/index.json", "format": "index:1.0"}}, "format": "index:1.0"}',
    b'{"products": {"a": null}, "format": "products:1.0"}',
    b'{"products": {"a": {"versions": {"1": {"items": {"i": []}}}}}}',
    b'{"size": 1e999, "a": NaN}',
    b'{"size": ' + b"9" * 5000 + b"}",
    b'{"a": "\\ud800"}',
    b'{"\\udc00": {"path": "\\u0000"}}',
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    '{"a": "\u2028\u2029\x85"}'.encode(),
    b'{"format": "index:1.0", "index": {"": {"path": ""}, "b": {"path": "."}, "c": {"path": "a/../../b"}}}',
    b'{"mirrors": {"a": [{"path": "streams/v1/mirrors.json"}]}}',
    b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{}\n"
    b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----",
]


def _is_read_or_refused(read: Callable[[bytes], Any], body: bytes) -> None:
    try:
        read(body)
    except Invalid as error:
        assert str(error)


@pytest.mark.parametrize("read", [parse_json, Index.from_bytes, Products.from_bytes, Mirrors.from_bytes])
@pytest.mark.parametrize("body", CORPUS, ids=range(len(CORPUS)))
def test_a_reader_of_documents_takes_the_corpus(read: Callable[[bytes], Any], body: bytes) -> None:
    _is_read_or_refused(read, body)


@pytest.mark.parametrize("read", [parse_json, Index.from_bytes, Products.from_bytes, Mirrors.from_bytes])
@given(_DOCUMENTS)
def test_a_reader_of_documents_takes_anything(read: Callable[[bytes], Any], body: bytes) -> None:
    _is_read_or_refused(read, body)


def _looked_at(root: Path, path: str, body: bytes) -> None:
    tree = written(root, {**image_files(), path: body})
    lint(tree)
    explain(tree, "testos/noble")
    for look in (lambda: list(query(tree, [])), lambda: feeds.read(tree).products("images")):
        try:
            look()
        except HeadwaterError as error:
            assert str(error)


@pytest.mark.parametrize("path", [INDEX, PRODUCTS, MIRRORS, INDEX.replace(".json", ".sjson")])
@pytest.mark.parametrize("body", CORPUS, ids=range(len(CORPUS)))
def test_no_document_of_the_corpus_stops_who_reads_the_feed(tmp_path: Path, path: str, body: bytes) -> None:
    _looked_at(tmp_path, path, body)


@settings(max_examples=40, deadline=None)
@given(path=st.sampled_from([INDEX, PRODUCTS, MIRRORS]), body=_DOCUMENTS)
def test_no_document_at_all_stops_who_reads_the_feed(
    tmp_path_factory: pytest.TempPathFactory, path: str, body: bytes
) -> None:
    _looked_at(tmp_path_factory.mktemp("feed"), path, body)


@given(st.text(max_size=30) | st.from_regex(r"[a-z]{1,3}(=|!=|~|!~|<|>=)[(\[a-z*+?\\|)]{0,12}", fullmatch=True))
def test_a_filter_is_taken_or_refused(text: str) -> None:
    try:
        made = Filter.parse(text)
    except FilterUnusable as error:
        assert repr(text) in str(error)
        return
    made.test("a" * 2000)


def test_the_place_of_a_key_that_stands_twice_is_told_however_deep() -> None:
    with pytest.raises(MalformedDocument) as told:
        parse_json(b'{"a b": [{}, {"c": {"d": 1, "d": 2}}]}')
    assert told.value.where == '["a b"][1].c'
    with pytest.raises(MalformedDocument) as told:
        parse_json(b'{"a": 1, "a": 2}')
    assert told.value.where == "top"


def test_a_tree_that_is_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for command in ("query", "list"):
        assert isinstance(streams(command, file).exception, HeadwaterError | SystemExit)
    with pytest.raises(HeadwaterError):
        list(query(DirectoryTree(file), []))
