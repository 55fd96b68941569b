"""``headwater streams sync`` from a web server into real services."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, bare_environment, run_headwater
from functional.program import program as headwater_program
from headwater.streams.signing.feeds.sign import sign_feed
from headwater.streams.trees.directory import DirectoryTree
from needs import program
from servers.http.web import Asked, SendBytes, WebServer, content
from unit.streams.syncing.cloud_feed import CloudFeed, data_of, hashes_of, product_name

FEED = {"22.04": ["20250101", "20250201"], "24.04": ["20250101"]}


class Site:
    """A web server with a feed, a service, and somebody who syncs from the one to the other."""

    def __init__(self, home: Path, target: HeadwaterProcess) -> None:
        self.home, self.target = home, target
        self.cache = {"XDG_CACHE_HOME": str(home / "cache")}
        self.web = WebServer()
        self.url = self.web.url("/")
        self.feed = CloudFeed(FEED, arches=("amd64", "arm64"))
        self.publish()
        self.images_api = httpx.Client(base_url=target.images_url, timeout=60)

    def publish(self) -> None:
        for path, body in {**self.feed.documents, **self.feed.files}.items():
            self.web.pages[f"/{path}"] = content(body)

    def command(self, *words: str) -> list[str]:
        there = [] if {"--local", "--to"} & set(words) else ["--to", self.target.images_url]
        return ["streams", "sync", self.url, *words, "--json", *there]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a run, which the test may kill."""
        return subprocess.Popen(
            [headwater_program(), *self.command(*words)],
            env=bare_environment(self.home) | self.cache,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return run_headwater(*self.command(*words), directory=self.home, env=self.cache | more, timeout_s=90)

    def run(self, *words: str, code: int = 0, **more: str) -> dict[str, Any]:
        done = self.ended(*words, **more)
        assert done.returncode == code, (done.stdout, done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def fails(self, *words: str) -> tuple[int, str]:
        """Return the exit code of a run, and the type of its error."""
        done = self.ended(*words)
        return done.returncode, json.loads(done.stderr)["error"]["type"]

    def images(self) -> list[dict[str, Any]]:
        """Return all images of the service, in the order of their names, hidden ones last."""
        found: list[dict[str, Any]] = []
        for hidden in ("false", "true"):
            answer = self.images_api.get("/v2/images", params={"os_hidden": hidden, "visibility": "all"})
            found += sorted(answer.raise_for_status().json()["images"], key=lambda each: each["name"])
        return found

    def data(self, image: dict[str, Any]) -> bytes:
        return self.images_api.get(f"/v2/images/{image['id']}/file").raise_for_status().content


@pytest.fixture
def site(fresh_headwater: FreshHeadwater, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, fresh_headwater())
    yield made
    made.images_api.close()
    made.web.close()


def test_a_cloud_gets_the_images_of_a_feed_once_and_then_what_is_new(site: Site) -> None:
    first = site.run("arch=amd64")
    assert first["counts"] == {"created": 2}
    images = site.images()
    assert [each["name"] for each in images] == [
        "auto-sync/example-jammy-22.04-amd64-server-20250201-disk1.img",
        "auto-sync/example-noble-24.04-amd64-server-20250101-disk1.img",
    ]
    one = images[0]
    assert site.data(one) == data_of("22.04", "20250201")
    assert {name: one[name] for name in ("status", "visibility", "os_hidden", "disk_format", "container_format")} == {
        "status": "active",
        "visibility": "public",
        "os_hidden": False,
        "disk_format": "qcow2",
        "container_format": "bare",
    }
    assert {name: one[name] for name in ("content_id", "product_name", "version_name", "item_name", "os_distro")} == {
        "content_id": "auto.sync",
        "product_name": product_name("22.04"),
        "version_name": "20250201",
        "item_name": "disk1.img",
        "os_distro": "example",
    }
    assert (one["os_version"], one["architecture"]) == ("22.04", "x86_64")
    metadata = json.loads(one["simplestreams_metadata"])
    assert metadata["release"] == "jammy"
    assert not metadata.keys() & {"product_name", "version_name", "item_name", "path", "item_url"}

    again = site.run("arch=amd64")
    assert again["counts"] == {"same": 2}
    assert site.images() == images

    site.feed = CloudFeed({"22.04": ["20250201", "20250301"], "24.04": ["20250101"]})
    site.publish()
    assert site.run("arch=amd64", "--old", "hide")["counts"] == {"created": 1, "hidden": 1, "same": 1}
    assert [(each["version_name"], each["os_hidden"]) for each in site.images()] == [
        ("20250301", False),
        ("20250101", False),
        ("20250201", True),
    ]
    # Nobody can be asked whether the old one is used: the service is none of a cloud with Keystone and Nova.
    assert site.run("arch=amd64")["counts"] == {"kept": 1, "same": 2}
    assert site.run("arch=amd64", "--old", "delete-always")["counts"] == {"deleted": 1, "same": 2}
    assert len(site.images()) == 2


def test_a_run_that_is_killed_is_gone_on_with_and_nothing_is_left_or_comes_twice(site: Site) -> None:
    """Killed while the index, the first data and the second data come, and when all but the end was answered."""
    paths = [
        "streams/v1/index.json",
        site.feed.item("22.04", "20250201")["path"],
        site.feed.item("24.04", "20250101")["path"],
    ]
    for number, path in enumerate(paths):
        body = {**site.feed.documents, **site.feed.files}[path]
        asked, going_on = threading.Event(), threading.Event()
        site.web.pages[f"/{path}"] = halting(body, asked, going_on)
        process = site.start("arch=amd64")
        assert asked.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        going_on.set()
        site.web.pages[f"/{path}"] = content(body)
        images = site.images()
        assert len([each for each in images if each["visibility"] == "public"]) <= max(0, number - 1)
        assert len(images) <= number
    report = site.run("arch=amd64")
    assert report["counts"] == {"created": 1, "same": 1}
    images = site.images()
    assert [(each["status"], each["visibility"], each["os_hidden"]) for each in images] == [
        ("active", "public", False)
    ] * 2
    assert [site.data(each) for each in images] == [data_of("22.04", "20250201"), data_of("24.04", "20250101")]


def halting(body: bytes, asked: threading.Event, going_on: threading.Event) -> Callable[[Asked, SendBytes], None]:
    """Return what sends half of a body, says so, and waits."""

    def answer(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])
        asked.set()
        going_on.wait(30)

    return answer


def test_a_lost_connection_is_gone_on_with_at_the_byte_where_it_was_lost(site: Site) -> None:
    path = "/" + site.feed.item("24.04", "20250101")["path"]
    whole = site.feed.files[path[1:]]
    site.web.asked.clear()
    failed = False

    def breaks_once(asked: Asked, send: SendBytes) -> None:
        nonlocal failed
        if failed:
            content(whole)(asked, send)
            return
        failed = True
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole[:70_000])

    site.web.pages[path] = breaks_once
    assert site.run("version=24.04", "arch=amd64")["counts"] == {"created": 1}
    assert [each.headers.get("range") for each in site.web.asked if each.path == path] == [None, "bytes=70000-"]
    [image] = site.images()
    assert site.data(image) == whole


def test_what_is_wrong_is_told_and_leaves_no_image(site: Site) -> None:
    site.feed.item("22.04", "20250201")["sha256"] = "0" * 64
    site.publish()
    report = site.run("arch=amd64", code=1)
    assert report["counts"] == {"created": 1, "failed": 1}
    assert next(each["error"] for each in report["images"] if each["error"]).count("sha256") == 1
    assert [each["os_version"] for each in site.images()] == ["24.04"]


def test_a_source_or_a_service_that_is_away_ends_the_run_with_one(site: Site) -> None:
    site.web.pages.clear()
    assert site.fails() == (1, "NoStart")
    site.publish()
    assert site.fails("--to", "http://127.0.0.1:1", "--patience", "0") == (1, "Unreachable")
    site.web.close()
    assert site.fails() == (1, "TreeUnavailable")


@pytest.mark.parametrize(
    "words",
    [
        ["arch"],
        ["--max", "2", "--keep", "1"],
        ["--property", "status=x"],
        ["--old", "burn"],
        ["--local", "--to", "http://127.0.0.1:1"],
        ["--to", "http://user:password@127.0.0.1:1"],
        ["--write", "feed"],
        ["--hook", "'"],
    ],
)
def test_a_wrong_use_ends_with_two_and_asks_nobody(site: Site, words: list[str]) -> None:
    done = site.ended(*words)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "password" not in done.stderr
    assert site.web.asked == []


def test_the_catalogue_of_the_settings_gets_images_without_a_service(site: Site) -> None:
    site.target.stop()
    words = ["arch=amd64", "--local"]
    settings, data = str(site.target.config_file), str(site.target.data_dir)
    environment: Any = {"HEADWATER_CONFIG": settings, "HEADWATER_DATA_DIR": data}
    assert site.run(*words, **environment)["counts"] == {"created": 2}
    assert site.run(*words, **environment)["counts"] == {"same": 2}
    site.feed = CloudFeed({"22.04": ["20250301"], "24.04": ["20250101"]})
    site.publish()
    # Uses are noted for a moment only: that an image is unused for a month cannot be said, for no day at all it can.
    assert site.run(*words, **environment)["counts"] == {"created": 1, "hidden": 1, "same": 1}
    assert site.run(*words, "--used-days", "0", **environment)["counts"] == {"deleted": 1, "same": 2}
    site.target.start()
    assert [(each["version_name"], each["status"]) for each in site.images()] == [
        ("20250301", "active"),
        ("20250101", "active"),
    ]
    assert site.data(site.images()[0]) == data_of("22.04", "20250301")


def test_hooks_and_the_feed_of_ids_come_with_a_run(site: Site) -> None:
    told = site.home / "told"
    hook = f"{sys.executable} -c \"import os; open('{told}', 'a').write(os.environ['HEADWATER_SYNC_EVENT'] + ' ')\""
    feed = site.home / "feed"
    endpoint = "https://keystone.example:5000/v3"
    words = [
        "--write",
        str(feed),
        "--publish",
        str(site.home / "published"),
        "--endpoint",
        endpoint,
        "--region",
        "North",
        "--content-id",
        "auto.{region}",
    ]
    report = site.run("arch=amd64", "--hook", hook, "--hook-at-end", hook, *words)
    assert report["listed"] == 2
    assert told.read_text() == "image image end "
    index = json.loads((feed / "streams/v1/index.json").read_bytes())["index"]["auto.North"]
    for path in ("streams/v1/index.json", index["path"]):
        assert (site.home / "published" / path).read_bytes() == (feed / path).read_bytes()
    assert index["clouds"] == [{"region": "North", "endpoint": endpoint}]
    assert sorted(index["products"]) == [product_name("22.04"), product_name("24.04")]
    products = json.loads((feed / index["path"]).read_bytes())["products"]
    [item] = products[product_name("24.04")]["versions"]["20250101"]["items"].values()
    assert item["id"] == next(each["id"] for each in site.images() if each["os_version"] == "24.04")


def test_a_signed_feed_is_believed_by_its_keyring_alone(site: Site) -> None:
    from unit.streams.keys import open_key  # noqa: PLC0415  # OpenPGP is long to load

    key, other = open_key(), open_key()
    tree_directory = site.feed.write(site.home / "signed")
    ids = {"content_id": "com.example.cloud:released:ids", "format": "products:1.0", "products": {}}
    (tree_directory / "streams/v1/missing.json").write_text(json.dumps(ids))
    sign_feed(DirectoryTree(tree_directory), key.signer)
    for path in tree_directory.rglob("*"):
        if path.is_file():
            site.web.pages[f"/{path.relative_to(tree_directory)}"] = content(path.read_bytes())
    for name, each in (("right", key), ("wrong", other)):
        (site.home / f"{name}.gpg").write_bytes(bytes(each.certificate))
    assert site.fails("arch=amd64") == (2, "KeyringNeeded")
    assert site.fails("arch=amd64", "--keyring", str(site.home / "wrong.gpg"))[0] in (1, 2)
    assert site.images() == []
    assert site.run("arch=amd64", "--keyring", str(site.home / "right.gpg"))["counts"] == {"created": 2}


def test_openstacks_own_clients_see_the_images(site: Site, clients_python: Path) -> None:
    site.run("arch=amd64")
    script = """
import json, openstack
cloud = openstack.connect(auth_type="none", endpoint=%r, image_endpoint_override=%r)
print(json.dumps(sorted((each.name, each.status, each.properties.get("content_id")) for each in cloud.image.images())))
"""
    url = site.target.images_url
    done = subprocess.run(
        [clients_python, "-c", script % (url, url)], capture_output=True, text=True, timeout=120, check=True
    )
    assert json.loads(done.stdout) == [
        ["auto-sync/example-jammy-22.04-amd64-server-20250201-disk1.img", "active", "auto.sync"],
        ["auto-sync/example-noble-24.04-amd64-server-20250101-disk1.img", "active", "auto.sync"],
    ]


CONVERTS = """
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
[import_plugins]
use = ["image_conversion"]
[import_plugins.image_conversion]
output_format = "raw"
"""


@pytest.mark.parametrize("via", ["upload", "web-download"])
def test_the_service_converts_what_was_verified(fresh_headwater: FreshHeadwater, tmp_path: Path, via: str) -> None:
    qemu_img = program("qemu-img")
    site = Site(tmp_path, fresh_headwater(toml=CONVERTS))
    disk = tmp_path / "disk.qcow2"
    subprocess.run([qemu_img, "create", "-q", "-f", "qcow2", disk, "1M"], check=True, timeout=60)
    for version, serial in (("22.04", "20250201"), ("24.04", "20250101")):
        item, data = site.feed.item(version, serial), disk.read_bytes()
        item.update(size=len(data), **hashes_of(data))
        site.feed.files[item["path"]] = data
    site.publish()
    try:
        words = ["arch=amd64", "version=24.04", "--disk-format", "raw", "--via", via]
        assert site.run(*words)["counts"] == {"created": 1}
        [image] = site.images()
        assert (image["status"], image["visibility"], image["disk_format"]) == ("active", "public", "raw")
        assert image["size"] == 1 << 20
        assert site.run(*words)["counts"] == {"same": 1}
        site.feed.item("22.04", "20250201")["sha256"] = "0" * 64
        site.publish()
        words[1] = "version=22.04"
        assert site.run(*words, code=1)["counts"] == {"failed": 1}
        assert len(site.images()) == 1
    finally:
        site.images_api.close()
        site.web.close()


def test_a_service_that_cannot_convert_is_told_of(site: Site) -> None:
    report = site.run("arch=amd64", "version=24.04", "--disk-format", "raw", code=1)
    assert "convert" in report["images"][0]["error"]
    assert site.images() == []
