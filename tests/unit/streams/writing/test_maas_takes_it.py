"""Boot images before a model of MAAS that shares no code with us: what we write it takes, what is wrong it refuses."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.streams.lint.check import lint
from headwater.streams.lint.consumers.registry import named
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathNotFound, Tree
from headwater.streams.writing import boot_images, image_files, image_ids
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.boot_images import BootDescription
from headwater.streams.writing.files import Content
from headwater.streams.writing.image_ids import ImageId
from headwater.streams.writing.merging import Place
from unit.streams.writing import maas_model

INDEX = "streams/v1/index.json"
KERNELS = "com.ubuntu.maas:stable:v3:download"
KERNEL = ("boot-kernel", "boot-initrd", "squashfs", "manifest")
Change = Callable[[dict[str, Any], dict[str, Any]], Any]  # of the index, and of the products with kernels


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = DirectoryTree(tmp_path / "tree")

    def change(feed: feeds.Feed) -> None:
        for version, day in (("24.04", "20260101"), ("24.04", "20260102"), ("22.04", "20260101")):
            image = BootDescription(os="ubuntu", release="any", version=version, subarch=f"ga-{version}")
            files = {name: Content.of_bytes(name, f"{name} {day}".encode()) for name in KERNEL}
            boot_images.add(feed, image, files, version=day, kernel_package="linux-generic")
        tarball = {name: Content.of_bytes(name, name.encode()) for name in ("root-tgz", "manifest")}
        centos = BootDescription(os="centos", release="centos9", version="9", arch="aarch64")
        boot_images.add(feed, centos, tarball, version="20260101")

    feeds.edit(made, change)
    return made


def reading(tree: Tree) -> maas_model.Read:
    def read(path: str) -> Any:
        try:
            return json.loads(tree.read(path).body)
        except PathNotFound as error:
            raise KeyError(path) from error

    return read


def test_maas_takes_every_boot_image_that_we_write(tree: Tree) -> None:
    assert maas_model.refusals(reading(tree)) == []
    assert maas_model.images(reading(tree)) == {
        "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04": set(KERNEL),
        "com.ubuntu.maas.stable:v3:boot:22.04:amd64:ga-22.04": set(KERNEL),
        "com.ubuntu.maas.stable:centos-bases:9:arm64": {"root-tgz", "manifest"},
    }


@pytest.mark.parametrize("other", ["image-ids", "image files", "any file"])
def test_where_others_stand_in_the_index_lint_says_what_maas_does(tree: Tree, other: str) -> None:
    def change(feed: feeds.Feed) -> None:
        if other == "image-ids":
            image_ids.add(feed, ImageId(id="i", region="R", endpoints=("https://k/v3",), version="24.04"))
        elif other == "image files":
            described = image_files.ImageDescription(os="TestOS", release="noble")
            root = image_files.Root(content=Content.of_bytes("fs", b"hsqs" + b"x" * 9), ftype="squashfs")
            image_files.add(feed, described, [root], version="20260101")
        else:
            place = Place("an:iso", "20260101", "an.iso")
            iso = Content.of_bytes("an.iso", b"CD001")
            image_files.add_other(feed, iso, place, "iso", content_id="isos", facts={})

    feeds.edit(tree, change)
    assert bool(maas_model.refusals(reading(tree))) == maas_loses(tree)


def maas_loses(tree: Tree) -> bool:
    """Return whether our check says that MAAS loses something."""
    [verdict] = lint(tree, named(["maas"])).verdicts
    return verdict.has_errors


def product(products: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(products["products"].values()))
    return found


def items(products: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(product(products)["versions"].values()))["items"]
    return found


CHANGES: dict[str, tuple[Change, bool]] = {  # and whether MAAS refuses the feed then
    "nothing": (lambda _index, _products: None, False),
    "no time on the index": (lambda index, _: index.pop("updated"), True),
    "GMT": (lambda index, _: index.update(updated="Thu, 26 Nov 2026 10:00:00 GMT"), True),
    "ISO 8601": (lambda index, _: index.update(updated="2026-11-26T10:00:00Z"), False),
    "no time on the entry": (lambda index, _: index["index"][KERNELS].pop("updated"), True),
    "agents": (lambda index, _: index["index"][KERNELS].update(datatype="content-download"), True),
    "no datatype": (lambda index, _: index["index"][KERNELS].pop("datatype"), False),
    "no list of products": (lambda index, _: index["index"][KERNELS].pop("products"), True),
    "no document": (lambda index, _: index["index"][KERNELS].update(path="streams/v1/none.json"), True),
    "no label": (lambda _, products: product(products).pop("label"), True),
    "no subarches": (lambda _, products: product(products).pop("subarches"), True),
    "a number for the version": (lambda _, products: product(products).update(version=24.04), True),
    "no manifest": (lambda _, products: items(products).pop("manifest"), True),
    "no root": (lambda _, products: items(products).pop("squashfs"), True),
    "no hash": (lambda _, products: items(products)["boot-kernel"].pop("sha256"), True),
    "no type": (lambda _, products: items(products)["boot-kernel"].pop("ftype"), True),
    "a size in digits": (lambda _, products: items(products)["manifest"].update(size="8"), False),
    "a size in words": (lambda _, products: items(products)["manifest"].update(size="eight"), True),
    "an unknown key": (lambda _, products: product(products).update(more=[1]), False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_model_and_our_check_think_the_same_of_a_feed_that_somebody_changed(tree: Tree, name: str) -> None:
    change, refused = CHANGES[name]
    index = json.loads(tree.read(INDEX).body)
    path = index["index"][KERNELS]["path"]
    products = json.loads(tree.read(path).body)
    before = copy.deepcopy((index, products))
    change(index, products)
    assert (index, products) != before or name == "nothing"
    tree.write(path, json.dumps(products).encode())
    tree.write(INDEX, json.dumps(index).encode())
    assert bool(maas_model.refusals(reading(tree))) == refused, maas_model.refusals(reading(tree))
    assert maas_loses(tree) == refused
