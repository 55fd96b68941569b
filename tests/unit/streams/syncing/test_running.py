"""Runs of a sync: what comes, what goes, and what is there after a kill at any moment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.client.service import Unreachable
from headwater.errors import Conflict
from headwater.streams.syncing.offers import read_offers
from headwater.streams.syncing.planning import Step
from headwater.streams.syncing.running import Report, Sync
from headwater.streams.syncing.targets.target import ImageBusy
from headwater.streams.syncing.terms import SyncTerms
from headwater.streams.trees.directory import DirectoryTree
from unit.streams.syncing.cloud_feed import CloudFeed, data_of
from unit.streams.syncing.memory_target import Killed, MemoryTarget

FEED = {"22.04": ["20250101", "20250201"], "24.04": ["20250101"]}


class Cloud:
    """A feed in a directory and a service in memory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.target = MemoryTarget()
        self.feed = CloudFeed(FEED)
        self.slept: list[float] = []

    def run(self, *, hooks: Any = None, dry: bool = False, **said: Any) -> Report:
        self.feed.write(self.directory)
        tree = DirectoryTree(self.directory)
        terms = SyncTerms.model_validate(said)
        sync = Sync(tree, self.target, terms, hooks=hooks, sleep=self.slept.append)
        report = sync.plan(read_offers(tree, terms))
        if not dry:
            sync.perform(report)
        return report

    def now_has(self, serials: dict[str, list[str]]) -> None:
        self.feed = CloudFeed(serials)


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def errors(report: Report) -> list[str]:
    return [step.error for step in report.steps if step.error] + report.problems


def test_a_dry_run_changes_nothing(cloud: Cloud) -> None:
    report = cloud.run(dry=True)
    assert report.counts == {"to create": 2}
    assert cloud.target.calls == []


def test_what_is_there_stays_as_it_is(cloud: Cloud) -> None:
    cloud.run()
    calls = len(cloud.target.calls)
    assert cloud.run().counts == {"same": 2}
    assert len(cloud.target.calls) == calls


@pytest.mark.parametrize("dies_after", [False, True])
@pytest.mark.parametrize("step", range(1, 20))
def test_a_run_that_is_killed_anywhere_is_gone_on_with(cloud: Cloud, step: int, dies_after: bool) -> None:
    cloud.run(keep=1)
    cloud.now_has({"22.04": ["20250201", "20250301"], "24.04": ["20250101", "20250301"]})
    cloud.target.calls.clear()
    cloud.target.dies_at, cloud.target.dies_after = step, dies_after
    try:
        cloud.run(keep=1)
    except Killed:
        for image_id, image in cloud.target.images.items():
            if image["visibility"] == "public":
                assert cloud.target.data[image_id]
    cloud.target.dies_at = None
    again = cloud.run(keep=1)
    assert errors(again) == []
    assert cloud.target.shown() == [
        ("server:22.04:amd64", "20250301", "active", False),
        ("server:24.04:amd64", "20250301", "active", False),
    ]
    assert {each["visibility"] for each in cloud.target.images.values()} == {"public"}
    assert cloud.run(keep=1).changed == 0


@pytest.mark.parametrize("status", ["queued", "saving", "uploading", "killed"])
def test_what_a_killed_run_left_is_gone_on_with_or_replaced(cloud: Cloud, status: str) -> None:
    cloud.target.dies_at = 2  # the upload of the first image
    with pytest.raises(Killed):
        cloud.run()
    cloud.target.dies_at = None
    [left] = cloud.target.images.values()
    left["status"] = status
    report = cloud.run()
    assert errors(report) == []
    assert {each[2] for each in cloud.target.shown()} == {"active"}
    assert len(cloud.target.images) == 2


def test_an_upload_by_somebody_else_is_left_alone(cloud: Cloud) -> None:
    cloud.target.dies_at = 2
    with pytest.raises(Killed):
        cloud.run()
    cloud.target.dies_at = None
    [left] = cloud.target.images.values()
    left.update(status="saving", updated_at="2999-01-01T00:00:00Z")
    report = cloud.run()
    assert len(errors(report)) == 1
    assert "by somebody else" in errors(report)[0]
    assert left["status"] == "saving"


def test_images_of_others_with_the_same_mark_are_not_touched(cloud: Cloud) -> None:
    cloud.target.images["x"] = {
        "id": "x",
        "content_id": "auto.sync",
        "status": "queued",
        "product_name": "p:x",
        "version_name": "1",
        "os_hidden": False,
    }
    cloud.run()
    assert cloud.target.images["x"]["status"] == "queued"


def test_of_two_images_of_one_item_the_one_without_data_goes(cloud: Cloud) -> None:
    cloud.run()
    twin = dict(next(iter(cloud.target.images.values())), id="twin", status="queued", size=None)
    cloud.target.images["twin"] = twin
    cloud.run()
    assert "twin" not in cloud.target.images
    assert len(cloud.target.images) == 2


def test_data_with_the_wrong_hash_leaves_nothing_and_takes_no_older_image_away(cloud: Cloud) -> None:
    cloud.run()
    cloud.now_has({"22.04": ["20250301"], "24.04": ["20250101"]})
    cloud.feed.item("22.04", "20250301")["sha256"] = "0" * 64
    report = cloud.run(old="delete-always")
    assert "does not have the sha256 that the feed says" in errors(report)[0]
    assert report.counts == {"failed": 1, "same": 1, "skipped": 1}
    assert cloud.target.shown() == [
        ("server:22.04:amd64", "20250201", "active", False),
        ("server:24.04:amd64", "20250101", "active", False),
    ]


@pytest.mark.parametrize("change", [1, -1])
def test_data_of_another_length_than_the_feed_says_is_wrong(cloud: Cloud, change: int) -> None:
    cloud.feed.item("24.04", "20250101")["size"] += change
    report = cloud.run(filters=["version=24.04"])
    assert "does not have the size that the feed says" in errors(report)[0]
    assert cloud.target.images == {}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("size", None, "does not say its size"),
        ("sha256", "xyz", "its sha256 is none"),
    ],
)
def test_an_item_that_cannot_be_verified_is_told_and_the_others_come(
    cloud: Cloud, key: str, value: object, words: str
) -> None:
    item = cloud.feed.item("24.04", "20250101")
    if value is None:
        del item[key]
    else:
        item[key] = value
    report = cloud.run()
    assert words in report.problems[0]
    assert report.failed == 1
    assert len(cloud.target.images) == 1


def test_an_item_without_a_file_is_none(cloud: Cloud) -> None:
    del cloud.feed.item("24.04", "20250101")["path"]
    report = cloud.run()
    assert (report.counts, report.problems) == ({"created": 1}, [])
    del cloud.feed.item("22.04", "20250201")["path"]
    cloud.target = MemoryTarget()
    cloud.run()
    assert [each[1] for each in cloud.target.shown()] == ["20250101"]


def test_an_item_without_any_hash_is_refused(cloud: Cloud) -> None:
    for name in ("sha256", "md5"):
        del cloud.feed.item("24.04", "20250101")[name]
    assert "no hash" in cloud.run().problems[0]


def test_a_file_that_is_not_there_fails_alone(cloud: Cloud) -> None:
    cloud.feed.files.pop(cloud.feed.item("22.04", "20250201")["path"])
    report = cloud.run()
    assert len(errors(report)) == 1
    assert [each[0] for each in cloud.target.shown()] == ["server:24.04:amd64"]


def test_a_service_that_is_away_is_asked_once(cloud: Cloud) -> None:
    cloud.target.fails["create"] = Unreachable("memory", "away")
    report = cloud.run()
    assert cloud.target.calls == ["create"]
    assert report.counts == {"failed": 1, "skipped": 1}


def test_as_many_versions_come_and_stay_as_were_asked_for(cloud: Cloud) -> None:
    cloud.now_has({"22.04": ["20250101", "20250201", "20250301"]})
    cloud.run(max_versions=2, keep=3)
    assert [each[1] for each in cloud.target.shown()] == ["20250201", "20250301"]
    cloud.now_has({"22.04": ["20250401", "20250501"]})
    cloud.run(max_versions=2, keep=3)
    assert [each[1] for each in cloud.target.shown()] == ["20250301", "20250401", "20250501"]


def test_a_product_that_the_feed_does_not_offer_any_more_keeps_its_images(cloud: Cloud) -> None:
    cloud.run()
    cloud.now_has({"24.04": ["20250101"]})
    assert cloud.run().counts == {"same": 1}
    assert len(cloud.target.images) == 2


def test_an_old_image_that_is_used_is_hidden_and_goes_when_nobody_uses_it_any_more(cloud: Cloud) -> None:
    cloud.run()
    used = next(id_ for id_, each in cloud.target.images.items() if each["os_version"] == "22.04")
    cloud.target.users[used] = "server 7"
    cloud.now_has({"22.04": ["20250301"], "24.04": ["20250101"]})
    report = cloud.run()
    assert report.counts == {"created": 1, "hidden": 1, "same": 1}
    assert "it is used: server 7" in report.steps[-1].notes
    assert cloud.run().changed == 0
    cloud.target.users.clear()
    assert cloud.run().counts == {"deleted": 1, "same": 2}


def test_an_old_image_of_which_nobody_can_say_whether_it_is_used_is_hidden(cloud: Cloud) -> None:
    cloud.run()
    cloud.target.knows_uses = False
    cloud.now_has({"22.04": ["20250301"]})
    assert cloud.run().counts == {"created": 1, "hidden": 1}


def test_a_protected_old_image_is_never_deleted(cloud: Cloud) -> None:
    cloud.run()
    for each in cloud.target.images.values():
        each["protected"] = True
    cloud.now_has({"22.04": ["20250301"]})
    assert cloud.run(old="delete-always").counts == {"created": 1, "hidden": 1}


@pytest.mark.parametrize(
    ("old", "left"), [("keep", ("active", False)), ("hide", ("active", True)), ("deactivate", ("deactivated", False))]
)
def test_what_becomes_of_old_images_is_the_operators_choice(cloud: Cloud, old: str, left: tuple[str, bool]) -> None:
    cloud.run()
    cloud.now_has({"22.04": ["20250301"]})
    cloud.run(old=old)
    assert cloud.target.shown()[0] == ("server:22.04:amd64", "20250201", *left)
    assert cloud.run(old=old).changed == 0


def test_a_hidden_image_that_is_wanted_again_is_shown_again(cloud: Cloud) -> None:
    cloud.run()
    for each in cloud.target.images.values():
        each["os_hidden"] = True
    assert cloud.run().counts == {"updated": 2}
    assert not any(each["os_hidden"] for each in cloud.target.images.values())


def test_an_image_that_was_proved_once_is_never_brought_anew(cloud: Cloud) -> None:
    for version, serial in (("22.04", "20250201"), ("24.04", "20250101")):
        del cloud.feed.item(version, serial)["md5"]
    cloud.run(visibility="private")
    before = set(cloud.target.images)
    for each in cloud.target.images.values():
        assert "headwater_sync_unfinished" not in each
        each["os_hidden"] = True
    assert cloud.run(visibility="private").counts == {"updated": 2}
    assert set(cloud.target.images) == before


def test_properties_that_are_asked_for_later_reach_images_that_are_there(cloud: Cloud) -> None:
    cloud.run()
    report = cloud.run(properties={"hw_firmware_type": "uefi", "label": "{label}-{arch}", "none": "{no_such_key}"})
    assert report.counts == {"updated": 2}
    for each in cloud.target.images.values():
        assert (each["hw_firmware_type"], each["label"]) == ("uefi", "release-amd64")
        assert "none" not in each


def test_a_feed_that_was_only_published_anew_changes_no_image(cloud: Cloud) -> None:
    cloud.run()
    for each in cloud.target.images.values():
        told = json.loads(each["simplestreams_metadata"])
        each["simplestreams_metadata"] = json.dumps({**told, "updated": "before"})
    assert cloud.run().counts == {"same": 2}


def test_latest_is_a_property_of_the_newest_of_each_system_and_architecture(cloud: Cloud) -> None:
    cloud.run(latest_property=True)
    cloud.now_has({"22.04": ["20250301"], "24.04": ["20250101"]})
    report = cloud.run(latest_property=True, old="keep")
    assert report.latest == 2
    assert {each["version_name"]: each.get("latest") for each in cloud.target.images.values()} == {
        "20250101": "true",
        "20250201": None,
        "20250301": "true",
    }


def test_a_conversion_is_the_services_after_the_data_was_verified(cloud: Cloud) -> None:
    cloud.target.converts_to = "raw"
    assert cloud.run(disk_format="raw").counts == {"created": 2}
    assert {each["disk_format"] for each in cloud.target.images.values()} == {"raw"}
    assert cloud.target.calls[:4] == ["create", "stage", "import", "change"]
    assert cloud.run(disk_format="raw").counts == {"same": 2}


def test_a_service_that_does_not_convert_is_told_of_and_nothing_is_left(cloud: Cloud) -> None:
    report = cloud.run(disk_format="raw")
    assert "was not converted to raw" in errors(report)[0]
    assert cloud.target.images == {}
    cloud.target.offered = ()
    assert "neither glance-direct nor web-download" in errors(cloud.run(disk_format="raw"))[0]


def test_wrong_data_is_not_imported_for_a_conversion(cloud: Cloud) -> None:
    cloud.target.converts_to = "raw"
    cloud.feed.item("24.04", "20250101")["sha256"] = "0" * 64
    report = cloud.run(disk_format="raw", filters=["version=24.04"])
    assert "sha256" in errors(report)[0]
    assert "import" not in cloud.target.calls
    assert cloud.target.images == {}


def test_the_hook_of_each_image_is_told_what_was_done_and_may_fail(cloud: Cloud) -> None:
    heard: list[tuple[str, str]] = []

    class Hook:
        def after_image(self, step: Step) -> None:
            heard.append((step.did, step.key.version))
            if step.key.version == "20250201":
                raise Conflict("no")

    report = cloud.run(hooks=Hook())
    assert heard == [("created", "20250201"), ("created", "20250101")]
    assert errors(report) == ["no"]
    assert len(cloud.target.images) == 2


def test_a_run_that_is_to_end_ends_and_is_no_failure_of_an_image(cloud: Cloud) -> None:
    class Over(Conflict):
        pass

    left = [4]

    def require_wanted() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Over("over")

    cloud.feed.write(cloud.directory)
    tree, terms = DirectoryTree(cloud.directory), SyncTerms()
    sync = Sync(tree, cloud.target, terms, require_wanted=require_wanted)
    report = sync.plan(read_offers(tree, terms))
    with pytest.raises(Over):
        sync.perform(report)
    assert errors(report) == []
    assert cloud.run().failed == 0
    assert len(cloud.target.images) == 2


def test_what_comes_is_what_the_feed_has(cloud: Cloud) -> None:
    cloud.run(filters=["version=24.04"])
    assert list(cloud.target.data.values()) == [data_of("24.04", "20250101")]


class WebTree(DirectoryTree):
    """A directory that a web server shows as well."""

    def public_url(self) -> str:  # type: ignore[override]  # as a web tree has it
        return "https://feeds.example"


def fetched(cloud: Cloud, **said: Any) -> Report:
    cloud.feed.write(cloud.directory)
    tree, terms = WebTree(cloud.directory), SyncTerms.model_validate({"via": "web-download", **said})
    cloud.target.fetch = lambda url: cloud.feed.files[url.removeprefix("https://feeds.example/")]
    sync = Sync(tree, cloud.target, terms, sleep=cloud.slept.append)
    offered = read_offers(tree, terms)
    rows = [replace(each, row={**each.row, "item_url": f"https://feeds.example/{each.path}"}) for each in offered.items]
    report = sync.plan(replace(offered, items=tuple(rows)))
    sync.perform(report)
    return report


def test_what_the_service_fetches_is_compared_before_anybody_sees_it(cloud: Cloud) -> None:
    assert fetched(cloud).counts == {"created": 2}
    assert cloud.target.calls[:2] == ["create", "import"]
    cloud.now_has({"22.04": ["20250301"], "24.04": ["20250101"]})
    cloud.feed.item("22.04", "20250301")["md5"] = "0" * 32
    report = fetched(cloud)
    assert "md5" in errors(report)[0]
    assert [each[1] for each in cloud.target.shown()] == ["20250201", "20250101"]


def test_what_a_killed_run_let_the_service_fetch_is_compared_by_the_next(cloud: Cloud) -> None:
    cloud.feed.item("22.04", "20250201")["md5"] = "0" * 32
    cloud.target.dies_at, cloud.target.dies_after = 2, True
    with pytest.raises(Killed):
        fetched(cloud)
    cloud.target.dies_at = None
    assert [each[2:] for each in cloud.target.shown()] == [("active", True)]
    report = fetched(cloud)
    assert "md5" in errors(report)[0]
    assert [each[0] for each in cloud.target.shown()] == ["server:24.04:amd64"]


def test_a_service_that_does_not_verify_what_it_fetches_converts_what_was_uploaded(cloud: Cloud) -> None:
    cloud.target.converts_to = "raw"
    fetched(cloud, disk_format="raw", filters=["version=24.04"])
    assert cloud.target.calls == ["create", "stage", "import", "change"]
    cloud.target.verifies = True
    cloud.target.calls.clear()
    fetched(cloud, disk_format="raw", filters=["version=22.04"])
    assert cloud.target.calls == ["create", "import", "change"]


def test_an_image_whose_data_another_run_brings_is_not_deleted(cloud: Cloud) -> None:
    cloud.target.fails["upload"] = ImageBusy("x", "being uploaded")
    report = cloud.run()
    assert len(errors(report)) == 2
    assert "delete" not in cloud.target.calls


def test_an_image_of_a_killed_run_that_cannot_be_compared_is_brought_anew(cloud: Cloud) -> None:
    """The service tells MD5 and SHA-512, the feed has SHA-256 alone."""
    for version, serial in (("22.04", "20250201"), ("24.04", "20250101")):
        del cloud.feed.item(version, serial)["md5"]
    cloud.target.dies_at, cloud.target.dies_after = 2, True
    with pytest.raises(Killed):
        cloud.run()
    cloud.target.dies_at = None
    report = cloud.run()
    assert errors(report) == []
    assert "brought anew" in report.steps[0].notes[0]
    assert [each[2:] for each in cloud.target.shown()] == [("active", False)] * 2


def test_an_import_that_a_killed_run_began_is_waited_for_and_compared(cloud: Cloud) -> None:
    cloud.target.dies_at = 2
    with pytest.raises(Killed):
        fetched(cloud)
    cloud.target.dies_at = None
    [left] = cloud.target.images.values()
    left["status"] = "importing"
    looked = cloud.target.get

    def get(image_id: str) -> Any:
        if left["status"] == "importing" and cloud.slept:
            cloud.target.data[image_id] = b"something else"
            cloud.target._activate(image_id)
        return looked(image_id)

    cloud.target.get = get  # type: ignore[method-assign]  # time passes
    report = fetched(cloud)
    assert "does not have the size" in errors(report)[0]
    assert [each[0] for each in cloud.target.shown()] == ["server:24.04:amd64"]
