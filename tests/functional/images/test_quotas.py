"""What projects may use, over HTTP: who asks for more gets 413, and nothing is left of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bcrypt
import httpx2 as httpx
import pytest

from functional.clients import Client
from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import OCTETS
from functional.raw_http import HalfRequest

MIB = 1 << 20
DATA = {"disk_format": "raw", "container_format": "bare"}
QUOTAS = """
[quotas]
image_count_total = 3
image_size_total = 4
[quotas.projects.uploaders]
image_count_uploading = 1
[quotas.projects.crowd]
image_count_total = 7
"""


def proof(name: str) -> dict[str, str]:
    """Return what proves to be ``name``."""
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:secret'.encode()).decode()}"}


class Project:
    """The requests of one project's member."""

    def __init__(self, process: HeadwaterProcess, name: str) -> None:
        self.name, self.process = name, process
        self.http = httpx.Client(
            base_url=f"{process.images_url}/v2",
            auth=(name, "secret"),
            headers={"Accept": "application/json"},
            timeout=60,
            trust_env=False,
        )

    def create(self) -> httpx.Response:
        return self.http.post("/images", json=DATA)

    def image(self) -> str:
        """Make an image, and return its path."""
        return f"/images/{self.create().raise_for_status().json()['id']}"

    def upload(self, image: str, data: Any) -> int:
        return self.http.put(f"{image}/file", content=data, headers=OCTETS).status_code

    def used(self) -> dict[str, int]:
        usage = self.http.get("/info/usage").raise_for_status().json()["usage"]
        return {name: each["usage"] for name, each in usage.items()}


class Place:
    """A service where users are projects, and the directory of its bytes."""

    def __init__(self, directory: Path) -> None:
        names = ("first", "second", "uploaders", "crowd", "cli")
        hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
        users = directory / "users"
        users.write_text("".join(f"{name}:{hashed}\n" for name in names))
        toml = f'[auth]\nmode = "basic"\nhtpasswd_file = "{users}"\n{QUOTAS}'
        self.process = HeadwaterProcess(directory, toml=toml, workers=2)
        self.process.start()
        self.projects = {name: Project(self.process, name) for name in names}

    def __getitem__(self, name: str) -> Project:
        return self.projects[name]

    def objects(self) -> set[Path]:
        """Return the files that hold image bytes."""
        return {
            path for path in (self.process.directory / "data").rglob("*") if path.is_file() and "db" not in path.name
        }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = Place(tmp_path_factory.mktemp("quotas"))
    yield found
    for project in found.projects.values():
        project.http.close()
    found.process.stop()


def test_a_project_creates_as_many_images_as_it_may(place: Place) -> None:
    project = place["first"]
    images = [project.image() for _ in range(3)]
    refused = project.create()
    assert refused.status_code == 413
    assert "Project first would exceed its limit image_count_total of 3 images" in refused.json()["message"]
    project.http.delete(images[0]).raise_for_status()
    images[0] = project.image()
    usage = project.http.get("/info/usage").json()
    assert usage == {
        "usage": {
            "image_size_total": {"usage": 0, "limit": 4},
            "image_stage_total": {"usage": 0, "limit": -1},
            "image_count_total": {"usage": 3, "limit": 3},
            "image_count_uploading": {"usage": 0, "limit": -1},
        }
    }
    for image in images:
        project.http.delete(image).raise_for_status()


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_beyond_the_limit_is_refused_and_leaves_nothing(place: Place, announced: bool) -> None:
    project = place["second"]
    before = place.objects()
    first, second = project.image(), project.image()

    def data(size: int) -> bytes | Iterator[bytes]:
        return bytes(size) if announced else iter([bytes(MIB)] * (size // MIB) + [bytes(size % MIB)])

    assert project.upload(first, data(3 * MIB)) == 204
    kept = place.objects()
    assert project.upload(second, data(MIB + 1)) == 413
    assert project.http.get(second).json()["status"] == "queued"
    assert place.objects() == kept
    assert project.upload(second, data(MIB)) == 204
    assert project.used()["image_size_total"] == 4
    for image in (first, second):
        project.http.delete(image).raise_for_status()
    assert place.objects() == before


def test_an_upload_without_end_is_stopped_on_its_way(place: Place) -> None:
    project = place["second"]
    image = project.image()
    with HalfRequest(
        place.process.images_url,
        "PUT",
        f"/v2{image}/file",
        length=None,
        headers=proof("second"),
    ) as request:
        for _ in range(30):  # more than is on its way inside the service at once
            request.send(bytes(MIB))
        wait_until(lambda: project.http.get(image).json()["status"] == "queued", "the upload to be stopped")
        request.end()
        assert request.status() == 413
    project.http.delete(image).raise_for_status()


def test_deleting_the_image_does_not_free_what_still_comes(place: Place) -> None:
    """Source: OSSA-2015-003."""
    project = place["uploaders"]
    image, other = project.image(), project.image()
    with HalfRequest(
        place.process.images_url,
        "PUT",
        f"/v2{image}/file",
        length=4 * MIB,
        headers=proof("uploaders"),
    ) as request:
        request.send(bytes(MIB))
        wait_until(lambda: project.http.get(image).json()["status"] == "saving", "the upload to begin")
        assert project.http.delete(image).status_code == 204
        assert project.used()["image_size_total"] == 4
        assert project.upload(other, b"x") == 413
    wait_until(lambda: project.used()["image_size_total"] == 0, "the connection's end to free the place")
    assert project.upload(other, b"x") == 204
    project.http.delete(other).raise_for_status()


def test_of_many_who_create_at_once_in_two_workers_as_many_succeed_as_there_are_places(place: Place) -> None:
    project = place["crowd"]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: create_anew(project), range(24)))
    assert sorted(answers) == [*[201] * 7, *[413] * 17]


def create_anew(project: Project) -> int:
    """Create an image with a connection of its own, which any worker may take."""
    url = f"{project.process.images_url}/v2/images"
    return httpx.post(url, json=DATA, auth=(project.name, "secret"), timeout=60, trust_env=False).status_code


def test_the_openstack_client_is_told(place: Place, openstack_client: Path, tmp_path: Path) -> None:
    words = ("--os-auth-type", "http_basic", "--os-endpoint", f"{place.process.images_url}/v2")
    client = Client(openstack_client, tmp_path, (*words, "--os-username", "cli", "--os-password", "secret"))
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4 * MIB + 1))
    options = ("--disk-format", "raw", "--container-format", "bare")
    too_large = client.attempt("image", "create", *options, "--file", disk, "large")
    assert too_large.returncode == 1
    assert "413" in too_large.stderr
    while place["cli"].create().status_code == 201:
        pass
    one_more = client.attempt("image", "create", *options, "d")
    assert one_more.returncode == 1
    assert "413" in one_more.stderr
    assert "image_count_total of 3 images" in one_more.stderr


def test_without_limits_the_usage_is_empty(fresh_headwater: FreshHeadwater) -> None:
    process = fresh_headwater()
    answer = httpx.get(f"{process.images_url}/v2/info/usage", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"usage": {}})
