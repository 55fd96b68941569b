"""Agents, described in a feed and found again as Juju finds them."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.streams.format.documents import Products
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import Tree
from headwater.streams.writing import agents
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.agents import BadAgents, Described, NoAgents
from headwater.streams.writing.files import FileUnusable
from unit.streams.writing.trees import Killed, MortalTree

DAY, NEXT_DAY = 1_790_000_000_000_000, 1_790_086_400_000_000  # 21 and 22 September 2026
NAME = "juju-3.6.27-ubuntu-amd64.tgz"
PRODUCTS = "streams/v1/com.ubuntu.juju-released-agents.json"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return DirectoryTree(tmp_path / "tools")


def put(tree: Tree, name: str = NAME, text: str = "one", stream: str = "released") -> bytes:
    body = b"\x1f\x8b" + text.encode()
    tree.write(f"{stream}/{name}", body)
    return body


def generate(tree: Tree, stream: str = "released", *, at: int = DAY, clean: bool = False) -> Described:
    found = agents.scan(tree, stream, lambda _: None)
    return feeds.edit(
        tree,
        lambda feed: agents.describe(feed, stream, found, whole=True, clean=clean, clock=lambda: at),
        clock=lambda: at,
    )


def juju_sees(tree: Tree, stream: str = "released") -> dict[tuple[str, str, str], bytes]:
    """Return what Juju would run, by version, operating system and architecture; it checks size and hash."""
    index = json.loads(tree.read("streams/v1/index2.json").body)
    entry = index["index"].get(f"com.ubuntu.juju:{stream}:agents")
    if entry is None:
        return {}
    assert entry["datatype"] == "content-download"
    document = json.loads(tree.read(entry["path"]).body)
    assert sorted(document["products"]) == entry["products"]
    found: dict[tuple[str, str, str], bytes] = {}
    for name, product in document["products"].items():
        for version in sorted(product["versions"], reverse=True):
            for item in product["versions"][version]["items"].values():
                assert name == f"com.ubuntu.juju:{item['release']}:{item['arch']}"
                body = tree.read(item["path"]).body
                assert (item["size"], item["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
                found.setdefault((item["version"], item["release"], item["arch"]), body)
    return found


def test_juju_finds_each_tarball_with_its_size_and_hash(tree: Tree) -> None:
    one, two = put(tree), put(tree, "juju-4.0-beta2-ubuntu-arm64.tgz")
    put(tree, "notes.txt")
    put(tree, "juju-3.6.27-noble-amd64.tgz")
    put(tree, "juju-3.6-ubuntu-extra-amd64.tgz")
    generate(tree)
    assert juju_sees(tree) == {("3.6.27", "ubuntu", "amd64"): one, ("4.0-beta2", "ubuntu", "arm64"): two}
    assert tree.read("streams/v1/index.json").body == tree.read("streams/v1/index2.json").body


def test_a_tarball_for_linux_serves_three_systems_unless_one_is_named_for_its_own(tree: Tree) -> None:
    linux = put(tree, "juju-3.6.27-linux-amd64.tgz", "linux")
    centos, ubuntu = put(tree, "juju-3.6.27-centos-amd64.tgz", "centos"), put(tree, text="ubuntu")
    generate(tree)
    seen = {system: body for (_, system, _), body in juju_sees(tree).items()}
    assert seen == {"ubuntu": ubuntu, "centos": centos, "genericlinux": linux}


def test_a_tarball_that_was_built_anew_has_its_new_hash(tree: Tree) -> None:
    put(tree)
    other = put(tree, "juju-3.6.26-ubuntu-amd64.tgz")
    generate(tree)
    new = put(tree, text="another, longer one")
    described = generate(tree, at=NEXT_DAY)
    assert described.written == ("3.6.27-ubuntu-amd64",)
    assert juju_sees(tree) == {("3.6.27", "ubuntu", "amd64"): new, ("3.6.26", "ubuntu", "amd64"): other}
    [product] = json.loads(tree.read(PRODUCTS).body)["products"].values()
    assert {at: list(version["items"]) for at, version in product["versions"].items()} == {
        "20260921": ["3.6.26-ubuntu-amd64"],
        "20260922": ["3.6.27-ubuntu-amd64"],
    }


def test_a_tarball_that_was_deleted_goes_and_what_leads_elsewhere_stays(tree: Tree) -> None:
    put(tree)
    generate(tree)
    document = json.loads(tree.read(PRODUCTS).body)
    foreign = {"path": "elsewhere/x.tgz", "size": 1, "sha256": "0", "version": "3.5.1", "arch": "amd64", "note": [1]}
    document["products"]["com.ubuntu.juju:ubuntu:amd64"]["versions"]["20200101"] = {"items": {"x": foreign}}
    tree.write(PRODUCTS, json.dumps(document).encode())
    tree.delete(f"released/{NAME}")
    assert generate(tree).gone == ("3.6.27-ubuntu-amd64",)
    [product] = json.loads(tree.read(PRODUCTS).body)["products"].values()
    assert product["versions"] == {"20200101": {"items": {"x": foreign}}}
    put(tree)
    assert generate(tree, clean=True).gone == ("x",)
    assert list(juju_sees(tree)) == [("3.6.27", "ubuntu", "amd64")]


def test_a_stream_whose_last_tarball_goes_has_no_products(tree: Tree) -> None:
    put(tree)
    put(tree, stream="proposed")
    generate(tree)
    generate(tree, "proposed")
    tree.delete(f"proposed/{NAME}")
    generate(tree, "proposed")
    assert juju_sees(tree, "proposed") == {}
    assert len(juju_sees(tree)) == 1


def test_the_same_again_writes_nothing(tree: Tree) -> None:
    put(tree)
    generate(tree)
    before = list(tree.list())
    assert generate(tree, at=NEXT_DAY) == Described(stream="released", written=(), gone=())
    assert list(tree.list()) == before


def test_a_size_that_is_text_is_made_a_number(tree: Tree) -> None:
    """Juju refuses a whole file for one such size; tools that write trees anew make them."""
    put(tree)
    generate(tree)
    body = tree.read(PRODUCTS).body
    tree.write(PRODUCTS, body.replace(b'"size": 5', b'"size": "5"'))
    generate(tree)
    assert [type(item["size"]) for item in _items(tree)] == [int]


def _items(tree: Tree) -> list[dict[str, Any]]:
    products = json.loads(tree.read(PRODUCTS).body)["products"].values()
    return [
        item for product in products for version in product["versions"].values() for item in version["items"].values()
    ]


def test_tarballs_come_from_directories_that_name_their_streams(tmp_path: Path) -> None:
    for place in ("", "proposed", "streams"):
        (tmp_path / place).mkdir(exist_ok=True)
    for place in ("", "proposed"):
        (tmp_path / place / NAME).write_bytes(b"\x1f\x8b")
    found = agents.of_directory(tmp_path, "released")
    assert found == {"released": [tmp_path / NAME], "proposed": [tmp_path / "proposed" / NAME]}
    with pytest.raises(NoAgents, match="no agent binaries available"):
        agents.of_directory(tmp_path / "streams", "released")


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("juju-3.6.27-ubuntu.tgz", b"\x1f\x8b", "its name"),
        ("juju-3-ubuntu-amd64.tgz", b"\x1f\x8b", "its name"),
        (NAME, b"no gzip", "gzip"),
        ("juju-3.6.27-noble-amd64.tgz", b"\x1f\x8b", "operating system"),
        (NAME, b"", "empty"),
    ],
)
def test_what_juju_would_not_take_is_not_brought(
    tree: Tree, tmp_path: Path, name: str, body: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(FileUnusable, match=problem):
        agents.bring(tree, [tmp_path / name], "released", lambda _: None)
    assert list(tree.list()) == []


@pytest.mark.parametrize("stream", ["", "../x", "a/b", "a:b"])
def test_a_stream_is_a_word(tree: Tree, stream: str) -> None:
    with pytest.raises(BadAgents):
        agents.scan(tree, stream, lambda _: None)


def test_mirrors_of_others_stay_beside_ours(tree: Tree) -> None:
    tree.write("streams/v1/mirrors.json", b'{"mirrors": {"other": [{"path": "x.json", "k": 1}]}, "z": 1}')
    for _ in range(2):
        feeds.edit(tree, lambda feed: agents.name_mirrors(feed, "released", lambda: DAY))
    assert json.loads(tree.read("streams/v1/mirrors.json").body) == {
        "mirrors": {
            "other": [{"path": "x.json", "k": 1}],
            "com.ubuntu.juju:released:agents": [
                {
                    "updated": "20260921",
                    "format": "mirrors:1.0",
                    "datatype": "content-download",
                    "path": "streams/v1/cpc-mirrors.json",
                }
            ],
        },
        "z": 1,
    }


def test_a_writer_that_is_killed_at_any_write_leaves_agents_that_are_right(tmp_path: Path) -> None:
    for dies_at in itertools.count():
        root = tmp_path / str(dies_at)
        tree = DirectoryTree(root)
        put(tree)
        generate(tree)
        put(tree, "juju-3.6.28-ubuntu-amd64.tgz")
        mortal = MortalTree(root, dies_at)
        try:
            generate(mortal)
        except Killed:
            assert ("3.6.27", "ubuntu", "amd64") in juju_sees_products(tree)
            generate(tree)
        assert len(juju_sees(tree)) == 2
        if mortal.writes < dies_at:
            assert dies_at > 2
            return


def juju_sees_products(tree: Tree) -> set[tuple[str, str, str]]:
    return {(item["version"], item["release"], item["arch"]) for item in _items(tree)}


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([NAME, "juju-3.6.28-linux-amd64.tgz", "juju-4.0.1-ubuntu-arm64.tgz"]),
            st.text("ab", max_size=2),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_after_any_changes_the_feed_says_what_is_there(states: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = DirectoryTree(Path(directory))
        for number, files in enumerate(states):
            for entry in list(tree.list("released/")):
                tree.delete(entry.path)
            for name, text in files.items():
                put(tree, name, text)
            generate(tree, at=DAY + number * (NEXT_DAY - DAY))
        assert set(juju_sees(tree).values()) == {b"\x1f\x8b" + text.encode() for text in files.values()}
        if files:
            body = tree.read(PRODUCTS).body
            assert Products.from_bytes(body).to_bytes() == body
