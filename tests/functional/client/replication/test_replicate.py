"""``headwater replicate`` between two real services, and to one that is as Glance is."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional import program
from functional.client.test_image_commands import Line
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, bare_environment, run_headwater, wait_until
from functional.program import Process
from headwater.testing.object_store import some_bytes

DATA = some_bytes(6_000_001)


class Pair:
    """Two services and somebody who copies from one to the other."""

    def __init__(self, home: Path, source: HeadwaterProcess, target: HeadwaterProcess) -> None:
        self.home, self.source, self.target = home, source, target
        self.one = httpx.Client(base_url=source.images_url, timeout=60)
        self.other = httpx.Client(base_url=target.images_url, timeout=60)

    def start(self) -> Process:
        """Begin a replication whose end nobody waits for."""
        with (self.home / "said").open("wb") as said:
            return program.start(
                self._arguments(), directory=self.home, env=self._environment, stdout=said, stderr=said
            )

    def run(self, *words: str, code: int = 0, to: str | None = None, **more: str) -> dict[str, Any]:
        environment = {**self._environment, **more}
        done = run_headwater(*self._arguments(*words, to=to), directory=self.home, env=environment, timeout_s=40)
        assert done.returncode == code, (done.stdout, done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def _arguments(self, *words: str, to: str | None = None) -> list[str]:
        sides = ("--from", self.source.images_url, "--to", to or self.target.images_url)
        return ["replicate", *sides, *words, "--json"]

    @property
    def _environment(self) -> dict[str, str]:
        return {**bare_environment(self.home), "XDG_CACHE_HOME": str(self.home / "cache")}

    def make(self, data: bytes | None = DATA, **attributes: object) -> str:
        document = {"name": "one", "disk_format": "raw", "container_format": "bare", **attributes}
        made: str = self.one.post("/v2/images", json=document).raise_for_status().json()["id"]
        if data is not None:
            headers = {"Content-Type": "application/octet-stream"}
            self.one.put(f"/v2/images/{made}/file", content=data, headers=headers).raise_for_status()
        return made

    def copy(self, image_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.other.get(f"/v2/images/{image_id}").raise_for_status().json()
        return found

    def data(self, image_id: str) -> bytes:
        return self.other.get(f"/v2/images/{image_id}/file").raise_for_status().content

    @property
    def notebooks(self) -> list[Path]:
        return list((self.home / "cache").rglob("*.json"))


@pytest.fixture
def pair(fresh_headwater: FreshHeadwater, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path, fresh_headwater(), fresh_headwater())
    yield made
    made.one.close()
    made.other.close()


def test_what_is_missing_is_copied_with_all_that_is_known_of_it_and_verified(pair: Pair) -> None:
    about: dict[str, Any] = {
        "tags": ["a", "b"],
        "os_distro": "debian",
        "a/b~c": "odd",
        "protected": True,
        "os_hidden": True,
        "min_ram": 64,
        "min_disk": 3,
        "visibility": "public",
    }
    image = pair.make(**about)
    small = pair.make(b"x", name="small")
    empty = pair.make(b"", name="empty")
    pair.make(None, name="queued")
    report = pair.run()
    assert report["counts"] == {"done": 3, "skipped": 1}
    copy = pair.copy(image)
    assert {key: copy[key] for key in about if key != "tags"} == {key: about[key] for key in about if key != "tags"}
    assert sorted(copy["tags"]) == ["a", "b"]
    assert pair.data(image) == DATA
    assert pair.data(small) == b"x"
    assert pair.copy(empty)["status"] == "active"
    assert {each["verified_by"] for each in report["images"] if each["outcome"] == "done"} == {"sha512"}
    assert pair.notebooks == []
    assert pair.run()["counts"] == {"same": 3, "skipped": 1}


def test_a_dry_run_changes_nothing(pair: Pair) -> None:
    image = pair.make()
    report = pair.run("--dry-run")
    assert [(each["id"], each["action"], each["outcome"]) for each in report["images"]] == [(image, "copy", "planned")]
    assert pair.other.get("/v2/images").json()["images"] == []


def test_filters_choose(pair: Pair) -> None:
    pair.make(b"1", name="debian-12", tags=["old"], os_distro="debian")
    new = pair.make(b"2", name="debian-13", tags=["new"], os_distro="debian", visibility="community")
    pair.make(b"3", name="alma-9", tags=["new"])

    def chosen(*words: str) -> list[str]:
        return sorted(each["name"] for each in pair.run("--dry-run", *words)["images"])

    assert chosen("--name", "debian-*") == ["debian-12", "debian-13"]
    assert chosen("--tag", "new") == ["alma-9", "debian-13"]
    assert chosen("--property", "os_distro=debian", "--tag", "new") == ["debian-13"]
    assert chosen("--visibility", "community") == ["debian-13"]
    assert chosen("--id", new) == ["debian-13"]
    assert chosen("--since", "2999-01-01") == []
    assert chosen("--owner", "nobody") == []


def test_an_id_that_the_source_does_not_have_is_a_failure(pair: Pair) -> None:
    missing = "11111111-2222-3333-4444-555555555555"
    report = pair.run("--id", missing, code=1)
    assert [(each["id"], each["outcome"]) for each in report["images"]] == [(missing, "failed")]


def test_changed_metadata_is_told_and_updated_when_that_is_asked_for(pair: Pair) -> None:
    image = pair.make(os_distro="debian", gone="soon")
    pair.run()
    patch = [
        {"op": "replace", "path": "/name", "value": "two"},
        {"op": "remove", "path": "/gone"},
        {"op": "add", "path": "/tags", "value": ["t"]},
        {"op": "replace", "path": "/os_hidden", "value": True},
    ]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    pair.one.patch(f"/v2/images/{image}", content=json.dumps(patch), headers=headers).raise_for_status()
    (told,) = pair.run()["images"]
    assert (told["outcome"], told["notes"]) == ("reported", ["differs in name, tags, gone, os_hidden"])
    assert pair.copy(image)["name"] == "one"
    assert pair.run("--update-metadata")["counts"] == {"done": 1}
    copy = pair.copy(image)
    assert (copy["name"], copy["tags"], copy["os_hidden"], "gone" in copy) == ("two", ["t"], True, False)
    assert pair.run()["counts"] == {"same": 1}


def test_a_copy_of_what_is_deleted_is_told_and_deleted_when_that_is_asked_for(pair: Pair) -> None:
    image = pair.make()
    own = pair.other.post("/v2/images", json={"name": "own"}).json()["id"]
    pair.run()
    pair.one.delete(f"/v2/images/{image}").raise_for_status()
    (told,) = pair.run()["images"]
    assert (told["action"], told["outcome"]) == ("delete", "reported")
    assert pair.run("--delete", "--dry-run")["counts"] == {"planned": 1}
    assert pair.copy(image)["status"] == "active"
    assert pair.run("--delete")["counts"] == {"done": 1}
    assert [each["id"] for each in pair.other.get("/v2/images").json()["images"]] == [own]


def test_an_image_that_is_not_ours_is_left_as_it_is_and_the_others_are_copied(pair: Pair) -> None:
    queued, other, good = pair.make(name="q"), pair.make(name="o"), pair.make(name="g")
    document = {"disk_format": "raw", "container_format": "bare"}
    pair.other.post("/v2/images", json={"id": queued, "name": "q", **document}).raise_for_status()
    pair.other.post("/v2/images", json={"id": other, "name": "o", **document}).raise_for_status()
    headers = {"Content-Type": "application/octet-stream"}
    pair.other.put(f"/v2/images/{other}/file", content=b"else", headers=headers).raise_for_status()
    report = pair.run(code=1)
    assert report["counts"] == {"failed": 2, "done": 1}
    assert "queued, which is not ours" in next(each["error"] for each in report["images"] if each["id"] == queued)
    assert "other data" in next(each["error"] for each in report["images"] if each["id"] == other)
    assert (pair.copy(queued)["status"], pair.data(other), pair.data(good)) == ("queued", b"else", DATA)


def test_a_line_that_is_cut_again_and_again_copies_all_of_it(pair: Pair) -> None:
    image = pair.make()
    line = Line(pair.target.images_url)
    try:
        line.up_to = 2_500_000
        report = pair.run(to=line.url)
    finally:
        line.close()
    assert line.cuts >= 2
    assert (report["counts"], pair.data(image)) == ({"done": 1}, DATA)


def test_a_target_that_dies_is_gone_on_with_in_the_next_run(pair: Pair) -> None:
    image = pair.make(protected=True)
    line = Line(pair.target.images_url)
    try:
        line.up_to, line.goes_down = 3_500_000, True
        report = pair.run("--patience", "0", to=line.url, code=1)
        assert report["counts"] == {"failed": 1}
        pair.target.kill()
        pair.target.start()
        line.up_to, line.is_down, line.goes_down = 4_000_000, False, False  # not enough for all of it
        report = pair.run(to=line.url)
    finally:
        line.close()
    assert [(each["action"], each["outcome"]) for each in report["images"]] == [("resume", "done")]
    assert (pair.data(image), pair.copy(image)["protected"]) == (DATA, True)
    assert pair.notebooks == []


def test_a_command_that_is_killed_is_gone_on_with(pair: Pair) -> None:
    image = pair.make(some_bytes(30_000_001))
    process = pair.start()
    wait_until(lambda: pair.other.get(f"/v2/images/{image}").status_code == 200, "the image is created")
    process.send_signal(signal.SIGKILL)
    process.wait()
    report = pair.run()
    assert report["counts"] in ({"done": 1}, {"same": 1})
    assert hashlib.sha512(pair.data(image)).hexdigest() == pair.copy(image)["os_hash_value"]


def test_an_upload_that_was_begun_and_not_written_down_is_gone_on_with(pair: Pair) -> None:
    image = pair.make()
    line = Line(pair.target.images_url)
    try:
        line.up_to, line.goes_down = 3_500_000, True
        pair.run("--patience", "0", to=line.url, code=1)
        (notebook,) = pair.notebooks
        state = json.loads(notebook.read_text())
        assert state["upload"]
        notebook.write_text(json.dumps({**state, "upload": None}))
        line.up_to, line.is_down, line.goes_down = 4_000_000, False, False  # not enough for all of it
        report = pair.run(to=line.url)
    finally:
        line.close()
    assert [(each["action"], each["outcome"]) for each in report["images"]] == [("resume", "done")]
    assert pair.data(image) == DATA


def test_members_are_copied_when_that_is_asked_for(pair: Pair) -> None:
    image = pair.make(visibility="shared")
    pair.one.post(f"/v2/images/{image}/members", json={"member": "guest"}).raise_for_status()
    pair.run("--members")
    members = pair.other.get(f"/v2/images/{image}/members").json()["members"]
    assert [each["member_id"] for each in members] == ["guest"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "yesterday"), "is no time"),
        (("--property", "x"), "NAME=VALUE"),
        (("--id", "../images"), "no id"),
        (("--visibility", "secret"), "it may be"),
        (("--to", "http://u:very-secret@127.0.0.1:1"), "TO_OS_AUTH_TYPE"),
        (("--to", "ftp://x"), "no http or https URL"),
        (("--from-cloud", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    nobody = ("--from", "http://127.0.0.1:1", "--to", "http://127.0.0.1:2")
    done = run_headwater("replicate", *nobody, *words, directory=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "very-secret" not in done.stderr
