"""Boot images, written into a feed and looked at as MAAS looks at them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import Tree
from headwater.streams.writing import boot_images
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.boot_images import BadBootImage, BootDescription
from headwater.streams.writing.files import Content
from headwater.streams.writing.image_files import Added

KERNEL = ("boot-kernel", "boot-initrd", "squashfs", "manifest")
DAY = 1_790_000_000_000_000  # 21 September 2026


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return DirectoryTree(tmp_path / "tree")


def noble(**more: Any) -> BootDescription:
    return BootDescription(**({"os": "ubuntu", "release": "noble", "version": "24.04"} | more))


def add(tree: Tree, image: BootDescription, *types: str, text: str = "", **more: Any) -> Added:
    files = {ftype: Content.of_bytes(ftype, f"{ftype} {text}".encode()) for ftype in types}
    return feeds.edit(tree, lambda feed: boot_images.add(feed, image, files, clock=lambda: DAY, **more))


def maas_sees(tree: Tree) -> dict[str, list[str]]:
    """Return the products that MAAS takes, with the types of their files: as a whole, or none."""
    index = json.loads(tree.read("streams/v1/index.json").body)
    assert index["updated"].endswith("+0000")
    found: dict[str, list[str]] = {}
    for entry in index["index"].values():
        assert entry["datatype"] in ("image-ids", "image-downloads")
        assert entry["updated"].endswith("+0000")
        products = json.loads(tree.read(entry["path"]).body)["products"]
        assert sorted(products) == entry["products"]
        kinds = set()
        for name, product in products.items():
            for key in ("arch", "label", "os", "release", "release_title", "subarch", "subarches", "version"):
                assert isinstance(product[key], str)
            for version in product["versions"].values():
                items = version["items"]
                kinds.add("root-tgz" in items)
                assert set(items) >= ({"root-tgz", "manifest"} if "root-tgz" in items else set(KERNEL))
                for item in items.values():
                    body = tree.read(item["path"]).body
                    assert (item["size"], item["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
                found[name] = [item["ftype"] for item in items.values()]
        assert len(kinds) == 1
    return found


def test_maas_takes_kernels_and_tarballs(tree: Tree) -> None:
    add(tree, noble(subarch="ga-24.04", subarches=("hwe-p",)), *KERNEL, kernel_package="linux-generic")
    add(tree, BootDescription(os="centos", release="centos9", version="9"), "root-tgz", "manifest")
    assert maas_sees(tree) == {
        "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04": list(KERNEL),
        "com.ubuntu.maas.stable:centos-bases:9:amd64": ["root-tgz", "manifest"],
    }
    products = json.loads(tree.read("streams/v1/com.ubuntu.maas-stable-v3-download.json").body)["products"]
    [product] = products.values()
    assert product["subarches"] == "hwe-p,ga-24.04,generic"
    assert product["versions"]["20260921"]["items"]["boot-kernel"]["kpackage"] == "linux-generic"


def test_one_file_of_an_image_is_replaced_by_itself(tree: Tree) -> None:
    add(tree, noble(), *KERNEL)
    before = tree.read("streams/v1/com.ubuntu.maas-stable-v3-download.json").body
    assert add(tree, noble(), "boot-kernel", text="newer").items == ("boot-kernel",)
    assert list(maas_sees(tree).values()) == [list(KERNEL)]
    assert tree.read("streams/v1/com.ubuntu.maas-stable-v3-download.json").body != before


@pytest.mark.parametrize(
    ("types", "problem"),
    [
        (("boot-kernel",), "no boot-initrd, manifest, squashfs"),
        (("boot-kernel", "boot-initrd", "manifest"), "no squashfs"),
        (("root-tgz",), "no manifest"),
        (("root-tgz", "manifest", "squashfs"), "either"),
        (("boot-dtb", *KERNEL), "boot-dtb"),
        ((), "boot-kernel"),
    ],
)
def test_what_would_spoil_the_file_for_maas_is_refused(tree: Tree, types: tuple[str, ...], problem: str) -> None:
    with pytest.raises(BadBootImage, match=problem):
        add(tree, noble(), *types)
    assert list(tree.list()) == []


@pytest.mark.parametrize("more", [{"os": ""}, {"release": "a:b"}, {"label": "x y"}, {"subarches": ("a,b",)}])
def test_names_are_words(more: dict[str, Any]) -> None:
    with pytest.raises(BadBootImage):
        noble(**more)


@pytest.mark.parametrize("version", ["v1", "2026", "20260101_0000"])
def test_a_version_is_a_date(tree: Tree, version: str) -> None:
    with pytest.raises(BadBootImage, match="it is a date"):
        add(tree, noble(), *KERNEL, version=version)
