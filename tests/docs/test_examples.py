"""Every example starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from needs import CHECKOUT
from servers.ports import free_port


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in sorted((CHECKOUT / "examples").glob("*.toml"))])
def test_a_service_starts_with_the_settings_of_the_example(tmp_path: Path, name: str) -> None:
    toml = (CHECKOUT / "examples" / name).read_text()
    # Its addresses are the only thing that we change.
    service = HeadwaterProcess(tmp_path, toml=toml, workers=None, first_start=True)
    service.start()
    try:
        assert httpx.get(f"{service.images_url}/healthcheck").text == "OK"
        assert httpx.get(f"{service.images_url}/simplestreams/images/streams/v1/index.json").status_code == 200
    finally:
        assert service.stop() == 0


@pytest.mark.slow
def test_the_receiver_of_webhooks_prints_each_event_and_refuses_what_is_not_signed(tmp_path: Path) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
    port = free_port()
    output = tmp_path / "output"
    with output.open("wb") as out:
        receiver = subprocess.Popen(
            [sys.executable, CHECKOUT / "examples" / "webhook_receiver.py", str(port)],
            env={"WEBHOOK_SECRET": secret},
            stdout=out,
        )
    url = f"http://127.0.0.1:{port}"
    toml = f'[notifications]\nwebhook_url = "{url}"\nwebhook_secret = "{secret}"\nlongest_pause_s = 1\n'
    service = HeadwaterProcess(tmp_path, toml=toml, first_start=True)
    try:
        service.start()
        image_id = httpx.post(f"{service.images_url}/v2/images", json={"name": "one"}).raise_for_status().json()["id"]
        expected = f"org.openstack.image.create {image_id}"
        wait_until(lambda: expected in output.read_text(), "the event was printed")
        assert httpx.post(url, json={"type": "forged"}).status_code == 401
        assert "forged" not in output.read_text()
    finally:
        service.kill()
        receiver.kill()
        receiver.wait()
