"""Who did what to which image, as the operator reads it."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, PATCH
from functional.raw_http import HalfRequest

PASSWORD = "hunter2-and-more"


def records(file: Path) -> list[dict[str, Any]]:
    """Return all records; a line that is not one JSON object fails the test."""
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(isinstance(record, dict) for record in found)
    return found


class Site:
    """A service with three users of a file, and where its audit records go."""

    def __init__(self, service: HeadwaterProcess, file: Path) -> None:
        self.service, self.file = service, file

    def http(self, user: str) -> httpx.Client:
        return httpx.Client(base_url=self.service.images_url, auth=(user, PASSWORD), timeout=30)

    def records(self, **fields: object) -> list[dict[str, Any]]:
        return [record for record in records(self.file) if fields.items() <= record.items()]


@pytest.fixture
def site(fresh_headwater: FreshHeadwater, tmp_path: Path) -> Iterator[Site]:
    digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    users = {"ada": "lovelace:member,reader", "bob": "lovelace:reader", "eve": "elsewhere:member,reader"}
    htpasswd = tmp_path / "users"
    htpasswd.write_text("".join(f"{name}:{digest}:{rest}\n" for name, rest in users.items()))
    file = tmp_path / "audit.log"
    toml = f'[auth]\nmode = "basic"\nhtpasswd_file = "{htpasswd}"\n[audit]\nfile = "{file}"\n[log]\nlevel = "error"\n'
    yield Site(fresh_headwater(toml=toml, workers=2), file)


def test_each_entry_is_one_record_with_who_what_and_how_it_ended(site: Site) -> None:
    with site.http("ada") as ada:
        made = ada.post("/v2/images", json={"name": "one", "disk_format": "raw", "container_format": "bare"})
        url = f"/v2/images/{made.json()['id']}"
        change = [
            {"op": "add", "path": "/name", "value": "two"},
            {"op": "add", "path": "/db_password", "value": "s3cret-value"},
        ]
        ada.patch(url, content=json.dumps(change), headers=PATCH).raise_for_status()
        ada.put(f"{url}/file", content=b"data", headers=OCTETS).raise_for_status()
        assert ada.head(f"{url}/file").headers["content-length"] == "4"  # which is no download
        ada.get(f"{url}/file").raise_for_status()
        ada.post(f"{url}/members", json={"member": "p2"}).raise_for_status()
        ada.delete(f"{url}/members/p2").raise_for_status()
        ada.post(f"{url}/actions/deactivate").raise_for_status()
        ada.delete(url).raise_for_status()
    who = {"user": "ada", "project": "lovelace", "roles": ["member", "reader"], "client": "127.0.0.1"}
    image = {"image": made.json()["id"], "owner": "lovelace"}
    found = site.records(**who, **image, outcome="success")
    assert [record["event"] for record in found] == [
        "image.create",
        "image.update",
        "image.prepare",
        "image.upload",
        "image.download",
        "image.member.create",
        "image.member.delete",
        "image.deactivate",
        "image.delete",
    ]
    created, updated, _, uploaded, *_ = found
    assert created["request_id"] == made.headers["X-Openstack-Request-Id"]
    assert created["image_name"] == "one"
    assert updated["changed"] == ["name", "db_password"]
    assert set(uploaded["changed"]) >= {"status", "size", "checksum"}
    assert found[5]["member"] == "p2"
    text = site.file.read_text()
    assert "s3cret" not in text
    assert PASSWORD not in text
    assert stat.S_IMODE(site.file.stat().st_mode) == 0o600
    assert site.service.stderr() == ""  # they are in the file, and nowhere else


def test_what_was_denied_or_failed_is_recorded_too(site: Site) -> None:
    with site.http("ada") as ada, site.http("bob") as bob, site.http("eve") as eve:
        image_id = ada.post("/v2/images", json={"name": "mine"}).json()["id"]
        assert bob.delete(f"/v2/images/{image_id}").status_code == 403
        assert bob.post("/v2/images", json={}).status_code == 403
        assert eve.delete(f"/v2/images/{image_id}").status_code == 404
        assert ada.post("/v2/metadefs/namespaces", json={"namespace": "Mine"}).status_code == 403
    (denied,) = site.records(user="bob", event="image.delete")
    assert (denied["outcome"], denied["image"], denied["image_name"]) == ("denied", image_id, "mine")
    (denied,) = site.records(user="bob", event="image.create")
    assert denied["outcome"] == "denied"
    (failed,) = site.records(user="eve")
    assert (failed["event"], failed["outcome"], failed["image"]) == ("image.delete", "failed", image_id)
    assert (failed["error"], "image_name" in failed) == ("ImageNotFound", False)
    (denied,) = site.records(event="metadef_namespace.create")
    assert (denied["namespace"], denied["outcome"]) == ("Mine", "denied")


def test_records_of_several_processes_never_mix(site: Site) -> None:
    name = "x" * 255

    def create_some() -> None:
        for _ in range(15):  # each on a connection of its own, so that each worker gets some
            with site.http("ada") as ada:
                ada.post("/v2/images", json={"name": name}).raise_for_status()

    threads = [threading.Thread(target=create_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [record["image_name"] for record in records(site.file)] == [name] * 60


def test_a_file_that_was_moved_away_is_begun_anew_by_every_worker(site: Site) -> None:
    with site.http("ada") as ada:
        ada.post("/v2/images", json={}).raise_for_status()
    moved = site.file.with_suffix(".1")
    site.file.rename(moved)
    for _ in range(20):
        with site.http("ada") as ada:
            ada.post("/v2/images", json={}).raise_for_status()
    assert (len(records(moved)), len(records(site.file))) == (1, 20)
    assert stat.S_IMODE(site.file.stat().st_mode) == 0o600


def test_a_request_is_answered_and_its_record_in_the_log_when_the_file_cannot_be_written(site: Site) -> None:
    site.file.unlink()
    site.file.mkdir()
    with site.http("ada") as ada:
        made = ada.post("/v2/images", json={})
    assert made.status_code == 201
    wait_until(lambda: bool(site.service.stderr()), "the log says so")
    (line,) = site.service.logs()
    assert (line["event"], line["action"]) == ("an audit record could not be written", "image.create")
    assert (line["image"], line["user"], line["level"]) == (made.json()["id"], "ada", "error")


def test_without_a_file_the_records_go_to_the_log_whatever_its_level(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml='[log]\nlevel = "error"\n')
    made = httpx.post(f"{service.images_url}/v2/images", json={"name": "one"})
    wait_until(lambda: bool(service.stderr()), "it is written")
    (line,) = service.logs()
    assert (line["event"], line["image"], line["outcome"]) == ("image.create", made.json()["id"], "success")


def test_a_file_that_cannot_be_opened_stops_the_start(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    service = fresh_headwater(toml=f'[audit]\nfile = "{tmp_path}/none/audit.log"\n', start=False)
    done = service.command("serve", "--bind", "127.0.0.1:0", "--metadata-bind", "127.0.0.1:0")
    assert done.returncode == 2
    assert done.stderr.startswith("headwater: section [audit], key 'file': cannot write to")
    assert "No such file or directory" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_the_start_clears_up_is_recorded_as_headwaters_own(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    file = tmp_path / "audit.log"
    service = fresh_headwater(toml=f'[audit]\nfile = "{file}"\n', workers=1)
    with httpx.Client(base_url=service.images_url, timeout=30) as http:
        made = http.post("/v2/images", json={"name": "one", "disk_format": "raw", "container_format": "bare"})
    image_id = made.json()["id"]
    with HalfRequest(service.images_url, "PUT", f"/v2/images/{image_id}/file", length=1 << 20) as half:
        half.send(bytes(1000))
        wait_until(lambda: any(each["event"] == "image.prepare" for each in records(file)), "the upload has begun")
        service.kill()
    service.start()
    (cleared,) = [each for each in records(file) if each["event"] == "image.update"]
    assert (cleared["by"], cleared["image"], cleared["changed"]) == ("headwater", image_id, ["status"])
