"""A service that load balancers are to leave: it says so, and serves whoever comes all the same."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import an_image
from functional.raw_http import HalfRequest

IMAGE = {"name": "x", "disk_format": "raw", "container_format": "bare"}


def statuses(service: HeadwaterProcess, path: str) -> set[int]:
    """Return what new connections are answered, enough of them to reach all workers."""
    return {httpx.get(service.images_url + path).status_code for _ in range(16)}


def is_drained(service: HeadwaterProcess) -> bool:
    return statuses(service, "/healthcheck/ready") == {503}


def serves(service: HeadwaterProcess) -> bool:
    live = statuses(service, "/healthcheck/live") == {200}
    return live and httpx.post(f"{service.images_url}/v2/images", json=IMAGE).status_code == 201


def drained_lines(service: HeadwaterProcess) -> list[str]:
    return [line["event"] for line in service.logs() if line["event"].startswith("drained")]


def test_a_signal_drains_all_workers_and_another_ends_that(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2)
    assert statuses(service, "/healthcheck/ready") == {200}
    os.kill(service.pid, signal.SIGUSR1)
    wait_until(lambda: is_drained(service), "no worker is ready")
    assert statuses(service, "/healthcheck") == {503}
    assert httpx.get(f"{service.images_url}/healthcheck").text == "The service is drained by its operator"
    assert serves(service)
    before = set(service.workers())
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(service.workers()) == 2 and set(service.workers()) != before, "another takes its place")
    wait_until(lambda: serves(service), "it serves")
    assert is_drained(service)
    os.kill(service.pid, signal.SIGUSR2)
    wait_until(lambda: statuses(service, "/healthcheck/ready") == {200}, "all are ready again")
    wait_until(lambda: len(drained_lines(service)) == 2, "the log has both, once")


def test_signals_to_all_processes_end_none(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2)
    before = service.workers()
    os.killpg(service.pid, signal.SIGUSR1)  # as `systemctl kill --signal=USR1` does
    wait_until(lambda: is_drained(service), "no worker is ready")
    os.killpg(service.pid, signal.SIGUSR2)
    wait_until(lambda: not is_drained(service), "they are again")
    assert service.workers() == before


def test_a_file_drains_as_long_as_it_is_there(fresh_headwater: FreshHeadwater, tmp_path: Path) -> None:
    file = tmp_path / "drain"
    file.touch()
    service = fresh_headwater(toml=f'[server]\ndrain_file = "{file}"\n', workers=2)
    assert is_drained(service)  # from the first request on
    assert serves(service)
    file.unlink()
    wait_until(lambda: statuses(service, "/healthcheck/ready") == {200}, "all are ready")
    file.touch()
    wait_until(lambda: is_drained(service), "none is")
    assert len(drained_lines(service)) == 3


def test_a_stop_is_told_before_it_begins(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml="[server]\ndrain_s = 3\n")
    image_id = an_image(service, name="x")
    with HalfRequest(service.images_url, "PUT", f"/v2/images/{image_id}/file", length=2) as upload:
        upload.send(b"a")
        began = time.monotonic()
        stopping = threading.Thread(target=service.stop)
        stopping.start()
        wait_until(lambda: is_drained(service), "it says that it stops")
        assert httpx.get(f"{service.images_url}/healthcheck").text == "The service stops"
        assert serves(service)  # new connections, as always
        upload.send(b"b")
        assert upload.status() == 204
    stopping.join()
    assert 3 <= time.monotonic() - began < 30
    assert not service.is_running()


def test_a_second_signal_stops_at_once(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml="[server]\ndrain_s = 600\n")
    os.kill(service.pid, signal.SIGTERM)
    wait_until(lambda: is_drained(service), "it says that it stops")
    assert service.stop(30) == 0


@pytest.mark.parametrize("drain", ["", "drain_s = 0"])
def test_without_a_time_for_it_a_stop_begins_at_once(fresh_headwater: FreshHeadwater, drain: str) -> None:
    service = fresh_headwater(toml=f"[server]\n{drain}\n")
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 10
