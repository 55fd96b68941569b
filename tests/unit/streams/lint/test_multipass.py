from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.findings import Level
from unit.streams.lint.feeds import INDEX, PRODUCTS, Change, Documents, for_multipass, report_of, rules_of, verdict_of


def product(feed: Documents) -> Any:
    return next(iter(feed[PRODUCTS]["products"].values()))


def items(feed: Documents) -> Any:
    return product(feed)["versions"]["20260101"]["items"]


def second(feed: Documents) -> None:
    later = feed[INDEX]["index"].pop("images")
    feed["streams/v1/first.json"] = {**feed[PRODUCTS], "products": {}}
    feed[INDEX]["index"] = {"first": {**later, "path": "streams/v1/first.json"}, "images": later}


ROWS: list[tuple[str, Change, str]] = [
    (
        "an item of another name",
        lambda feed: items(feed).update(disk=items(feed).pop("disk1.img")),
        "multipass-item-name",
    ),
    ("not supported", lambda feed: product(feed).pop("supported"), "multipass-unsupported"),
    ("supported as text", lambda feed: product(feed).update(supported="true"), "multipass-unsupported"),
    ("no arch", lambda feed: product(feed).pop("arch"), "multipass-lacks"),
    ("no aliases", lambda feed: product(feed).pop("aliases"), "multipass-lacks"),
    ("size as text", lambda feed: items(feed)["disk1.img"].update(size="10"), "multipass-lacks"),
    ("no sha256", lambda feed: items(feed)["disk1.img"].pop("sha256"), "multipass-lacks"),
    ("a second entry", second, "multipass-later-entry"),
    ("no index", lambda feed: feed.pop(INDEX), "index-missing"),
]


@pytest.mark.parametrize(("change", "rule"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_multipass_does_not_see_is_told(tmp_path: Path, change: Change, rule: str) -> None:
    feed = for_multipass()
    change(feed)
    report = report_of(tmp_path, feed, "multipass")
    assert rule in rules_of(report, "multipass", Level.ERROR)
    assert not verdict_of(report, "multipass").sees


@pytest.mark.parametrize("aliases", ["noble", "devel"])
def test_a_right_feed_is_seen(tmp_path: Path, aliases: str) -> None:
    feed = for_multipass()
    product(feed).update(aliases=aliases, supported=aliases != "devel")
    report = report_of(tmp_path, feed)
    assert verdict_of(report, "multipass").sees.total() == 1
    assert not rules_of(report, "multipass")


def test_what_is_not_supported_on_purpose_is_a_note(tmp_path: Path) -> None:
    feed = for_multipass()
    product(feed)["supported"] = False
    report = report_of(tmp_path, feed, "multipass")
    assert not verdict_of(report, "multipass").sees
    assert rules_of(report, "multipass") == set()
    assert rules_of(report, "multipass", Level.NOTE) == {"multipass-unsupported"}
