"""What lxc 5.0.2, incus 6.0.4 and incus 7.0.2 did with each of these feeds when they were run against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.findings import Level
from unit.streams.lint.feeds import (
    HASH,
    INDEX,
    PRODUCTS,
    Change,
    Documents,
    file,
    image_files,
    report_of,
    rules_of,
    verdict_of,
)

LXD, INCUS = ("lxd-5",), ("incus-6", "incus-7")
ALL = (*LXD, *INCUS)


def product(feed: Documents) -> Any:
    return next(iter(feed[PRODUCTS]["products"].values()))


def version(feed: Documents) -> Any:
    return next(iter(product(feed)["versions"].values()))


def items(feed: Documents) -> Any:
    return version(feed)["items"]


def entry(feed: Documents) -> Any:
    return feed[INDEX]["index"]["images"]


def drop(at: Any, *keys: str) -> object:
    return [at.pop(key) for key in keys]


def each_metadata(change: Any) -> Change:
    return lambda feed: [change(items(feed)[name]) for name in ("lxd.tar.xz", "incus.tar.xz")]


def rename_version(name: str) -> Change:
    return lambda feed: product(feed).update(versions={name: version(feed)})


def hoist(key: str) -> Change:
    def change(feed: Documents) -> None:
        for item in items(feed).values():
            version(feed)[key] = item.pop(key)

    return change


def hoist_arch(feed: Documents) -> None:
    version(feed)["arch"] = product(feed).pop("arch")


def only(name: str) -> Change:
    other = {"lxd.tar.xz": "incus.tar.xz", "incus.tar.xz": "lxd.tar.xz"}[name]
    return lambda feed: drop(items(feed), other)


def with_mark(feed: Documents) -> None:
    feed[PRODUCTS] = b"\xef\xbb\xbf" + json.dumps(feed[PRODUCTS]).encode()


def signed_only(feed: Documents) -> None:
    feed["streams/v1/index.sjson"] = feed.pop(INDEX)


# What is done to the right feed, who is concerned, by which rule, and how many of its two images are listed then.
MATRIX: list[tuple[str, Change, tuple[str, ...], str, int]] = [
    (
        "a combined hash in upper case",
        each_metadata(lambda m: m.update(combined_squashfs_sha256=HASH.upper())),
        ALL,
        "images-bad-hash",
        2,
    ),
    (
        "no combined hashes",
        each_metadata(lambda m: drop(m, "combined_squashfs_sha256", "combined_disk-kvm-img_sha256")),
        ALL,
        "images-no-combined-hash",
        0,
    ),
    (
        "one combined hash",
        each_metadata(lambda m: drop(m, "combined_squashfs_sha256")),
        ALL,
        "images-no-combined-hash",
        1,
    ),
    ("an unknown arch", lambda feed: product(feed).update(arch="vax"), ALL, "images-arch", 0),
    ("a version that is no date", rename_version("v1"), ALL, "images-version-name", 0),
    ("a version of a thirteenth month", rename_version("20261301"), ALL, "images-version-name", 0),
    ("ftype on the version", hoist("ftype"), ALL, "images-hoisted-ftype", 0),
    ("arch on the version", hoist_arch, ALL, "images-no-arch", 0),
    ("no products in the entry", lambda feed: drop(entry(feed), "products"), ALL, "images-entry-without-products", 0),
    (
        "an empty list of products",
        lambda feed: entry(feed).update(products=[]),
        ALL,
        "images-entry-without-products",
        0,
    ),
    ("another datatype", lambda feed: entry(feed).update(datatype="image-ids"), ALL, "images-datatype", 0),
    ("an item without sha256", lambda feed: drop(items(feed)["root.squashfs"], "sha256"), ALL, "images-no-sha256", 2),
    ("a hash that is none", lambda feed: items(feed)["root.squashfs"].update(sha256="abc"), ALL, "images-bad-hash", 2),
    ("size as text", lambda feed: items(feed)["root.squashfs"].update(size="10"), ALL, "images-type", 0),
    ("size as a fraction", lambda feed: items(feed)["root.squashfs"].update(size=10.0), ALL, "images-type", 0),
    ("supported as text", lambda feed: product(feed).update(supported="true"), ALL, "images-type", 0),
    ("aliases as a list", lambda feed: product(feed).update(aliases=["a"]), ALL, "images-type", 0),
    ("items as a list", lambda feed: version(feed).update(items=[]), ALL, "images-type", 0),
    ("products of the entry as text", lambda feed: entry(feed).update(products="a"), ALL, "images-type", 0),
    ("a byte order mark", with_mark, ALL, "document-bom", 0),
    (
        "requirements with true",
        lambda feed: product(feed).update(requirements={"secureboot": True}),
        INCUS,
        "images-type",
        0,
    ),
    (
        "requirements with true",
        lambda feed: product(feed).update(requirements={"secureboot": True}),
        LXD,
        "lxd-newer-requirements",
        2,
    ),
    (
        "lxd_requirements with true",
        lambda feed: product(feed).update(lxd_requirements={"secureboot": True}),
        LXD,
        "images-type",
        0,
    ),
    (
        "empty lxd_requirements",
        lambda feed: product(feed).update(lxd_requirements={}),
        LXD,
        "lxd-empty-requirements",
        2,
    ),
    (
        "a requirement that nobody knows",
        lambda feed: product(feed).update(requirements={"secure_boot": "false"}),
        ALL,
        "images-requirement",
        2,
    ),
    ("no size", lambda feed: drop(items(feed)["root.squashfs"], "size"), LXD, "images-no-size", 2),
    ("a blank in aliases", lambda feed: product(feed).update(aliases="a, b"), ALL, "images-alias-space", 2),
    ("no aliases", lambda feed: drop(product(feed), "aliases"), ALL, "images-no-aliases", 2),
    ("only metadata for LXD", only("lxd.tar.xz"), INCUS, "images-no-metadata", 0),
    ("only metadata for Incus", only("incus.tar.xz"), LXD, "images-no-metadata", 0),
    ("no root", lambda feed: drop(items(feed), "root.squashfs", "disk.qcow2"), ALL, "images-no-root", 0),
    (
        "an item path with a slash before it",
        lambda feed: items(feed)["root.squashfs"].update(path="/a"),
        ALL,
        "images-item-path",
        2,
    ),
    (
        "an item path that is a URL",
        lambda feed: items(feed)["root.squashfs"].update(path="https://a.example/a"),
        ALL,
        "images-item-path",
        2,
    ),
    ("an item without path", lambda feed: drop(items(feed)["root.squashfs"], "path"), ALL, "images-no-path", 2),
    ("a delta of nothing", lambda feed: items(feed).update(d=file("squashfs.vcdiff")), ALL, "images-delta-base", 2),
    (
        "a delta of a version that is gone",
        lambda feed: items(feed).update(d=file("squashfs.vcdiff", delta_base="20270101")),
        ALL,
        "images-delta-base",
        2,
    ),
    ("only a signed index", signed_only, ALL, "index-missing", 0),
    ("no products document", lambda feed: drop(feed, PRODUCTS), ALL, "document-missing", 0),
    (
        "a login page",
        lambda feed: feed.update({INDEX: b"<!DOCTYPE html><title>Log in</title>"}),
        ALL,
        "document-page",
        0,
    ),
    ("half a document", lambda feed: feed.update({PRODUCTS: b'{"products": {'}), ALL, "document-not-json", 0),
    ("no number", lambda feed: feed.update({PRODUCTS: b'{"products": {}, "a": NaN}'}), ALL, "document-no-number", 0),
    ("a list at the top", lambda feed: feed.update({PRODUCTS: b"[]"}), ALL, "document-no-object", 0),
]


@pytest.mark.parametrize(
    ("change", "consumers", "rule", "listed"), [row[1:] for row in MATRIX], ids=[row[0] for row in MATRIX]
)
def test_what_is_amiss_is_said_and_how_many_are_listed(
    tmp_path: Path, change: Change, consumers: tuple[str, ...], rule: str, listed: int
) -> None:
    feed = image_files()
    change(feed)
    report = report_of(tmp_path, feed)
    for consumer in consumers:
        assert rule in rules_of(report, consumer)
        assert verdict_of(report, consumer).sees.total() == listed
        others = rules_of(report, consumer, Level.ERROR) - {rule}
        assert not {each for each in others if each.startswith("images-")}


FINE: list[tuple[str, Change]] = [
    ("as it is", lambda feed: None),
    ("a version with a colon", rename_version("20250101_12:30")),
    ("a version of twelve digits", rename_version("202501011230")),
    ("further keys", lambda feed: product(feed).update(colour="red")),
    ("no formats", lambda feed: (drop(feed[INDEX], "format"), drop(feed[PRODUCTS], "format"))),
    ("an entry path with a slash before it", lambda feed: entry(feed).update(path=f"/{PRODUCTS}")),
    ("null for a size", lambda feed: items(feed)["root.squashfs"].update(size=None)),
    (
        "the combined hash of old root tarballs",
        lambda feed: (
            items(feed).update(r=file("root.tar.xz")) or each_metadata(lambda m: m.update(combined_sha256=HASH))(feed)
        ),
    ),
]


@pytest.mark.parametrize("change", [row[1] for row in FINE], ids=[row[0] for row in FINE])
def test_what_these_clients_take_is_no_fault_of_theirs(tmp_path: Path, change: Change) -> None:
    feed = image_files()
    change(feed)
    report = report_of(tmp_path, feed)
    for consumer in ALL:
        assert verdict_of(report, consumer).sees.total() >= 2
        assert not verdict_of(report, consumer).misses
        assert not {each for each in rules_of(report, consumer, Level.ERROR) if not each.startswith("feed-")}


def test_a_unified_image_needs_no_combined_hash(tmp_path: Path) -> None:
    feed = image_files()
    version(feed)["items"] = {"a": file("lxd_combined.tar.gz"), "b": file("incus_combined.tar.gz")}
    report = report_of(tmp_path, feed)
    assert [verdict_of(report, each).sees.total() for each in ALL] == [1, 1, 1]


def test_two_documents_of_one_file_name_hide_each_other(tmp_path: Path) -> None:
    feed = image_files()
    feed["more/products.json"] = feed[PRODUCTS]
    feed[INDEX]["index"]["more"] = {**entry(feed), "path": "more/products.json"}
    assert "images-same-base-name" in rules_of(report_of(tmp_path, feed), "incus-7")


def test_one_alias_of_two_products_is_told(tmp_path: Path) -> None:
    feed = image_files()
    feed[PRODUCTS]["products"]["other"] = product(feed)
    assert "images-alias-twice" in rules_of(report_of(tmp_path, feed), "lxd-5")


def test_one_bad_document_takes_the_images_of_the_others(tmp_path: Path) -> None:
    feed = image_files()
    feed["streams/v1/more.json"] = json.loads(json.dumps(feed[PRODUCTS]))
    feed[INDEX]["index"]["more"] = {**entry(feed), "path": "streams/v1/more.json"}
    items(feed)["root.squashfs"]["size"] = "10"
    report = report_of(tmp_path, feed)
    assert verdict_of(report, "incus-7").sees.total() == 0
    assert verdict_of(report, "incus-7").to_dict()["images_missed"] == 4


def test_a_delta_whose_base_has_gone_with_the_old_versions_is_a_note(tmp_path: Path) -> None:
    feed = image_files()
    items(feed)["d"] = file("squashfs.vcdiff", delta_base="20251231_0000")
    report = report_of(tmp_path, feed)
    assert "images-delta-base" not in rules_of(report, "incus-7")
    assert "images-delta-base" in rules_of(report, "incus-7", Level.NOTE)
