"""What Juju makes of feeds of image ids and of agents. Each row is a sentence of its source or of its commands."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from headwater.findings import Level
from headwater.streams.lint.check import lint
from headwater.streams.trees.tree import Document, PathNotFound, TreeRefused, TreeUnavailable
from unit.streams.lint.feeds import (
    AGENTS,
    INDEX,
    INDEX2,
    PRODUCT,
    PRODUCTS,
    REGION,
    Change,
    Documents,
    agents,
    image_ids,
    report_of,
    rules_of,
    verdict_of,
    written,
)

EVERY = ("juju-2.9", "juju-3.6", "juju-4")
ENTRY = "com.ubuntu.cloud:custom"
MIRRORS = "streams/v1/mirrors.json"


def entry(feed: Documents) -> Any:
    return next(iter(feed[INDEX]["index"].values()))


def product(feed: Documents) -> Any:
    return next(iter(feed[PRODUCTS]["products"].values()))


def items(feed: Documents) -> Any:
    return next(iter(product(feed)["versions"].values()))["items"]


def item(feed: Documents) -> Any:
    return next(iter(items(feed).values()))


def named(name: str) -> Change:
    def change(feed: Documents) -> None:
        feed[PRODUCTS]["products"] = {name: product(feed)}
        entry(feed)["products"] = [name]

    return change


def twin(feed: Documents) -> None:
    items(feed)["b"] = {**item(feed), "id": "image-2"}


def without(key: str) -> Change:
    return lambda feed: item(feed).pop(key)


def index2_of_others(feed: Documents) -> None:
    feed[INDEX2] = {"format": "index:1.0", "index": {}}


def entry_named(name: str) -> Change:
    return lambda feed: feed[INDEX].update(index={name: entry(feed)})


def mirrored(path: str, **document: Any) -> Change:
    listed = {"mirrors": {AGENTS: [{"datatype": "content-download", "path": path}]}}
    return lambda feed: feed.update({**feed, path: document, MIRRORS: listed} if document else {MIRRORS: listed})


def second_entry(feed: Documents) -> None:
    feed["streams/v1/more.json"] = feed[PRODUCTS]
    feed[INDEX]["index"]["more"] = {**entry(feed), "path": "streams/v1/more.json"}


# What is done to the right feed, by which rule it is told, and how many of its images are found then.
IMAGES: list[tuple[str, Change, str, int]] = [
    ("index2 without the images", index2_of_others, "juju-index2-hides", 0),
    ("another format of the index", lambda feed: feed[INDEX].update(format="index:2.0"), "juju-format", 0),
    ("no format of the index", lambda feed: feed[INDEX].pop("format"), "juju-format", 0),
    ("another format of the products", lambda feed: feed[PRODUCTS].update(format="products:2.0"), "juju-format", 0),
    ("a number for the version", lambda feed: product(feed).update(version=24.04), "juju-type", 0),
    ("a list for the id", lambda feed: item(feed).update(id=["a"]), "juju-type", 0),
    ("a number for the region", lambda feed: item(feed).update(region=1), "juju-type", 0),
    ("versions as a list", lambda feed: product(feed).update(versions=[]), "juju-type", 0),
    ("clouds as an object", lambda feed: entry(feed).update(clouds={}), "juju-type", 0),
    ("a number in the list of products", lambda feed: entry(feed).update(products=[1]), "juju-type", 0),
    ("mirrors that are no JSON", lambda feed: feed.update({MIRRORS: b"<html>"}), "juju-mirrors", 0),
    ("mirrors that are a list", lambda feed: feed.update({MIRRORS: []}), "juju-mirrors", 0),
    ("mirrors of another type", lambda feed: feed.update({MIRRORS: {"mirrors": {"a": {}}}}), "juju-mirrors", 0),
    ("no products in the entry", lambda feed: entry(feed).pop("products"), "juju-entry-without-products", 0),
    ("another datatype", lambda feed: entry(feed).update(datatype="image-downloads"), "juju-datatype", 0),
    (
        "a product that is not listed",
        lambda feed: entry(feed).update(products=["another"]),
        "juju-product-not-listed",
        1,
    ),
    ("a cloud without endpoint", lambda feed: entry(feed).update(clouds=[{"region": "RegionOne"}]), "juju-cloud", 1),
    ("a name that is none of Juju's", named("ubuntu-24.04"), "juju-product-name", 0),
    ("the arch of the Image API", named("com.ubuntu.cloud:server:24.04:x86_64"), "juju-product-name", 0),
    ("a name for the release", named("com.ubuntu.cloud:server:noble:amd64"), "juju-product-name", 0),
    ("no id", without("id"), "juju-no-id", 0),
    ("no region", without("region"), "juju-no-region", 0),
    ("a region that the index lacks", lambda feed: item(feed).update(region="Other"), "juju-region-not-in-index", 0),
    ("a region in other letters", lambda feed: item(feed).update(region="regionone"), "juju-region-spelling", 1),
    ("another arch", lambda feed: product(feed).update(arch="arm64"), "juju-item-arch", 0),
    ("no arch", lambda feed: product(feed).pop("arch"), "juju-item-arch", 0),
    ("another version", lambda feed: product(feed).update(version="22.04"), "juju-item-version", 1),
    ("two entries for one cloud", second_entry, "juju-two-entries", 2),
    ("no products document", lambda feed: feed.pop(PRODUCTS), "document-missing", 0),
    ("products that are no JSON", lambda feed: feed.update({PRODUCTS: b"{"}), "document-not-json", 0),
    ("a login page", lambda feed: feed.update({INDEX: b"<html>Log in</html>"}), "document-page", 0),
    (
        "a byte order mark",
        lambda feed: feed.update({INDEX: b"\xef\xbb\xbf" + json.dumps(feed[INDEX]).encode()}),
        "document-bom",
        0,
    ),
    ("no index", lambda feed: feed.pop(INDEX), "index-missing", 0),
]


@pytest.mark.parametrize(("change", "rule", "found"), [row[1:] for row in IMAGES], ids=[row[0] for row in IMAGES])
def test_what_hides_images_from_juju_is_said(tmp_path: Path, change: Change, rule: str, found: int) -> None:
    feed = image_ids()
    change(feed)
    report = report_of(tmp_path, feed)
    for consumer in EVERY:
        assert rule in rules_of(report, consumer)
        assert verdict_of(report, consumer).sees.total() == found


@pytest.mark.parametrize(
    "change",
    [
        lambda feed: None,
        lambda feed: entry(feed).pop("clouds"),
        lambda feed: feed.update({INDEX2: feed[INDEX]}),
        lambda feed: feed.update({MIRRORS: {"mirrors": {}}}),
        lambda feed: product(feed).update(region=item(feed).pop("region"), colour=3),
        lambda feed: item(feed).update(size="3", md5=None),
        named("com.ubuntu.cloud.daily:server:24.04:amd64"),
    ],
    ids=["as it is", "no clouds", "index2", "mirrors", "inherited", "keys of others", "another stream"],
)
def test_a_right_feed_is_seen(tmp_path: Path, change: Change) -> None:
    feed = image_ids()
    change(feed)
    report = report_of(tmp_path, feed)
    for consumer in EVERY:
        assert verdict_of(report, consumer).sees.total() == 1
        assert not {each for each in rules_of(report, consumer) if each.startswith("juju-")}


def test_aliases_give_items_their_region(tmp_path: Path) -> None:
    feed = image_ids()
    feed[PRODUCTS]["_aliases"] = {"crsn": {"one": {**REGION, "endpoint": "https://elsewhere.example"}}}
    item(feed).clear()
    items(feed)["a"] = {"id": "image-1", "crsn": "one"}
    assert verdict_of(report_of(tmp_path, feed), "juju-3.6").sees.total() == 1


def test_two_images_that_juju_cannot_tell_apart_take_each_other_along(tmp_path: Path) -> None:
    feed = image_ids()
    twin(feed)
    report = report_of(tmp_path, feed)
    assert [verdict_of(report, each).sees.total() for each in EVERY] == [0, 0, 2]
    [found] = [
        each for each in report.findings if each.finding.rule.id == "juju-twins" and "juju-3.6" in each.consumers
    ]
    assert found.consumers == ("juju-2.9", "juju-3.6")
    assert found.finding.at == f'products["{PRODUCT}"].versions["20260101"].items["b"]'
    assert "juju-twins" not in rules_of(report, "juju-4", Level.ERROR)


@pytest.mark.parametrize("change", [{"virt": "lxd"}, {"root_store": "ssd"}, {"region": "RegionTwo"}])
def test_images_that_differ_are_no_twins(tmp_path: Path, change: dict[str, str]) -> None:
    feed = image_ids()
    twin(feed)
    items(feed)["b"] |= change
    entry(feed)["clouds"].append({**REGION, "region": "RegionTwo"})
    assert verdict_of(report_of(tmp_path, feed), "juju-2.9").sees.total() == 2


def test_an_older_version_of_the_same_image_is_no_fault(tmp_path: Path) -> None:
    feed = image_ids()
    product(feed)["versions"]["20250101"] = {"items": {"old": {**item(feed), "id": "old"}}}
    report = report_of(tmp_path, feed)
    assert verdict_of(report, "juju-3.6").sees.total() == 1
    assert not verdict_of(report, "juju-3.6").misses


AGENT_ROWS: list[tuple[str, Change, str, int]] = [
    ("the key of old releases", entry_named("com.ubuntu.juju:released:tools"), "juju-agents-key", 0),
    ("size as text", lambda feed: item(feed).update(size="10"), "juju-type", 0),
    ("no version of Juju", lambda feed: item(feed).update(version="latest"), "juju-agent-version", 0),
    ("no sha256", without("sha256"), "juju-agent-lacks", 0),
    ("no path", without("path"), "juju-agent-lacks", 0),
    ("no release", without("release"), "juju-agent-lacks", 0),
    ("another name", named("juju"), "juju-agent-product", 0),
    ("a mirror that is not there", mirrored("streams/v1/cpc.json"), "juju-mirror-unused", 1),
    ("a mirror of another format", mirrored("streams/v1/cpc.json", format="index:1.0"), "juju-mirror-unused", 1),
    (
        "a mirror without clouds",
        mirrored("streams/v1/cpc.json", format="mirrors:1.0", mirrors={AGENTS: [{}]}),
        "juju-mirror-unused",
        1,
    ),
    ("mirrors in a loop", mirrored(MIRRORS), "juju-mirror-unused", 1),
    ("another datatype", lambda feed: entry(feed).update(datatype="image-downloads"), "juju-datatype", 0),
]


@pytest.mark.parametrize(
    ("change", "rule", "found"), [row[1:] for row in AGENT_ROWS], ids=[row[0] for row in AGENT_ROWS]
)
def test_what_hides_agents_from_juju_is_said(tmp_path: Path, change: Change, rule: str, found: int) -> None:
    feed = agents()
    change(feed)
    report = report_of(tmp_path, feed)
    for consumer in EVERY:
        assert rule in rules_of(report, consumer)
        assert verdict_of(report, consumer).sees.total() == found


@pytest.mark.parametrize("version", ["2.9.46", "3.6.8", "4.0-beta1", "3.6-rc1.2", "3.5.1.3"])
def test_agents_are_seen(tmp_path: Path, version: str) -> None:
    feed = agents()
    item(feed)["version"] = version
    report = report_of(tmp_path, feed)
    assert [verdict_of(report, each).sees.total() for each in EVERY] == [1, 1, 1]
    assert "juju-agent-media-type" in rules_of(report, "juju-4", Level.NOTE)


class Answering:
    """A tree whose server answers for some paths with a status."""

    def __init__(self, root: Path, feed: Documents, status: dict[str, int]) -> None:
        self._tree, self._status, self.place = written(root, feed), status, "https://feed.example"

    def read(self, path: str, limit: int = 0) -> Document:
        status = self._status.get(path)
        if status is not None:
            kind = TreeUnavailable if status >= 500 else TreeRefused
            raise kind(self.place, f"{path}: the server answered {status}", status)
        try:
            return self._tree.read(path)
        except PathNotFound:
            raise PathNotFound(self.place, path) from None


@pytest.mark.parametrize(
    ("status", "rule"),
    [
        ({INDEX2: 403}, "juju-index-fails"),
        ({INDEX2: 500}, "juju-index-fails"),
        ({INDEX2: 401}, None),
        ({INDEX: 403}, "document-refused"),
        ({INDEX: 401}, "index-missing"),
        ({MIRRORS: 403}, "juju-mirrors"),
        ({MIRRORS: 401}, None),
        ({PRODUCTS: 503}, "document-refused"),
    ],
)
def test_only_404_and_401_are_absent_for_juju(tmp_path: Path, status: dict[str, int], rule: str | None) -> None:
    report = lint(Answering(tmp_path, image_ids(), status))  # type: ignore[arg-type]  # only what is read
    found = rules_of(report, "juju-3.6")
    assert rule in found if rule else not found
    assert verdict_of(report, "juju-3.6").sees.total() == (0 if rule else 1)


def test_files_of_juju_metadata_that_no_web_server_reads_are_told(tmp_path: Path) -> None:
    written(tmp_path, image_ids())
    (tmp_path / PRODUCTS).chmod(0o600)
    report = report_of(tmp_path, {})
    [found] = [each for each in report.findings if each.finding.rule.id == "feed-private-file"]
    assert (found.finding.file, found.finding.level) == (PRODUCTS, Level.ERROR)
    assert "0600" in found.finding.sentence
    assert stat.S_IMODE((tmp_path / PRODUCTS).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change",
    [
        lambda feed: feed[INDEX].pop("format"),
        lambda feed: feed.update({MIRRORS: b"<html>"}),
        lambda feed: entry(feed).update(clouds={}),
        lambda feed: product(feed).update(version=24.04),
    ],
)
def test_what_juju_does_not_get_as_far_as_is_missed(tmp_path: Path, change: Change) -> None:
    feed = image_ids()
    change(feed)
    assert verdict_of(report_of(tmp_path, feed), "juju-3.6").to_dict()["images_missed"] == 1
