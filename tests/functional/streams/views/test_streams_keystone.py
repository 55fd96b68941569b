"""A project's own view with a real Keystone, for clients that send a header, and for those that know passwords only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from needs import program
from servers.openstack.keystone import Keystone, User

INDEX = "/streams/project/streams/v1/index.json"


class Place:
    """A project with a member in it, and one of its images."""

    def __init__(self, keystone: Keystone) -> None:
        self.project = keystone.project()
        self.member = keystone.user(self.project, "member")
        self.service = keystone.user(keystone.project("service"), "service", "admin")


def settings(keystone: Keystone, service: User) -> str:
    proof = f'auth_url = "{keystone.url}"\nusername = "{service.name}"\npassword = "{service.password}"\n'
    return f'[streams]\nimage_files = true\n[auth]\nmode = "keystone"\n[auth.keystone]\n{proof}'


@pytest.fixture(scope="module")
def place(keystone: Keystone) -> Place:
    return Place(keystone)


@pytest.fixture(scope="module")
def headwater(keystone: Keystone, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("views"), toml=settings(keystone, place.service))
    process.start()
    yield process
    process.stop()


def test_tokens_and_application_credentials_read_what_their_project_sees(
    keystone: Keystone, place: Place, headwater: HeadwaterProcess
) -> None:
    token = keystone.token(place.member, place.project)
    credential = keystone.application_credential(place.member, place.project)
    with httpx.Client(base_url=headwater.images_url, headers={"X-Auth-Token": token}) as http:
        document = {"name": "mine", "disk_format": "raw", "container_format": "bare", "visibility": "private"}
        image = http.post("/v2/images", json=document).raise_for_status().json()
        kind = {"Content-Type": "application/octet-stream"}
        http.put(f"/v2/images/{image['id']}/file", content=b"of a project", headers=kind).raise_for_status()
    url = headwater.images_url
    for proof in (
        ["-H", f"X-Auth-Token: {token}"],
        ["-H", f"Authorization: Bearer {token}"],
        ["-u", f"token:{token}"],
        ["-u", ":".join(credential)],
        ["--anyauth", "-u", ":".join(credential)],
    ):
        curl = [str(program("curl")), "-sf", *proof]
        got = subprocess.run([*curl, f"{url}{INDEX}"], capture_output=True, timeout=60, check=True)
        assert json.loads(got.stdout)["format"] == "index:1.0"
        sums = subprocess.run([*curl, f"{url}/streams/project/SHA512SUMS"], capture_output=True, timeout=60, check=True)
        assert f".{image['id'][:8]}.raw" in sums.stdout.decode()
    with httpx.Client(base_url=url) as http:
        for wrong in (
            ("token", "x"),
            (credential[0], "wrong"),
            ("nobody", "x"),
            (place.member.name, place.member.password),
        ):
            refused = http.get(INDEX, auth=wrong)
            assert refused.status_code == 401
            assert 'Basic realm="headwater"' in refused.headers["WWW-Authenticate"]
        # The Image API goes on to take tokens in their header only.
        assert http.get("/v2/images", auth=credential).status_code == 401
    said = "".join(file.read_text() for file in (headwater.directory / "stdout", headwater.directory / "stderr"))
    assert credential[1] not in said
    assert token not in said
