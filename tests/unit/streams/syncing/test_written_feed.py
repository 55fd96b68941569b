"""The feed of the ids of synced images, read as its readers read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.streams.query.query import query
from headwater.streams.syncing.written_feed import CloudOfFeed, write_image_ids
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import Tree
from unit.streams.juju_lookup import Source, Wanted, find
from unit.streams.writing.trees import fetch_from

KEYSTONE = "https://keystone.example:5000/v3"
CLOUD = CloudOfFeed(region="RegionOne", endpoints=(KEYSTONE, "https://10.0.0.1:5000/v3"), name="mine")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return DirectoryTree(tmp_path)


def image(image_id: str, *, version: str = "24.04", serial: str = "20250101", **more: Any) -> dict[str, Any]:
    metadata = {"arch": "amd64", "version": version, "release": "noble", "label": "release", "ftype": "disk1.img"}
    return {
        "id": image_id,
        "name": f"auto-sync/{image_id}",
        "status": "active",
        "os_hidden": False,
        "owner": "p",
        "size": 10,
        "checksum": "0" * 32,
        "content_id": "auto.sync",
        "source_content_id": "com.ubuntu.cloud:released:download",
        "product_name": f"com.ubuntu.cloud:server:{version}:amd64",
        "version_name": serial,
        "item_name": "disk1.img",
        "simplestreams_metadata": json.dumps(metadata),
        **more,
    }


def juju_finds(tree: Tree, region: str = "RegionOne", endpoint: str = KEYSTONE) -> list[str]:
    wanted = Wanted(region=region, endpoint=endpoint, releases=["22.04", "24.04"], arches=["amd64"])
    return [each["id"] for each in find(Source(fetch_from(tree)), wanted).images]


def test_juju_finds_the_newest_image_of_each_system_under_every_spelling_of_the_cloud(tree: Tree) -> None:
    images = [image("a"), image("b", serial="20250201"), image("c", version="22.04")]
    assert write_image_ids(tree, images, "auto.sync", CLOUD) == 3
    assert sorted(juju_finds(tree)) == ["b", "c"]
    assert sorted(juju_finds(tree, endpoint="https://10.0.0.1:5000/v3")) == ["b", "c"]


def test_what_is_hidden_or_has_no_data_or_comes_from_no_feed_is_not_in_it(tree: Tree) -> None:
    images = [image("a", os_hidden=True), image("b", status="queued"), {"id": "c", "status": "active"}, image("d")]
    assert write_image_ids(tree, images, "auto.sync", CLOUD) == 1
    assert juju_finds(tree) == ["d"]


def test_two_images_that_juju_could_not_tell_apart_are_one_in_it(tree: Tree) -> None:
    images = [image("a", item_name="disk2.img"), image("b"), image("c", item_name="root", hypervisor_type="lxc")]
    assert write_image_ids(tree, images, "auto.sync", CLOUD) == 2
    rows = list(query(tree, ["datatype=image-ids"]))
    assert {(each["id"], each.get("virt")) for each in rows} == {("b", None), ("c", "lxd")}


def test_an_item_says_what_the_charm_says_of_it(tree: Tree) -> None:
    write_image_ids(tree, [image("a", hypervisor_type="qemu")], "auto.sync", CLOUD)
    [row] = query(tree)
    expected = {
        "id": "a",
        "region": "RegionOne",
        "endpoint": KEYSTONE,
        "owner_id": "p",
        "name": "auto-sync/a",
        "md5": "0" * 32,
        "size": "10",
        "virt": "kvm",
        "arch": "amd64",
        "release": "noble",
        "label": "release",
    }
    assert expected.items() <= row.items()


def test_images_that_are_gone_leave_it_and_those_of_other_regions_stay(tree: Tree) -> None:
    north = CloudOfFeed(region="North", endpoints=("https://north.example/v3",))
    write_image_ids(tree, [image("a"), image("b", version="22.04")], "auto.sync", CLOUD)
    write_image_ids(tree, [image("n")], "auto.sync", north)
    write_image_ids(tree, [image("a2", serial="20250301")], "auto.sync", CLOUD)
    assert juju_finds(tree) == ["a2"]
    assert juju_finds(tree, "North", "https://north.example/v3") == ["n"]
    before = (tree.read("streams/v1/index.json").body, tree.read("streams/v1/auto.sync.json").body)
    write_image_ids(tree, [image("a2", serial="20250301")], "auto.sync", CLOUD)
    assert (tree.read("streams/v1/index.json").body, tree.read("streams/v1/auto.sync.json").body) == before
