"""What is wrong with a feed whoever reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.findings import Level
from headwater.streams.lint.check import EVERYONE, all_rules
from headwater.streams.lint.consumers.registry import CONSUMERS, UnknownConsumer, named
from headwater.streams.lint.verdict import SHOWN
from unit.streams.lint.feeds import (
    INDEX,
    INDEX2,
    PRODUCTS,
    Change,
    Documents,
    agents,
    boot_images,
    for_multipass,
    image_files,
    image_ids,
    report_of,
    rules_of,
)
from unit.streams.lint.sstream_feeds import entry, item, product, version


def twice(path: str, key: str, more: str) -> Change:
    def change(feed: Documents) -> None:
        text = json.dumps(feed[path])
        feed[path] = text.replace(f'"{key}":', f'"{key}": {more}, "{key}":', 1).encode()

    return change


def versions(*names: str) -> Change:
    return lambda feed: product(feed).update(versions=dict.fromkeys(names, version(feed)))


def indexed(feed: Documents) -> None:
    feed["streams/v1/further.json"] = {"format": "index:1.0", "index": feed[INDEX]["index"]}
    feed[INDEX]["index"] = {"further": {"path": "streams/v1/further.json", "format": "index:1.0"}}


ROWS: list[tuple[str, Change, str]] = [
    ("a key twice", twice(PRODUCTS, "arch", '"arm64"'), "feed-duplicate-key"),
    ("a key of the top twice", twice(INDEX, "format", '"index:1.0"'), "feed-duplicate-key"),
    ("an unknown datatype", lambda feed: entry(feed).update(datatype="colours"), "feed-unknown-datatype"),
    ("an entry that leads out", lambda feed: entry(feed).update(path="../a"), "feed-unsafe-path"),
    ("an entry that leads out in code", lambda feed: entry(feed).update(path="%2e%2e/a"), "feed-unsafe-path"),
    ("an entry that is a URL", lambda feed: entry(feed).update(path="https://a.example/a"), "feed-unsafe-path"),
    ("an item that leads out at its end", lambda feed: item(feed).update(path="a/.."), "feed-unsafe-path"),
    ("an entry without path", lambda feed: entry(feed).pop("path"), "feed-entry-without-path"),
    ("a dead format", lambda feed: feed[PRODUCTS].update(format="stream:1.0"), "feed-dead-format"),
    ("no products", lambda feed: feed[PRODUCTS].update(products={}), "feed-no-products"),
    ("an index of indexes", indexed, "feed-index-of-indexes"),
    ("a product that is not there", lambda feed: entry(feed)["products"].append("a"), "feed-lists-absent-product"),
    ("a product that is not listed", lambda feed: entry(feed).update(products=["a"]), "feed-unlisted-product"),
    ("another content id", lambda feed: feed[PRODUCTS].update(content_id="other"), "feed-content-id"),
    ("versions that do not sort", versions("9", "10"), "feed-version-order"),
    ("builds that do not sort", versions("20260101.9", "20260101.10"), "feed-version-order"),
    ("no date", lambda feed: feed[PRODUCTS].update(updated="yesterday"), "feed-updated"),
    ("no numeric zone", lambda feed: feed[INDEX].update(updated="Thu, 01 Jan 2026 00:00:00 GMT"), "feed-updated"),
    (
        "indexes that differ",
        lambda feed: feed.update({INDEX2: {"format": "index:1.0", "index": {}}}),
        "feed-twins-differ",
    ),
]


@pytest.mark.parametrize(("change", "rule"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_wrong_for_everyone_is_told_once(tmp_path: Path, change: Change, rule: str) -> None:
    feed = image_files()
    change(feed)
    report = report_of(tmp_path, feed)
    assert rule in rules_of(report, EVERYONE)


@pytest.mark.parametrize("names", [("20260101", "20260101.1"), ("20260101", "20260102_01"), ("16.04-LTS", "20180101")])
def test_names_that_sort_are_no_fault(tmp_path: Path, names: tuple[str, ...]) -> None:
    feed = image_files()
    versions(*names)(feed)
    assert "feed-version-order" not in rules_of(report_of(tmp_path, feed))


@pytest.mark.parametrize("feed", [image_files, image_ids, agents, boot_images, for_multipass])
def test_a_right_feed_has_no_fault_for_everyone(tmp_path: Path, feed: Any) -> None:
    assert rules_of(report_of(tmp_path, feed()), EVERYONE, Level.NOTE) == set()


def test_the_same_key_twice_is_told_with_its_place(tmp_path: Path) -> None:
    feed = image_files()
    twice(PRODUCTS, "arch", '"arm64"')(feed)
    [found] = [each for each in report_of(tmp_path, feed).findings if each.finding.rule.id == "feed-duplicate-key"]
    assert found.finding.at == 'products["testos:noble:amd64:default"].arch'


def test_files_are_looked_for_when_asked(tmp_path: Path) -> None:
    feed = image_files()
    feed["images/squashfs"] = b"0123456789"
    feed["images/disk-kvm.img"] = b"012345678"
    assert "feed-file-missing" not in rules_of(report_of(tmp_path, feed))
    report = report_of(tmp_path, feed, files=True)
    places = {(each.finding.rule.id, each.finding.place[-2]) for each in report.findings if each.finding.place}
    assert {
        ("feed-file-missing", "lxd.tar.xz"),
        ("feed-file-missing", "incus.tar.xz"),
        ("feed-file-size", "disk.qcow2"),
    } <= places
    assert not [each for each in places if each[1] == "root.squashfs"]


def test_findings_of_one_rule_are_bounded_and_counted(tmp_path: Path) -> None:
    feed = image_files()
    versions(*(f"v{number}" for number in range(SHOWN + 5)))(feed)
    report = report_of(tmp_path, feed, "incus-7")
    assert sum(each.finding.rule.id == "images-version-name" for each in report.findings) == SHOWN
    assert report.more >= 5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"3",
        b"[" * 100_000,
        b"\xff\xfe",
        b'"a"',
        b'{"index": 3}',
        b"1" * 5000,
        b"{" * 9,
        b'{"a":"\\ud800"}',
    ],
)
@pytest.mark.parametrize("path", [INDEX, INDEX2, PRODUCTS, "streams/v1/mirrors.json", "streams/v1/index.sjson"])
def test_nothing_that_is_served_stops_the_linter(tmp_path: Path, path: str, body: bytes) -> None:
    for feed in (image_files(), image_ids(), agents(), boot_images()):
        feed[path] = body
        report_of(tmp_path, feed)
        report_of(tmp_path, feed, *(each.name for each in CONSUMERS))


@pytest.mark.parametrize(
    "value", [None, 3, True, "text", [], {}, [None], [[]], {"a": None}, {"a": []}, {"a": {"a": 3}}]
)
def test_no_type_at_any_place_stops_the_linter(tmp_path: Path, value: Any) -> None:
    for make in (image_files, image_ids, agents, boot_images):
        for path in (INDEX, PRODUCTS):
            for place in places(make()[path]):
                feed = make()
                at = feed[path]
                for key in place[:-1]:
                    at = at[key]
                at[place[-1]] = value
                report = report_of(tmp_path, feed, *(each.name for each in CONSUMERS))
                assert json.dumps(report.to_dict())


def places(value: Any) -> list[tuple[Any, ...]]:
    """Return the places of all that is in a document."""
    found: list[tuple[Any, ...]] = []
    for key, each in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        found += [(key,), *((key, *below) for below in places(each))]
    return found


def test_ids_of_rules_are_one_each() -> None:
    seen: dict[str, Any] = {}
    for consumer in CONSUMERS:
        for rule in consumer.rules:
            assert seen.setdefault(rule.id, rule) is rule
    assert all(rule.source and rule.fix for rule, _ in all_rules())


def test_consumers_are_named_alone_and_by_family() -> None:
    assert [each.name for each in named(["juju"])] == ["juju-2.9", "juju-3.6", "juju-4"]
    assert [each.name for each in named(["incus-7", "maas"])] == ["incus-7", "maas"]
    with pytest.raises(UnknownConsumer, match=r"known are juju-2\.9"):
        named(["docker"])
