"""The cache of a machine, managed by the clients that people have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional import clients
from functional.clients import Client
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import an_image, upload

DATA = bytes(range(256)) * 999


@pytest.fixture
def service(fresh_headwater: FreshHeadwater, tmp_path: Path) -> HeadwaterProcess:
    return fresh_headwater(
        toml=f"""
            [cache]
            directory = "{tmp_path / "cache"}"
            prefetch_every_s = 1
        """
    )


@pytest.fixture
def http(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.images_url, timeout=60) as client:
        yield client


@pytest.fixture
def glance(glance_client: Path, service: HeadwaterProcess, tmp_path: Path) -> Client:
    return clients.glance(glance_client, tmp_path, service.images_url)


@pytest.fixture
def image_id(http: httpx.Client) -> str:
    made = an_image(http, name="queued")
    upload(http, made, DATA).raise_for_status()
    return made


def cached(http: httpx.Client) -> list[str]:
    return [each["image_id"] for each in http.get("/v2/cache").raise_for_status().json()["cached_images"]]


def test_glance_queues_lists_deletes_and_clears(glance: Client, http: httpx.Client, image_id: str) -> None:
    glance("cache-queue", image_id)
    wait_until(lambda: cached(http) == [image_id], "the image to be in the cache")
    listed = str(glance("cache-list"))
    assert image_id in listed
    assert str(len(DATA)) in listed
    glance("cache-delete", image_id)
    assert cached(http) == []
    glance("cache-queue", image_id)
    wait_until(lambda: cached(http) == [image_id], "the image to be in the cache")
    glance("cache-prune")
    glance("cache-clean")
    glance("cache-clear", "--target", "cache")
    assert cached(http) == []


def test_openstack_queues_and_lists_though_it_warns_that_the_api_has_no_microversions(
    openstack_client: Path, service: HeadwaterProcess, http: httpx.Client, image_id: str, tmp_path: Path
) -> None:
    """Its SDK asks ``/v2/`` for microversions before it asks for the cache, and warns of the 404, as Glance's is."""
    openstack = clients.openstack(openstack_client, tmp_path, service.images_url)
    openstack("cached", "image", "queue", image_id)
    wait_until(lambda: cached(http) == [image_id], "the image to be in the cache")
    done = openstack.attempt("cached", "image", "list", "-f", "json")
    assert (done.returncode, done.stderr) == (0, "Cannot determine endpoint data for service image\n")
    assert [(each["ID"], each["State"]) for each in json.loads(done.stdout)] == [(image_id, "cached")]


def test_the_command_line_queues_lists_deletes_clears_and_prunes(
    service: HeadwaterProcess, http: httpx.Client, image_id: str
) -> None:
    def run(*words: str) -> str:
        done = service.command("cache", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("queue", "queued") == "queued queued\n"
    wait_until(lambda: cached(http) == [image_id], "the running service to fetch it")
    http.get(f"/v2/images/{image_id}/file").raise_for_status()
    assert image_id in run("list")
    (entry,) = json.loads(run("list", "--json"))["cached"]
    assert (entry["image_id"], entry["size"], entry["hits"]) == (image_id, len(DATA), 1)
    assert json.loads(run("prune", "--json")) == {"files": 0, "bytes": 0}
    run("delete", image_id.upper())
    assert cached(http) == []
    assert service.command("cache", "delete", image_id).returncode != 0
    run("queue", image_id)
    wait_until(lambda: cached(http) == [image_id], "the running service to fetch it again")
    assert run("clear") == f"removed 1 images, {len(DATA)} bytes\n"
    assert service.command("cache", "queue", "no-such-image").returncode != 0


def test_without_a_directory_the_command_line_says_what_is_missing(fresh_headwater: FreshHeadwater) -> None:
    done = fresh_headwater().command("cache", "list")
    assert done.returncode == 2
    assert "section [cache]" in done.stderr
