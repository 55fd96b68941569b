"""``headwater image`` with a cloud of clouds.yaml, data from a URL, and members; and replications that meet."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, bare_environment, run_headwater
from headwater.testing.object_store import some_bytes
from servers.http.web import WebServer, content, web_server

DATA = some_bytes(3_000_001)
TOML = '[fetch]\nallowed_hosts = ["127.0.0.1"]\nallowed_ports = []\n[images]\nhttp_retries = 0\n'


@pytest.fixture
def service(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    return fresh_headwater(toml=TOML)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/pool/disk.raw.xz"] = server.pages["/pool/disk.raw"] = content(DATA)
        yield server


class User:
    """Somebody whose clouds.yaml tells of the service."""

    def __init__(self, home: Path, service: HeadwaterProcess) -> None:
        self.home = home
        settings = home / "config" / "openstack"
        settings.mkdir(parents=True)
        cloud = {"auth_type": "none", "auth": {"endpoint": service.images_url}}
        (settings / "clouds.yaml").write_text(json.dumps({"clouds": {"here": cloud}}))
        self._environment = {
            **bare_environment(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
        }

    def run(self, *words: str, code: int = 0, **more: str) -> Any:
        environment = {**self._environment, "OS_CLOUD": "here", **more}
        done = run_headwater(*words, "--json", directory=self.home, env=environment, timeout_s=120)
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout if code == 0 else done.stderr)

    def refused(self, *words: str, code: int, **more: str) -> str:
        said: str = self.run(*words, code=code, **more)["error"]["message"]
        return said


@pytest.fixture
def user(tmp_path: Path, service: HeadwaterProcess) -> User:
    home = tmp_path / "home"
    home.mkdir()
    return User(home, service)


def test_a_cloud_is_known_by_its_name(user: User, tmp_path: Path) -> None:
    file = tmp_path / "disk.img"
    file.write_bytes(DATA)
    made = user.run("image", "upload", str(file))
    assert user.run("image", "list", "--cloud", "here", OS_CLOUD="elsewhere")[0]["id"] == made["id"]
    assert "no cloud 'elsewhere' in " in user.refused("image", "list", code=2, OS_CLOUD="elsewhere")
    assert user.run("image", "show", "disk.img")["id"] == made["id"]


def test_the_service_fetches_what_is_at_a_url(user: User, service: HeadwaterProcess, web: WebServer) -> None:
    made = user.run("image", "upload", "--from-url", web.url("/pool/disk.raw?token=x"), "--property", "a=b")
    assert (made["name"], made["disk_format"], made["status"], made["a"]) == ("disk.raw", "raw", "active", "b")
    assert httpx.get(f"{service.images_url}/v2/images/{made['id']}/file").content == DATA
    queued = httpx.post(
        f"{service.images_url}/v2/images", json={"disk_format": "raw", "container_format": "bare"}
    ).json()["id"]
    into = user.run("image", "upload", "--from-url", web.url("/pool/disk.raw"), "--id", queued)
    assert (into["id"], into["status"], into["name"]) == (queued, "active", None)


def test_an_import_that_fails_says_why_and_leaves_no_image(user: User, web: WebServer) -> None:
    assert "404" in user.refused("image", "upload", "--from-url", web.url("/lost.raw"), code=1)
    assert user.run("image", "list") == []
    user.refused("image", "upload", "--from-url", "http://192.0.2.1/disk.raw", code=1)  # which no setting allows
    assert user.run("image", "list") == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--from-url", "ftp://a/b.raw"], "no http or https URL"),
        (["--from-url", "http://u:secret@a/b.raw"], "holds a name or a password"),
        (["--from-url", "http://a/b"], "say --disk-format"),
        (["--from-url", "http://a/b.raw", "file"], "name either"),
        (["--from-url", "http://a/b.raw", "--id", "x", "--resume"], "--resume needs a file"),
        ([], "name either"),
    ],
)
def test_what_cannot_be_brought_is_refused_before_anything_is_made(user: User, words: list[str], reason: str) -> None:
    said = user.refused("image", "upload", *words, code=2)
    assert (reason in said, "secret" in said) == (True, False)
    assert user.run("image", "list") == []


def test_an_image_is_shared_with_projects(user: User, service: HeadwaterProcess) -> None:
    document = {"name": "mine", "visibility": "shared"}
    image_id = httpx.post(f"{service.images_url}/v2/images", json=document).json()["id"]
    assert user.run("image", "members", "list", "mine") == []
    for project in ("one", "two"):
        made = user.run("image", "members", "add", "mine", project)
        assert (made["member_id"], made["status"], made["image_id"]) == (project, "pending", image_id)
    assert "409" in user.refused("image", "members", "add", "mine", "one", code=1)
    assert "name it with --project" in user.refused("image", "members", "accept", image_id, code=2)
    assert user.run("image", "members", "accept", image_id, "--project", "one")["status"] == "accepted"
    assert user.run("image", "members", "reject", image_id, "--project", "two")["status"] == "rejected"
    assert user.run("image", "members", "remove", image_id, "two")["member_id"] == "two"
    found = user.run("image", "members", "list", image_id)
    assert [(each["member_id"], each["status"]) for each in found] == [("one", "accepted")]
    assert "404" in user.refused("image", "members", "remove", image_id, "two", code=1)


def test_one_replication_runs_at_a_time_from_one_service_to_another(
    user: User, service: HeadwaterProcess, tmp_path: Path, fresh_headwater: FreshHeadwater
) -> None:
    other = fresh_headwater().images_url
    there = ("replicate", "--from", service.images_url, "--to", other)
    assert user.run(*there)["counts"] == {}
    (lock,) = (user.home / "cache").rglob("*.lock")
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = user.refused(*there, code=1)
        assert f"a replication from {service.images_url} to {other} runs already: process " in said
        assert " on " in said
        assert ", since 2" in said
        assert user.run(*there, "--dry-run")["counts"] == {}
        assert user.run("replicate", "--from", other, "--to", service.images_url)["counts"] == {}
    assert user.run(*there)["counts"] == {}
