"""Glance itself on the other side: what our commands do with any Image service, they do with the one that most have."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, bare_environment, run_headwater
from functional.program import program as headwater_program
from functional.streams.copying.test_streams_sync import halting
from headwater.streams.trees.directory import DirectoryTree
from needs import program
from servers.http.web import WebServer, content
from unit.streams.mirroring.feeds import put
from unit.streams.syncing.cloud_feed import CloudFeed

DATA = random.Random(5).randbytes(3 << 20)


@pytest.fixture
def ours(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    service = fresh_headwater()
    (service.directory / "disk.raw").write_bytes(DATA)
    return service


@pytest.fixture
def theirs(glance_service: str) -> Iterator[str]:
    yield glance_service
    for image in images(glance_service):
        httpx.delete(f"{glance_service}/v2/images/{image['id']}").raise_for_status()


def images(url: str, *, hidden: bool = False) -> list[dict[str, Any]]:
    asked = {"os_hidden": "true" if hidden else "false"}
    found: list[dict[str, Any]] = httpx.get(f"{url}/v2/images", params=asked).raise_for_status().json()["images"]
    return found


def done(service: HeadwaterProcess, *words: str | Path) -> str:
    ended = service.command(*words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def replicated(service: HeadwaterProcess, source: str, target: str, *more: str) -> dict[str, str]:
    """Return what became of images, by their names."""
    report = json.loads(done(service, "replicate", "--from", source, "--to", target, *more, "--json"))
    assert {image["error"] for image in report["images"]} <= {None}
    return {image["name"]: f"{image['action']}: {image['outcome']}" for image in report["images"]}


def test_images_are_uploaded_changed_downloaded_and_deleted(ours: HeadwaterProcess, theirs: str) -> None:
    at = ("--url", theirs)
    done(ours, "image", "upload", "disk.raw", "--name", "small", "--property", "hw_disk_bus=virtio", *at)
    done(ours, "image", "set", "small", "--property", "os_distro=debian", "--tag", "tried", *at)
    shown = json.loads(done(ours, "image", "show", "small", "--json", *at))
    assert (shown["status"], shown["os_distro"], shown["hw_disk_bus"]) == ("active", "debian", "virtio")
    assert "small" in done(ours, "image", "list", *at)
    done(ours, "image", "download", "small", "back.raw", *at)
    assert (ours.directory / "back.raw").read_bytes() == DATA
    done(ours, "image", "delete", "small", *at)
    assert images(theirs) == []


def test_images_are_copied_both_ways_and_verified(ours: HeadwaterProcess, theirs: str) -> None:
    done(ours, "image", "upload", "disk.raw", "--name", "of-ours", "--url", ours.images_url)
    done(ours, "image", "upload", "disk.raw", "--name", "of-theirs", "--url", theirs)
    assert replicated(ours, ours.images_url, theirs)["of-ours"] == "copy: done"
    back = replicated(ours, theirs, ours.images_url)
    assert (back["of-theirs"], back["of-ours"]) == ("copy: done", "none: same")
    assert {each["name"]: each["os_hash_value"] for each in images(theirs)} == {
        each["name"]: each["os_hash_value"] for each in images(ours.images_url)
    }
    done(ours, "image", "set", "of-theirs", "--property", "os_distro=debian", "--url", theirs)
    assert replicated(ours, theirs, ours.images_url, "--update-metadata")["of-theirs"] == "update: done"
    done(ours, "image", "delete", "of-theirs", "--url", theirs)
    assert replicated(ours, theirs, ours.images_url, "--delete")["of-theirs"] == "delete: done"
    assert [each["name"] for each in images(ours.images_url)] == ["of-ours"]


def test_images_of_a_feed_come_and_older_ones_go(ours: HeadwaterProcess, theirs: str) -> None:
    feed, disk = DirectoryTree(ours.directory / "feed"), b""
    for day, size in (("20260101", "1M"), ("20260201", "2M")):
        file = ours.directory / f"{day}.qcow2"
        subprocess.run([program("qemu-img"), "create", "-q", "-f", "qcow2", file, size], check=True, timeout=60)
        disk = file.read_bytes()
        put(feed, {"example:one:amd64": {day: {"disk1.img": disk}}})
        done(ours, "streams", "sync", feed.root, "ftype=disk1.img", "--to", theirs)
    (image,) = images(theirs)
    assert (image["status"], image["visibility"]) == ("active", "public")
    assert httpx.get(f"{theirs}/v2/images/{image['id']}/file").content == disk


def test_a_sync_that_was_killed_is_gone_on_with_and_leaves_nothing_in_glance(theirs: str, tmp_path: Path) -> None:
    """Killed while the data of each of two images is on its way from the feed through to Glance."""
    before = [each["id"] for each in [*images(theirs), *images(theirs, hidden=True)]]  # of other tests
    feed = CloudFeed({"22.04": ["20250201"], "24.04": ["20250101"]})
    words = ["streams", "sync", "", "--json", "--to", theirs]
    with closing(WebServer()) as web:
        words[2] = web.url("/")
        web.pages |= {f"/{path}": content(body) for path, body in {**feed.documents, **feed.files}.items()}
        for version, serial in (("22.04", "20250201"), ("24.04", "20250101")):
            path = feed.item(version, serial)["path"]
            asked, going_on = threading.Event(), threading.Event()
            web.pages[f"/{path}"] = halting(feed.files[path], asked, going_on)
            process = subprocess.Popen([headwater_program(), *words], env=bare_environment(tmp_path), cwd=tmp_path)
            assert asked.wait(60)
            process.kill()
            process.wait()
            going_on.set()
            web.pages[f"/{path}"] = content(feed.files[path])
        ended = run_headwater(*words, directory=tmp_path, timeout_s=90)
    assert json.loads(ended.stdout)["counts"] == {"created": 1, "same": 1}, ended.stderr
    kinds = [
        (each["name"].split("-")[2], each["status"], each["visibility"], each["os_hidden"])
        for each in sorted([*images(theirs), *images(theirs, hidden=True)], key=lambda each: each["name"])
        if each["id"] not in before
    ]
    assert kinds == [("jammy", "active", "public", False), ("noble", "active", "public", False)]
