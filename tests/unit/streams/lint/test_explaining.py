"""One image in a feed: where it stands, and why a consumer does not see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.streams.lint.consumers.registry import named
from headwater.streams.lint.explaining import Explained, explain
from unit.streams.lint.feeds import (
    HASH,
    INDEX,
    PRODUCT,
    PRODUCTS,
    Documents,
    boot_images,
    image_files,
    image_ids,
    written,
)

FILES = "testos:noble:amd64:default"


def explained(root: Path, feed: Documents, image: str, *consumers: str) -> Explained:
    return explain(written(root, feed), image, named(consumers) if consumers else ())


def seen_by(found: Explained) -> dict[str, bool]:
    [(_, views)] = found.matches
    return {view.consumer: view.sees for view in views}


def rules_of(found: Explained, consumer: str) -> set[str]:
    return {each.rule.id for _, views in found.matches for view in views if view.consumer == consumer
            for each in view.findings}  # fmt: skip


def test_an_image_of_a_cloud_is_found_by_its_id_and_seen_by_juju(tmp_path: Path) -> None:
    found = explained(tmp_path, image_ids(), "image-1")
    [(match, _)] = found.matches
    assert (match.file, match.product, match.version, match.items) == (PRODUCTS, PRODUCT, "20260101", ("a",))
    assert {name for name, sees in seen_by(found).items() if sees} == {"juju-2.9", "juju-3.6", "juju-4", "sstream"}
    assert rules_of(found, "incus-7") == set()


@pytest.mark.parametrize("name", [FILES, "testos/noble", HASH, "images/squashfs"])
def test_image_files_are_found_by_product_alias_hash_and_path(tmp_path: Path, name: str) -> None:
    found = explained(tmp_path, image_files(), name, "incus-7", "lxd-5")
    assert seen_by(found) == {"lxd-5": True, "incus-7": True}


def test_an_alias_is_the_newest_version(tmp_path: Path) -> None:
    feed = image_files()
    versions = feed[PRODUCTS]["products"][FILES]["versions"]
    versions["20260102_0000"] = versions["20260101_0000"]
    [(match, _)] = explained(tmp_path, feed, "testos/24.04", "incus-7").matches
    assert match.version == "20260102_0000"
    assert len(explained(tmp_path, feed, FILES, "incus-7").matches) == 2


def items_of(feed: Documents) -> dict[str, Any]:
    found: dict[str, Any] = feed[PRODUCTS]["products"][FILES]["versions"]["20260101_0000"]["items"]
    return found


def test_who_does_not_see_it_is_told_by_which_rule(tmp_path: Path) -> None:
    feed = image_files()
    for ftype in ("incus.tar.xz", "lxd.tar.xz"):
        for key in [key for key in items_of(feed)[ftype] if key.startswith("combined")]:
            del items_of(feed)[ftype][key]
    found = explained(tmp_path, feed, FILES, "incus-7")
    assert seen_by(found) == {"incus-7": False}
    assert "images-no-combined-hash" in rules_of(found, "incus-7")


def test_what_is_wrong_elsewhere_in_the_feed_is_not_told(tmp_path: Path) -> None:
    feed = image_ids()
    feed[PRODUCTS]["products"]["com.ubuntu.cloud:server:22.04:amd64"] = {
        "version": "22.04", "arch": "amd64", "versions": {"1": {"items": {"b": {"virt": "kvm"}}}},
    }  # fmt: skip
    feed[INDEX]["index"]["com.ubuntu.cloud:custom"]["products"].append("com.ubuntu.cloud:server:22.04:amd64")
    assert rules_of(explained(tmp_path, feed, "image-1"), "juju-3.6") == set()


def test_what_takes_the_whole_document_is_told(tmp_path: Path) -> None:
    feed = image_ids()
    feed[PRODUCTS]["products"][PRODUCT]["version"] = 24.04
    found = explained(tmp_path, feed, "image-1", "juju-3.6")
    assert seen_by(found) == {"juju-3.6": False}
    assert rules_of(found, "juju-3.6")


def test_an_image_that_is_not_there_is_told_with_what_may_hide_it(tmp_path: Path) -> None:
    feed = boot_images()
    feed[PRODUCTS] = b"<html>"
    found = explained(tmp_path, feed, "image-1")
    assert found.matches == ()
    assert {each.rule.id for each in found.of_feed} >= {"document-page"}
