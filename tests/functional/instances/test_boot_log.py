"""What a guest fetches is written down, waits end with changes, and faults come where they were ordered."""

from __future__ import annotations

import json
import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from headwater.database.engine import Database
from headwater.instances.registry.rows import InstanceRows

AGENT = {"User-Agent": "Cloud-Init/22.4.2"}
REGISTERED = ("--name", "web1", "--address", "127.0.0.1", "--user-data", "@user-data")
CRAWL = ("/openstack", "/openstack", *(f"/openstack/latest/{name}" for name in ("meta_data.json", "user_data")))


def registered(service: HeadwaterProcess) -> HeadwaterProcess:
    (service.directory / "user-data").write_bytes(b"#cloud-config\n")
    done = service.command("instance", "add", *REGISTERED)
    assert done.returncode == 0, done.stderr
    return service


@pytest.fixture
def web1(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    return registered(fresh_headwater(workers=2))


def read(service: HeadwaterProcess, path: str) -> httpx.Response:
    return httpx.get(f"{service.metadata_url}{path}", headers=AGENT, timeout=60)


def boot_log(service: HeadwaterProcess) -> dict[str, Any]:
    done = service.command("instance", "boot-log", "web1", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_boot_log_says_what_a_guest_fetched_and_whether_it_got_all(web1: HeadwaterProcess) -> None:
    assert "web1 has asked for nothing" in boot_log(web1)["verdict"]["sentences"][0]
    for path in CRAWL[:3]:
        assert read(web1, path).status_code == 200
    wait_until(lambda: len(boot_log(web1)["entries"]) == 3, "three requests are written down")
    assert "and never its user data" in boot_log(web1)["verdict"]["sentences"][0]
    read(web1, CRAWL[3])
    event = {"name": "modules-final", "description": "done", "event_type": "finish", "result": "FAIL", "timestamp": 1.0}
    assert httpx.post(f"{web1.metadata_url}/reporting/cloud-init", json=event).status_code == 200
    assert httpx.post(f"{web1.metadata_url}/reporting/cloud-init", content=b"[]").status_code == 400
    wait_until(lambda: len(boot_log(web1)["entries"]) == 6, "all requests are written down")
    found = boot_log(web1)
    assert (found["verdict"]["complete"], found["verdict"]["program"]) == (True, "cloud-init 22.4.2")
    said = web1.command("instance", "boot-log", "web1").stdout.splitlines()
    assert len(said) == 6 + 2
    assert said[-1] == "cloud-init reports FAIL of modules-final: done"


def test_what_turns_the_reports_on_is_printed(web1: HeadwaterProcess) -> None:
    said = web1.command("instance", "boot-log", "web1", "--cloud-config").stdout
    assert said.startswith("#cloud-config\n")
    assert "    endpoint: http://127.0.0.1:8775/reporting/cloud-init\n" in said


def test_a_stop_writes_down_what_is_still_in_memory(web1: HeadwaterProcess) -> None:
    for path in CRAWL:
        read(web1, path)
    web1.stop()
    assert [entry["document"] for entry in boot_log(web1)["entries"]] == [path[1:] for path in CRAWL]


def waiting(pool: ThreadPoolExecutor, service: HeadwaterProcess, path: str) -> Future[httpx.Response]:
    tag = read(service, path).headers["etag"]
    query = httpx.QueryParams({"wait_for_change": "true", "last_etag": tag, "timeout_sec": "50"})
    return pool.submit(read, service, f"{path}?{query}")


def is_being_answered(service: HeadwaterProcess) -> bool:
    metrics = httpx.get(f"{service.images_url}/metrics", timeout=60).raise_for_status().text
    return re.search(r'^headwater_requests_in_flight\{listener="metadata"\} 1\.0$', metrics, re.MULTILINE) is not None


def test_who_waits_gets_what_another_process_changes(web1: HeadwaterProcess) -> None:
    paths = ("/latest/user-data", "/openstack/latest/meta_data.json", "/openstack/latest/user_data")
    database = Database(f"sqlite:///{web1.data_dir / 'headwater.db'}", may_make=False)
    with ThreadPoolExecutor(4) as pool:
        waits = [waiting(pool, web1, path) for path in paths]
        rows = InstanceRows(database)
        instance = rows.get("web1")
        rows.replace(replace(instance, user_data=b"new", meta={"role": "db"}), at=instance.updated_at + 1)
        answers = [each.result(40) for each in waits]
        assert [each.status_code for each in answers] == [200] * 3
        assert answers[0].content == answers[2].content == b"new"
        assert answers[1].json()["meta"] == {"role": "db"}
        gone = waiting(pool, web1, "/latest/user-data")
        web1.command("instance", "remove", "web1")
        assert gone.result(40).status_code == 404
    database.close()


def test_a_wait_ends_with_its_time_and_with_the_service(web1: HeadwaterProcess) -> None:
    now = read(web1, "/latest/user-data?wait_for_change=true&timeout_sec=1")
    assert (now.status_code, now.content) == (200, b"#cloud-config\n")
    other = read(web1, "/latest/user-data?wait_for_change=true&last_etag=0")
    assert (other.status_code, other.headers["etag"]) == (200, now.headers["etag"])
    assert read(web1, "/latest/user-data?wait_for_change=maybe").status_code == 400
    for twice in ("wait_for_change", "wait_for_change=true&last_etag=0&last_etag", "timeout_sec=1&timeout_sec"):
        again = read(web1, f"/latest/user-data?wait_for_change=true&{twice}=1")
        assert (again.status_code, "must be given once" in again.text) == (400, True)
    with ThreadPoolExecutor(1) as pool:
        wait = waiting(pool, web1, "/latest/user-data")
        wait_until(lambda: is_being_answered(web1), "the request has come")
        web1.stop()
        assert wait.result(5).status_code == 200


def test_faults_come_as_often_as_they_were_ordered(fresh_headwater: FreshHeadwater) -> None:
    toml = (
        "[server]\nworkers = 1\n"
        '[metadata.faults.first]\npath = "/openstack/*/user_data"\nstatus = 500\ntimes = 1\n'
        '[metadata.faults.second]\npath = "/latest/user-data"\ndrop_after = 3\ntimes = 1\n'
    )
    service = registered(fresh_headwater(toml=toml))
    assert [read(service, CRAWL[3]).status_code for _ in range(2)] == [500, 200]
    with pytest.raises(httpx.TransportError):
        read(service, "/latest/user-data")
    assert read(service, "/latest/user-data").content == b"#cloud-config\n"
    wait_until(lambda: len(boot_log(service)["entries"]) == 4, "all requests are written down")
    first, second, broken, whole = boot_log(service)["entries"]
    assert (first["status"], second["status"]) == (500, 200)
    assert (broken["complete"], whole["complete"]) == (False, True)


def test_faults_need_one_worker(fresh_headwater: FreshHeadwater) -> None:
    toml = '[metadata.faults.any]\npath = "*"\nstatus = 500\n'
    service = fresh_headwater(toml=toml, workers=2, start=False)
    assert "set section [server], key 'guest_workers' or 'workers' to 1" in service.command("config", "check").stderr


def test_a_guest_that_asks_in_a_loop_is_slowed_down_and_then_refused(fresh_headwater: FreshHeadwater) -> None:
    service = registered(fresh_headwater(toml="[metadata]\nrate = 0.1\nburst = 60\n"))
    with httpx.Client(base_url=service.metadata_url) as guest:
        assert {guest.get("/latest/user-data").status_code for _ in range(60)} == {200}
        refused = guest.get("/latest/user-data")
    assert (refused.status_code, int(refused.headers["Retry-After"]) >= 5) == (503, True)
