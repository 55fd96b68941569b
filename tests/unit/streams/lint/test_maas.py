"""What makes a document invalid for MAAS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.findings import Level
from unit.streams.keys import open_key
from unit.streams.lint.feeds import (
    BOOT,
    INDEX,
    PRODUCTS,
    Change,
    Documents,
    agents,
    boot_images,
    file,
    image_files,
    image_ids,
    of,
    report_of,
    rules_of,
    verdict_of,
)


def entry(feed: Documents) -> Any:
    return next(iter(feed[INDEX]["index"].values()))


def product(feed: Documents) -> Any:
    return feed[PRODUCTS]["products"][BOOT]


def items(feed: Documents) -> Any:
    return product(feed)["versions"]["20260101"]["items"]


def label_on_the_version(feed: Documents) -> None:
    product(feed)["versions"]["20260101"]["label"] = product(feed).pop("label")


def agents_beside(feed: Documents) -> None:
    feed["streams/v1/agents.json"] = agents()[PRODUCTS]
    feed[INDEX]["index"]["agents"] = {**entry(agents()), "path": "streams/v1/agents.json"}


def loaders() -> Any:
    sources = {"src_package": "grub2-signed", "src_release": "noble", "src_version": "1"}
    items = {"grub2-signed": file("archive.tar.xz", **sources)}
    keys = {"arch": "amd64", "arches": "amd64", "bootloader-type": "uefi", "label": "stable", "os": "grub-efi-signed"}
    return {**keys, "versions": {"20260101": {"items": items}}}


def loader_beside(feed: Documents) -> None:
    feed[PRODUCTS]["products"]["com.example.maas:1:grub-efi-signed:uefi:amd64"] = loaders()


# What is done to the right feed, by which rule it is told, and how many of its versions MAAS takes then.
ROWS: list[tuple[str, Change, str, int]] = [
    ("no updated at the top", lambda feed: feed[INDEX].pop("updated"), "maas-updated", 0),
    ("no updated in the entry", lambda feed: entry(feed).pop("updated"), "maas-updated", 0),
    ("GMT", lambda feed: entry(feed).update(updated="Thu, 01 Jan 2026 00:00:00 GMT"), "maas-updated", 0),
    ("no date", lambda feed: entry(feed).update(updated="today"), "maas-updated", 0),
    ("no products in the entry", lambda feed: entry(feed).pop("products"), "maas-entry-lacks", 0),
    ("agents in the same index", agents_beside, "maas-datatype", 0),
    ("label on the version", label_on_the_version, "maas-product-lacks", 0),
    ("no release_title", lambda feed: product(feed).pop("release_title"), "maas-product-lacks", 0),
    ("a number for the version", lambda feed: product(feed).update(version=24.04), "maas-type", 0),
    ("no ftype", lambda feed: items(feed)["squashfs"].pop("ftype"), "maas-item-lacks", 0),
    ("no sha256", lambda feed: items(feed)["squashfs"].pop("sha256"), "maas-item-lacks", 0),
    ("no size", lambda feed: items(feed)["manifest"].pop("size"), "maas-item-lacks", 0),
    ("no manifest", lambda feed: items(feed).pop("manifest"), "maas-files", 0),
    ("no kernel", lambda feed: items(feed).pop("boot-kernel"), "maas-files", 0),
    ("no root", lambda feed: items(feed).pop("squashfs"), "maas-files", 0),
    ("boot loaders in the same document", loader_beside, "maas-mixed", 0),
    (
        "a name without its version",
        lambda feed: feed[PRODUCTS].update(products={"boot": product(feed)}),
        "maas-product-name",
        1,
    ),
    ("half a document", lambda feed: feed.update({PRODUCTS: b"{"}), "document-not-json", 0),
]


@pytest.mark.parametrize(("change", "rule", "taken"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_invalid_is_told(tmp_path: Path, change: Change, rule: str, taken: int) -> None:
    feed = boot_images()
    change(feed)
    report = report_of(tmp_path, feed, "maas")
    assert rule in rules_of(report, "maas")
    assert verdict_of(report, "maas").sees.total() == taken


@pytest.mark.parametrize(
    "change",
    [
        lambda feed: None,
        lambda feed: items(feed)["squashfs"].update(size="10"),
        lambda feed: entry(feed).pop("datatype"),
        lambda feed: feed[INDEX].update(updated="2026-01-01T00:00:00+00:00"),
        lambda feed: product(feed).update(colour="red"),
    ],
    ids=["as it is", "digits", "no datatype", "ISO 8601", "further keys"],
)
def test_a_right_feed_is_taken(tmp_path: Path, change: Change) -> None:
    feed = boot_images()
    change(feed)
    report = report_of(tmp_path, feed)
    assert verdict_of(report, "maas").sees.total() == 1
    assert rules_of(report, "maas", Level.ERROR) == set()
    assert "maas-unsigned" in rules_of(report, "maas")


def test_boot_loaders_and_images_of_one_file_have_documents_of_their_own(tmp_path: Path) -> None:
    one = {name: file(name) for name in ("manifest", "root-tgz")}
    whole = {**product(boot_images()), "os": "centos", "versions": {"20260101": {"items": one}}}
    for products in ({"com.example.maas:1:grub:uefi:amd64": loaders()}, {"com.example.maas:centos:8:amd64": whole}):
        report = report_of(tmp_path, of(products, "image-ids"))
        assert verdict_of(report, "maas").sees.total() == 1
        assert rules_of(report, "maas") == {"maas-unsigned"}


def test_a_signed_index_leads_to_signed_documents(tmp_path: Path) -> None:
    signer = open_key().signer
    feed = boot_images()
    plain = dict(feed)
    entry(feed)["path"] = "streams/v1/products.sjson"
    feed["streams/v1/products.sjson"] = plain[PRODUCTS]
    feed["streams/v1/index.sjson"] = feed.pop(INDEX)
    for name in ("streams/v1/index.sjson", "streams/v1/products.sjson"):
        feed[name] = signer.sign(json.dumps(feed[name], indent=1).encode())
    assert not rules_of(report_of(tmp_path / "signed", feed), "maas")
    feed["streams/v1/products.sjson"] = plain[PRODUCTS]
    assert "maas-signature" in rules_of(report_of(tmp_path / "half", feed, "maas"), "maas", Level.ERROR)


@pytest.mark.parametrize("feed", [image_ids, image_files, agents])
def test_a_feed_for_others_is_no_fault_unless_maas_is_asked_for(tmp_path: Path, feed: Any) -> None:
    assert rules_of(report_of(tmp_path, feed()), "maas", Level.WARNING) == set()
    assert rules_of(report_of(tmp_path, feed()), "maas", Level.NOTE) == {"nothing-for-it"}
    assert rules_of(report_of(tmp_path, feed(), "maas"), "maas", Level.ERROR)
