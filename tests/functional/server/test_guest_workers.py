"""Workers that answer guests alone, beside those for all else."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import jwt
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until

TOML = """
[server]
guest_workers = 1
worker_timeout_s = 0
"""


@pytest.fixture
def service(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    service = fresh_headwater(toml=TOML, workers=1)
    assert service.command("instance", "add", "--name", "web1", "--address", "127.0.0.1").returncode == 0
    return service


def hears(service: HeadwaterProcess) -> tuple[bool, bool]:
    """Return whether the API answers, and whether guests are answered."""
    images, guests = f"{service.images_url}/v2/images", f"{service.metadata_url}/latest/meta-data/hostname"
    return _is_answered(images), _is_answered(guests)


def _is_answered(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def stopped_in_turn(service: HeadwaterProcess) -> Iterator[tuple[int, tuple[bool, bool]]]:
    """Stop each worker for a moment, and yield it with who is answered meanwhile."""
    for worker in service.workers():
        os.kill(worker, signal.SIGSTOP)
        try:
            yield worker, hears(service)
        finally:
            os.kill(worker, signal.SIGCONT)


def test_no_worker_of_images_is_in_the_way_of_a_guest_and_each_is_replaced_by_its_like(
    service: HeadwaterProcess,
) -> None:
    assert hears(service) == (True, True)
    by_answers = {answered: worker for worker, answered in stopped_in_turn(service)}
    assert set(by_answers) == {(False, True), (True, False)}
    for worker in by_answers.values():
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(set(service.workers()) - set(by_answers.values())) == 2, "both are replaced")
    wait_until(lambda: hears(service) == (True, True), "they answer")
    ended = [event for event in service.logs() if event["event"] == "a worker ended and is replaced"]
    assert Counter(event["part"] for event in ended) == {"images": 1, "guests": 1}
    assert {answered for _, answered in stopped_in_turn(service)} == {(False, True), (True, False)}
    assert service.stop() == 0


def test_what_guests_do_is_known_to_all(service: HeadwaterProcess) -> None:
    """Keys, the boot log and counts are those of one service."""
    token = httpx.post(f"{service.metadata_url}/latest/dynamic/instance-identity/token?audience=vault").text
    keys = jwt.PyJWKSet.from_dict(httpx.get(f"{service.images_url}/.well-known/jwks.json").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, audience="vault")["name"] == "web1"
    assert httpx.get(f"{service.metadata_url}/latest/user-data").status_code == 404

    def visits() -> str:
        return service.command("instance", "boot-log", "web1").stdout

    wait_until(lambda: "user-data" in visits(), "it is written down")
    metrics = httpx.get(f"{service.images_url}/metrics").text
    assert 'headwater_requests_total{listener="metadata"' in metrics
    assert httpx.get(f"{service.images_url}/healthcheck/ready").status_code == 200


def test_a_change_is_told_to_a_guest_that_waits_for_it(service: HeadwaterProcess) -> None:
    url = f"{service.metadata_url}/latest/meta-data/hostname"
    waiting = {"wait_for_change": "true", "timeout_sec": "60", "last_etag": httpx.get(url).headers["etag"]}
    with ThreadPoolExecutor(1) as guest:
        told = guest.submit(httpx.get, url, params=waiting, timeout=90)
        assert httpx.get(url).text == "web1"  # asked after it
        done = service.command("instance", "set", "web1", "--hostname", "web2")
        assert done.returncode == 0, done.stderr
        assert told.result().text == "web2"
