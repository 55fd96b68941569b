from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import HeadwaterError
from headwater.streams.format.json_objects import MalformedDocument, UnsafePath
from headwater.streams.query.query import query
from headwater.streams.query.reading import IndexLoop, KeyringNeeded, split_name
from headwater.streams.signing.reading import NoStart, NotSigned, NotVerified
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import DOCUMENT_LIMIT, Document, PathNotFound, TreeRefused
from unit.streams.keys import OpenKey, open_key
from unit.streams.query import feeds


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


def products(name: str) -> dict[str, Any]:
    items = {"i": {"id": name}}
    return {"format": "products:1.0", "content_id": name, "products": {name: {"versions": {"1": {"items": items}}}}}


def index(**paths: str) -> dict[str, Any]:
    """Return an index whose entries that begin with ``index`` name indexes."""
    kinds = {name: "index:1.0" if name.startswith("index") else "products:1.0" for name in paths}
    return {
        "format": "index:1.0",
        "index": {name: {"path": path, "format": kinds[name]} for name, path in paths.items()},
    }


def written(directory: Path, documents: dict[str, Any], signed: OpenKey | None = None) -> DirectoryTree:
    tree = DirectoryTree(directory)
    for path, document in documents.items():
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        tree.write(path, signed.signer.sign(text) if signed and path.endswith(".sjson") else text)
    return tree


def ids(tree: DirectoryTree, *filters: str, **how: Any) -> list[str]:
    return [row["id"] for row in query(tree, filters, **how)]


INDEX = "streams/v1/index.json"
SIGNED = "streams/v1/index.sjson"


def test_all_documents_of_a_feed_are_asked(tmp_path: Path) -> None:
    tree = written(tmp_path, {INDEX: index(a="a.json", b="b.json"), "a.json": products("a"), "b.json": products("b")})
    assert ids(tree) == ["a", "b"]
    assert ids(tree, "product_name=b") == ["b"]


def test_one_document_is_asked_alone(tmp_path: Path) -> None:
    tree = written(tmp_path, {"a.json": products("a")})
    assert ids(tree, start="a.json") == ["a"]


def test_indexes_that_an_index_names_are_followed_and_each_document_is_read_once(tmp_path: Path) -> None:
    documents = {
        INDEX: index(index_a="more/a.json", index_b="more/b.json", p="p.json"),
        "more/a.json": index(p="p.json", q="q.json"),
        "more/b.json": index(q="q.json"),
        "p.json": products("p"),
        "q.json": products("q"),
    }
    assert ids(written(tmp_path, documents)) == ["p", "q"]


def test_what_an_index_names_of_another_format_is_left(tmp_path: Path) -> None:
    documents = index(a="a.json")
    documents["index"]["m"] = {"path": "absent.json", "format": "mirrors:1.0"}
    assert ids(written(tmp_path, {INDEX: documents, "a.json": products("a")})) == ["a"]


@pytest.mark.parametrize("back", [INDEX, "b.json"])
def test_a_loop_of_indexes_is_told_with_the_entry_that_makes_it(tmp_path: Path, back: str) -> None:
    tree = written(tmp_path, {INDEX: index(index_b="b.json"), "b.json": index(index_again=back)})
    with pytest.raises(IndexLoop, match=f"b.json: the entry 'index_again' leads back to {back}"):
        ids(tree)


def test_indexes_without_an_end_are_told(tmp_path: Path) -> None:
    chain = {f"{number}.json": index(index_next=f"{number + 1}.json") for number in range(200)}
    with pytest.raises(IndexLoop, match=r"9.json: .* more than"):
        ids(written(tmp_path, {INDEX: index(index_first="0.json"), **chain}))
    wide = {f"{number}.json": index() for number in range(200)}
    names = {f"index_{number}": f"{number}.json" for number in range(200)}
    with pytest.raises(IndexLoop, match="more than 100 indexes"):
        ids(written(tmp_path, {INDEX: index(**names), **wide}))


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"<html>", MalformedDocument, "a.json: top: it is not JSON"),
        (b'{"products": {}, "products": {}}', MalformedDocument, "a.json: top: .*'products' twice"),
        (b"\xef\xbb\xbf{}", MalformedDocument, "a.json: top: it is not JSON"),
        (b"[" * 200_000, MalformedDocument, "a.json: top: it is nested too deeply"),
        (b"[]", MalformedDocument, "a.json: top: expected an object"),
        (b"{}", MalformedDocument, "a.json: top.format: it is None"),
        (b'{"format": "stream:1.0"}', MalformedDocument, "a.json: top.format: it is 'stream:1.0'"),
        (b'{"products": []}', MalformedDocument, "a.json: products: expected an object"),
        (b'{"index": []}', MalformedDocument, "a.json: index document.index: expected an object"),
        (b'{"index": {"x": {"path": "../x"}}}', UnsafePath, r"a.json: .*index\[\"x\"\].path"),
        (b'{"index": {"x": {"path": "absent.json"}}}', PathNotFound, "absent.json"),
    ],
)
def test_a_document_that_is_none_is_told_with_its_place(
    tmp_path: Path, body: bytes, error: type[HeadwaterError], words: str
) -> None:
    tree = written(tmp_path, {INDEX: index(a="a.json"), "a.json": body})
    with pytest.raises(error, match=words):
        ids(tree)


def test_a_tree_without_a_feed_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoStart, match=r"index.sjson.*index.json"):
        ids(DirectoryTree(tmp_path))


class Store(DirectoryTree):
    """A tree that answers 403 in place of 404, as object stores do whose files may not be listed."""

    status = 403

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        try:
            return super().read(path, limit)
        except PathNotFound as error:
            raise TreeRefused(self.place, f"{path}: the server answered {self.status}", self.status) from error


def test_an_index_that_a_store_refuses_is_one_that_is_not_there(tmp_path: Path) -> None:
    written(tmp_path, {INDEX: index(a="a.json"), "a.json": products("a")})
    assert ids(Store(tmp_path)) == ["a"]
    with pytest.raises(TreeRefused, match=r"index.sjson: the server answered 403"):
        ids(Store(tmp_path / "absent"))


def test_an_index_that_fails_otherwise_is_not_taken_for_absent(tmp_path: Path) -> None:
    written(tmp_path, {INDEX: index(a="a.json"), "a.json": products("a")})
    tree = Store(tmp_path)
    tree.status = 400
    with pytest.raises(TreeRefused, match="400"):
        ids(tree)


# --- Signatures --------------------------------------------------------------------------------


def signed_feed(directory: Path, key: OpenKey) -> DirectoryTree:
    documents = {
        SIGNED: index(a="a.sjson"),
        "a.sjson": products("signed"),
        INDEX: index(a="a.json"),
        "a.json": products("unsigned"),
    }
    return written(directory, documents, key)


def test_a_signed_feed_is_read_with_the_keys_of_its_publisher(tmp_path: Path, key: OpenKey) -> None:
    tree = signed_feed(tmp_path, key)
    assert ids(tree, trusted=[key.certificate]) == ["signed"]
    with pytest.raises(KeyringNeeded, match="--keyring"):
        ids(tree)
    assert ids(tree, verifies=False) == ["unsigned"]
    assert ids(tree, start=SIGNED, verifies=False) == ["signed"]
    assert ids(tree, start=INDEX) == ["unsigned"]


def test_what_another_key_signed_is_refused(tmp_path: Path, key: OpenKey) -> None:
    with pytest.raises(NotVerified, match=r"index.sjson: the signature is not good"):
        ids(signed_feed(tmp_path, key), trusted=[open_key().certificate])


def test_with_keys_an_unsigned_feed_is_refused(tmp_path: Path, key: OpenKey) -> None:
    tree = written(tmp_path, {INDEX: index(a="a.json"), "a.json": products("a")})
    with pytest.raises(NotSigned, match=r"index.json: it is not signed"):
        ids(tree, trusted=[key.certificate])


@pytest.mark.parametrize(
    ("path", "problem"),
    [("a.json", r"named by the signed .*, and is not signed itself"), ("a.sjson", "not a clear-signed document")],
)
def test_a_signed_index_leads_to_nothing_unsigned(tmp_path: Path, key: OpenKey, path: str, problem: str) -> None:
    tree = written(tmp_path, {SIGNED: index(a=path)}, key)
    written(tmp_path, {path: products("a")})
    with pytest.raises(NotSigned, match=f"{path}: .*{problem}"):
        ids(tree, trusted=[key.certificate])
    assert ids(tree, verifies=False) == ["a"]  # feeds are found whose signed names hold what is not


def test_a_document_that_was_changed_after_it_was_signed_is_refused(tmp_path: Path, key: OpenKey) -> None:
    tree = signed_feed(tmp_path, key)
    file = tmp_path / "a.sjson"
    file.write_bytes(file.read_bytes().replace(b'"id": "signed"', b'"id": "forged"'))
    with pytest.raises(NotVerified, match=r"a.sjson: the signature is not good"):
        ids(tree, trusted=[key.certificate])


# --- Names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tree", "path"),
    [
        ("/feeds/a", "/feeds/a", None),
        ("https://h.example/a/", "https://h.example/a/", None),
        ("https://h.example/a/streams/v1/index.json", "https://h.example/a", "streams/v1/index.json"),
        ("https://h.example/streams/v1/x:y.sjson", "https://h.example", "streams/v1/x:y.sjson"),
        ("/feeds/a/streams/v1/index.sjson", "/feeds/a", "streams/v1/index.sjson"),
        ("streams/v1/index.json", "", "streams/v1/index.json"),
        ("/streams/v1/index.json", "/", "streams/v1/index.json"),
        ("s3://bucket/streams/v1/index.json", "s3://bucket", "streams/v1/index.json"),
        ("file:///a/streams/v1/index.json", "file:///a", "streams/v1/index.json"),
        ("file:///streams/v1/index.json", "file:///", "streams/v1/index.json"),
        ("/a/upstreams/v1/index.json", "/a/upstreams/v1", "index.json"),
        ("images.json", "", "images.json"),
        ("/images.json", "/", "images.json"),
        ("a/images.json", "a", "images.json"),
    ],
)
def test_a_name_may_hold_the_document_to_begin_with(name: str, tree: str, path: str | None) -> None:
    assert split_name(name) == (tree, path)


def test_feeds_in_the_shapes_of_real_ones_are_asked(tmp_path: Path) -> None:
    feeds.write(tmp_path, ids=feeds.image_ids(), containers=feeds.containers(), boot=feeds.boot_files())
    tree = DirectoryTree(tmp_path)
    assert len(list(query(tree))) == 36 * 3 + 18 + 2
    newest = query(tree, ["datatype=image-ids", "region~^usee1", "root_store=ssd", "version>=10"], most_versions=1)
    assert [row["id"].split("-")[1:4] for row in newest] == [
        [version, arch, "3"] for version in ("10.04", "24.04") for arch in ("amd64", "arm64")
    ]
