"""The services that functional tests talk to, and the clients' surroundings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx2 as httpx
import pytest

from functional import clients
from functional.clients import Client
from functional.headwater_process import HeadwaterProcess
from functional.inputs import DiskImage, disk_images


class FreshHeadwater(Protocol):
    """Start a service that no other test sees; it ends with the test. The arguments are those of the class."""

    def __call__(
        self,
        *,
        toml: str = "",
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        workers: int | None = 1,
        first_start: bool = False,
        start: bool = True,
    ) -> HeadwaterProcess: ...


@pytest.fixture(scope="session")
def headwater(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """One service for the tests that leave it as they found it, with two workers."""
    process = HeadwaterProcess(tmp_path_factory.mktemp("headwater"), workers=2, first_start=True)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def fresh_headwater(tmp_path: Path) -> Iterator[FreshHeadwater]:
    """Starts services of the test's own."""
    started: list[HeadwaterProcess] = []

    def make(
        *,
        toml: str = "",
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        workers: int | None = 1,
        first_start: bool = False,
        start: bool = True,
    ) -> HeadwaterProcess:
        directory = tmp_path / f"headwater-{len(started)}"
        directory.mkdir()
        process = HeadwaterProcess(
            directory, toml=toml, env=env, options=options, workers=workers, first_start=first_start
        )
        started.append(process)
        if start:
            process.start()
        return process

    try:
        yield make
    finally:
        for process in started:
            process.kill()


@pytest.fixture
def http(headwater: HeadwaterProcess) -> Iterator[httpx.Client]:
    """A plain HTTP client of the shared service's image listener."""
    with httpx.Client(base_url=headwater.images_url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, DiskImage]:
    """The same file system as real disk images, by disk_format: raw, qcow2, vmdk, vhdx."""
    return disk_images(tmp_path_factory.mktemp("disks"))


@pytest.fixture
def openstack(openstack_client: Path, headwater: HeadwaterProcess, tmp_path: Path) -> Client:
    """``openstack`` for the shared service."""
    return clients.openstack(openstack_client, tmp_path, headwater.images_url)


@pytest.fixture
def glance(glance_client: Path, headwater: HeadwaterProcess, tmp_path: Path) -> Client:
    """``glance`` for the shared service."""
    return clients.glance(glance_client, tmp_path, headwater.images_url)


class NewImage(Protocol):
    """Enter an image of a name that no other test has, and return its document."""

    def __call__(self, data: bytes | None = None, **attributes: object) -> dict[str, Any]: ...


@pytest.fixture
def new_image(http: httpx.Client) -> Iterator[NewImage]:
    """Enters images into the shared service, with data (taken for raw) when it is given, and removes them."""
    made: list[str] = []

    def make(data: bytes | None = None, **attributes: object) -> dict[str, Any]:
        document = {
            "name": f"image-{uuid.uuid4().hex[:8]}",
            "disk_format": "raw",
            "container_format": "bare",
            **attributes,
        }
        image = http.post("/v2/images", json=document).raise_for_status().json()
        made.append(image["id"])
        if data is not None:
            kind = {"Content-Type": "application/octet-stream"}
            http.put(f"/v2/images/{image['id']}/file", content=data, headers=kind).raise_for_status()
        shown: dict[str, Any] = http.get(f"/v2/images/{image['id']}").raise_for_status().json()
        return shown

    yield make
    for image_id in made:
        unprotect = [{"op": "replace", "path": "/protected", "value": False}]
        kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        http.patch(f"/v2/images/{image_id}", content=json.dumps(unprotect), headers=kind)
        http.delete(f"/v2/images/{image_id}")
