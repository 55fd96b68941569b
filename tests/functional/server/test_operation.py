"""The service as its operator sees it: health, metrics, log, stop, several workers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS, an_image


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    assert port is not None
    with socket.create_connection((host, port), timeout=60) as connection:
        yield connection


# --- Health and metrics ------------------------------------------------------------------------


def test_a_healthy_service_says_ok(headwater: HeadwaterProcess) -> None:
    answer = httpx.get(f"{headwater.images_url}/healthcheck")
    assert (answer.status_code, answer.text) == (200, "OK")


def test_a_service_without_its_store_says_what_is_wrong(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    (service.data_dir / "stores").rename(service.data_dir / "elsewhere")
    answer = httpx.get(f"{service.images_url}/healthcheck")
    assert answer.status_code == 503
    assert "file" in answer.text
    live = httpx.get(f"{service.images_url}/healthcheck/live")
    assert (live.status_code, live.text) == (200, "OK")  # no reason to restart it
    (service.data_dir / "elsewhere").rename(service.data_dir / "stores")
    assert httpx.get(f"{service.images_url}/healthcheck").status_code == 200


@pytest.mark.parametrize("path", ["/healthcheck", "/healthcheck/ready", "/healthcheck/live", "/metrics"])
def test_health_and_metrics_are_read_and_nothing_else(headwater: HeadwaterProcess, path: str) -> None:
    url = f"{headwater.images_url}{path}"
    head = httpx.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for method in ("POST", "PUT", "DELETE"):
        answer = httpx.request(method, url, content=b"x" * 1000)
        assert answer.status_code == 405
        assert {name.strip() for name in answer.headers["allow"].split(",")} == {"GET", "HEAD"}


def test_what_waits_for_its_removal_is_counted_by_store(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    wait_until(lambda: 'discarded_objects{store="file"} 0.0' in metrics(service), "it is counted")


def metrics(service: HeadwaterProcess) -> str:
    return httpx.get(f"{service.images_url}/metrics").raise_for_status().text


def samples(service: HeadwaterProcess, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels."""
    text = metrics(service)
    total = 0.0
    for line in text.splitlines():
        found = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name:
            has = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            total += float(found[3]) if labels.items() <= has.items() else 0
    return total


def test_the_requests_of_all_workers_are_counted_together(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=3)
    for _ in range(60):  # each on a connection of its own, so that each worker gets some
        httpx.get(f"{service.images_url}/v2/images").raise_for_status()
        httpx.get(f"{service.metadata_url}/latest/")
    for _ in range(6):  # whichever worker answers
        assert samples(service, "headwater_requests_total", listener="images", method="GET", status="200") >= 60
        assert samples(service, "headwater_requests_total", listener="metadata", status="404") == 60
    assert samples(service, "headwater_request_seconds_count", listener="metadata") == 60


def test_bytes_and_requests_in_flight_are_counted(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater()
    image_id = an_image(service, name="x")
    httpx.put(f"{service.images_url}/v2/images/{image_id}/file", content=b"x" * 100_000, headers=OCTETS)
    assert samples(service, "headwater_received_bytes_total", listener="images") >= 100_000
    httpx.get(f"{service.images_url}/v2/images/{image_id}/file").raise_for_status()
    wait_until(lambda: samples(service, "headwater_sent_bytes_total", listener="images") >= 100_000, "it is counted")
    assert samples(service, "headwater_requests_in_flight", listener="images") == 1  # the one that asks


# --- The log -----------------------------------------------------------------------------------


def test_each_request_is_one_line_of_json(headwater: HeadwaterProcess) -> None:
    mark = f"/v2/images/{uuid.uuid4()}"
    answer = httpx.get(f"{headwater.images_url}{mark}")
    wait_until(lambda: bool(headwater.requests(path=mark)), "the request is logged")
    (line,) = headwater.requests(path=mark)
    assert line["request_id"] == answer.headers["X-Openstack-Request-Id"]
    assert re.fullmatch(r"req-[0-9a-f-]{36}", line["request_id"])
    assert (line["method"], line["status"], line["listener"]) == ("GET", 404, "images")
    assert (line["client"], line["level"]) == ("127.0.0.1", "info")
    assert line["ms"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"])


@pytest.mark.parametrize("given", ["req-{}", "{}"])
def test_a_request_id_that_the_client_gives_is_kept(headwater: HeadwaterProcess, given: str) -> None:
    own = uuid.uuid4()
    answer = httpx.get(f"{headwater.images_url}/v2/images", headers={"X-Openstack-Request-Id": given.format(own)})
    assert answer.headers["X-Openstack-Request-Id"] == f"req-{own}"
    wait_until(lambda: bool(headwater.requests(request_id=f"req-{own}")), "the request is logged")


@pytest.mark.parametrize("given", ["two words", "x" * 65, 'a"b', "\u00e9".encode().decode("latin-1")])
def test_a_request_id_that_does_not_fit_into_a_log_is_refused(headwater: HeadwaterProcess, given: str) -> None:
    headers = [(b"X-Openstack-Request-Id", given.encode("latin-1"))]
    answer = httpx.get(f"{headwater.images_url}/v2/images", headers=headers)
    assert answer.status_code == 400
    assert "X-Openstack-Request-Id" in answer.text


def test_no_secret_and_no_query_is_logged(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(env={"HEADWATER_LOG__LEVEL": "debug"})
    headers = {"X-Auth-Token": "s3cret-token", "Authorization": "Basic s3cret-basic", "Cookie": "s3cret-cookie"}
    for query in ({"name": "s3cret-name"}, {"limit": "s3cret-limit"}):
        httpx.get(f"{service.images_url}/v2/images", params=query, headers=headers)
    httpx.get(f"{service.metadata_url}/latest/user-data", params={"q": "s3cret"}, headers=headers)
    body = {"name": "x", "password": "s3cret-property"}
    httpx.post(f"{service.images_url}/v2/images", json=body, headers=headers).raise_for_status()
    wait_until(lambda: len(service.requests()) == 4, "all four are logged")
    assert "s3cret" not in service.stderr()


def test_a_line_break_in_a_path_makes_no_second_line(headwater: HeadwaterProcess) -> None:
    mark = uuid.uuid4().hex
    httpx.get(f"{headwater.images_url}/v2/images/{mark}%0A%7B%22event%22:%22forged%22%7D")
    wait_until(lambda: mark in headwater.stderr(), "the request is logged")
    lines = [line for line in headwater.stderr().splitlines() if mark in line or "forged" in line]
    assert len(lines) == 1
    assert json.loads(lines[0])["event"] == "request"


# --- Stop --------------------------------------------------------------------------------------


def refuses(url: str) -> bool:
    """Whether nobody takes a new connection."""
    try:
        with connected(url):
            return False
    except ConnectionRefusedError:
        return True


def test_a_stop_lets_an_upload_in_flight_finish_and_takes_no_new_connection(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2)
    image_id = an_image(service, name="x")
    data = os.urandom(4 << 20)
    with connected(service.images_url) as upload:
        head = f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
        upload.sendall(f"{head}Content-Length: {len(data)}\r\nAccept: application/json\r\n\r\n".encode())
        upload.sendall(data[: 2 << 20])
        status = f"{service.images_url}/v2/images/{image_id}"
        wait_until(lambda: httpx.get(status).json()["status"] == "saving", "the upload is under way")

        os.kill(service.pid, signal.SIGTERM)
        wait_until(lambda: refuses(service.images_url), "the image listener takes no new connection")
        wait_until(lambda: refuses(service.metadata_url), "the metadata listener takes no new connection")
        assert service.is_running()

        upload.sendall(data[2 << 20 :])
        assert upload.makefile("rb").readline() == b"HTTP/1.1 204 No Content\r\n"
    assert service.stop() == 0
    assert not service.group_lives()

    service.start()
    assert httpx.get(f"{service.images_url}/v2/images/{image_id}").json()["status"] == "active"
    assert httpx.get(f"{service.images_url}/v2/images/{image_id}/file").content == data


def test_a_stop_does_not_wait_for_idle_connections(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2)
    with httpx.Client() as kept_alive, connected(service.images_url):
        kept_alive.get(f"{service.images_url}/v2/images").raise_for_status()
        assert service.stop(timeout_s=20) == 0
    assert "Traceback" not in service.stderr()


def test_a_stop_ends_after_its_limit_whoever_still_sends(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml="[server]\nstop_timeout_s = 1\n")
    image_id = an_image(service, name="x")
    with connected(service.images_url) as upload:
        upload.sendall(f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n".encode())
        upload.sendall(b"Content-Type: application/octet-stream\r\n\r\nhalf")
        status = f"{service.images_url}/v2/images/{image_id}"
        wait_until(lambda: httpx.get(status).json()["status"] == "saving", "the upload is under way")
        assert service.stop(timeout_s=20) == 0
    assert "stopped before all requests had ended" in [event["event"] for event in service.logs()]
    service.start()
    assert httpx.get(status).json()["status"] == "queued"


def test_ctrl_c_on_the_terminal_is_a_stop(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2, first_start=True)
    os.killpg(service.pid, signal.SIGINT)  # the terminal tells every process of the group
    wait_until(lambda: not service.is_running(), "it has ended")
    assert service.stop() == 0
    assert "Traceback" not in service.stderr()


# --- Several workers ---------------------------------------------------------------------------


def test_what_one_worker_changes_all_workers_see(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=3)
    assert len(service.workers()) == 3
    for _ in range(10):  # a connection for each request: any worker may answer
        image_id = an_image(service, name="x")
        url = f"{service.images_url}/v2/images/{image_id}"
        httpx.put(f"{url}/file", content=b"some bytes", headers=OCTETS).raise_for_status()
        assert httpx.get(url).json()["status"] == "active"
        assert httpx.get(f"{url}/file").content == b"some bytes"
        httpx.delete(url).raise_for_status()
        assert httpx.get(url).status_code == 404


def test_a_worker_that_dies_is_replaced(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2)
    image_id = an_image(service, name="x")
    time.sleep(2)  # a worker that dies sooner after its start counts as one that cannot start
    before = service.workers()
    os.kill(before[0], signal.SIGKILL)

    def replaced() -> bool:
        now = service.workers()
        return len(now) == 2 and before[0] not in now

    wait_until(replaced, "the worker is replaced")
    for _ in range(20):
        assert httpx.get(f"{service.images_url}/v2/images/{image_id}").status_code == 200
    (line,) = [event for event in service.logs() if event["event"] == "a worker ended and is replaced"]
    assert (line["pid"], line["code"]) == (before[0], -signal.SIGKILL)
    assert service.stop() == 0


def test_no_worker_outlives_the_supervisor(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2, first_start=True)
    assert service.group_lives()
    os.kill(service.pid, signal.SIGKILL)
    wait_until(lambda: not service.group_lives(), "the workers have ended")
    service.start()  # the ports are free again
    assert httpx.get(f"{service.images_url}/healthcheck").text == "OK"


def test_the_first_answer_comes_as_soon_as_it_says_that_it_is_ready(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2, first_start=True)  # returns at the ready line
    assert httpx.get(f"{service.images_url}/healthcheck").text == "OK"
    assert httpx.get(f"{service.metadata_url}/latest/").status_code == 404
    assert service.stdout().count("\n") == 1
    assert f"{service.images_url}," in service.stdout()
    assert service.metadata_url in service.stdout()
