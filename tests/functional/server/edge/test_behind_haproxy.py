"""What ``docs/how-to/stand-behind-others.md`` says to HAProxy, said to a real one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from needs import CHECKOUT, program
from servers.ports import free_port

PAGE = CHECKOUT / "docs" / "how-to" / "stand-behind-others.md"
LIES = {
    "Forwarded": "for=198.51.100.1;proto=https;host=evil.example",
    "X-Forwarded-For": "198.51.100.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Proto": "https",
}
FRONT = """\
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend public
    bind 127.0.0.1:{port}
    default_backend images
"""


def block_with(words: str) -> str:
    """Return the block of the page that has these words."""
    found: str
    (found,) = (block for block in re.findall(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL) if words in block)
    return found


@pytest.fixture(scope="module")
def drain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drain") / "drain"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, drain_file: Path) -> Iterator[HeadwaterProcess]:
    toml = f'[server]\ntrusted_proxies = ["127.0.0.1"]\ndrain_file = "{drain_file}"\n'
    process = HeadwaterProcess(tmp_path_factory.mktemp("headwater"), toml=toml)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory, service: HeadwaterProcess) -> Iterator[str]:
    """The address of a proxy as the page sets it up: it looks after the service and writes what it knows of clients."""
    home, port = tmp_path_factory.mktemp("haproxy"), free_port()
    at = service.images_url.removeprefix("http://")
    backend = re.sub(r" +server two .*\n", "", block_with("backend images")).replace("10.0.0.11:9292", at)
    written = (
        FRONT.format(port=port) + backend.replace("inter 2s", "inter 200ms") + block_with("http-request set-header")
    )
    (home / "haproxy.cfg").write_text(written)
    with (home / "log").open("wb") as log:
        proxy = subprocess.Popen([program("haproxy"), "-db", "-f", "haproxy.cfg"], stdout=log, stderr=log, cwd=home)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answered(url) == 200, f"it answers; its log is {home / 'log'}")
        yield url
    finally:
        proxy.kill()
        proxy.wait()


def answered(url: str) -> int | None:
    try:
        return httpx.get(f"{url}/v2/images").status_code
    except httpx.HTTPError:
        return None


def test_links_have_the_name_that_the_client_asked_for_whatever_else_it_says(public: str) -> None:
    answer = httpx.get(f"{public}/v2", headers={**LIES, "Host": "images.example.org:81"})
    assert answer.headers["location"] == "http://images.example.org:81/v2/"


def test_the_log_has_the_client_that_the_proxy_saw(service: HeadwaterProcess, public: str) -> None:
    httpx.get(f"{public}/v2/schemas/image", headers=LIES)
    wait_until(lambda: bool(service.requests(path="/v2/schemas/image")), "the line is written")
    assert service.requests(path="/v2/schemas/image")[0]["client"] == "127.0.0.1"


def test_the_proxy_sends_nothing_while_the_service_is_drained(public: str, drain_file: Path) -> None:
    drain_file.touch()
    wait_until(lambda: answered(public) == 503, "the proxy has left it")
    drain_file.unlink()
    wait_until(lambda: answered(public) == 200, "the proxy is back")
