"""The limits of projects that a real Keystone keeps."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from functional.clients import Client
from functional.headwater_process import HeadwaterProcess, wait_until
from headwater.identity.keystone.unified_limits import LimitsUnknown, Questions
from headwater.identity.settings import KeystoneSettings, UnifiedLimitsSettings
from headwater.images.quotas.limits import MIB, RESOURCES
from servers.openstack.keystone import Keystone, User
from servers.relay import Relay


class Place:
    """Projects whose images are limited, the users that may read the limits, and a service that does."""

    def __init__(self, keystone: Keystone, way: Relay, directory: Path) -> None:
        self.keystone, self.way, self.directory = keystone, way, directory
        self.project, self.other = keystone.project(), keystone.project()
        self.member = keystone.user(self.project, "member")
        self.services = f"services-{uuid.uuid4().hex[:8]}"
        services = keystone.project(self.services)
        self.reader = keystone.user(services, "service")
        keystone.grant(self.reader, "system", "reader")
        self.admin_of_a_project = keystone.user(services, "admin")
        self.headwater = self.start("headwater", self.reader)
        self.service = keystone.image_endpoint(self.headwater.images_url)
        for number, name in enumerate(RESOURCES):
            keystone.register_limit(self.service, name, 10 + number)
        self.count = keystone.limit(self.service, "image_count_total", self.project, 2)

    def start(self, name: str, user: User) -> HeadwaterProcess:
        """Start a service that reads the limits as ``user``."""
        settings = f"""
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "http://127.0.0.1:{self.way.port}/v3"
username = "{user.name}"
password = "{user.password}"
project_name = "{self.services}"
[quotas]
use_keystone_limits = true
[quotas.keystone]
cache_s = 0
"""
        (self.directory / name).mkdir()
        process = HeadwaterProcess(self.directory / name, toml=settings)
        process.start()
        return process

    def http(self, user: User, project: str, process: HeadwaterProcess | None = None) -> httpx.Client:
        """Return what sends requests of a user for a project."""
        headers = {"X-Auth-Token": self.keystone.token(user, project), "Accept": "application/json"}
        url = f"{(process or self.headwater).images_url}/v2"
        return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
def place(keystone: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    keystone.forget_limits()
    way = Relay(urlsplit(keystone.url).port or 0)
    found = Place(keystone, way, tmp_path_factory.mktemp("limits"))
    yield found
    found.headwater.stop()
    way.close()
    keystone.forget_limits()


def questions(keystone: Keystone, user: User, **service: Any) -> Questions:
    settings = KeystoneSettings.model_validate(
        {"auth_url": keystone.url, "username": user.name, "password": user.password, "timeout_s": 20}
    )
    return Questions(settings, UnifiedLimitsSettings.model_validate(service), RESOURCES)


def test_every_limit_of_the_service_is_read(keystone: Keystone, place: Place) -> None:
    found = questions(keystone, place.reader)()
    assert found.registered == dict(zip(RESOURCES, range(10, 14), strict=True))
    assert found.of_projects == {place.project: {"image_count_total": 2}}


def test_the_service_may_be_named_by_its_endpoint(keystone: Keystone, place: Place) -> None:
    ask = questions(keystone, place.reader, endpoint_id=keystone.endpoint_id(place.service), service_type="no-such")
    assert ask().of(place.project, "image_count_total") == 2


def test_the_limits_of_another_region_do_not_count(keystone: Keystone, place: Place) -> None:
    found = questions(keystone, place.reader, region="Elsewhere")()
    assert (found.registered, found.of_projects) == ({}, {})


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        ({"service_type": "no-such"}, "0 services of type 'no-such', not one"),
        ({"service_name": "no-such"}, "0 services of type 'image' and name 'no-such'"),
        ({"endpoint_id": "no-such"}, "no endpoint no-such"),
    ],
)
def test_what_the_catalogue_does_not_have_is_said(
    keystone: Keystone, place: Place, service: dict[str, str], reason: str
) -> None:
    with pytest.raises(LimitsUnknown, match=reason):
        questions(keystone, place.reader, **service)()


def test_a_user_that_sees_the_limits_of_its_own_project_only_is_not_believed(keystone: Keystone, place: Place) -> None:
    with pytest.raises(LimitsUnknown, match="needs the role reader on the system"):
        questions(keystone, place.admin_of_a_project)()


def test_a_limit_that_is_not_registered_is_logged(
    keystone: Keystone, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        questions(keystone, place.reader, region="Elsewhere")()
    [record] = [each for each in caplog.records if each.name == "headwater.identity.keystone.unified_limits"]
    assert getattr(record, "limits") == list(RESOURCES)  # noqa: B009 - what the record has besides its message


def test_a_limit_that_is_changed_counts_at_once(place: Place) -> None:
    with place.http(place.member, place.project) as http:

        def create() -> int:
            return http.post("/images", json={}).status_code

        assert [create() for _ in range(3)] == [201, 201, 413]
        place.keystone.change_limit(place.count, 3)
        assert [create() for _ in range(2)] == [201, 413]
        assert http.get("/info/usage").json()["usage"] == {
            "image_size_total": {"usage": 0, "limit": 10},
            "image_stage_total": {"usage": 0, "limit": 11},
            "image_count_total": {"usage": 3, "limit": 3},
            "image_count_uploading": {"usage": 0, "limit": 13},
        }
    with place.http(place.keystone.user(place.other, "member"), place.other) as http:
        assert http.get("/info/usage").json()["usage"]["image_count_total"] == {"usage": 0, "limit": 12}
        assert http.post("/images", json={}).status_code == 201


def test_while_keystone_is_away_the_last_known_limits_hold(place: Place) -> None:
    project = place.keystone.project()
    with place.http(place.keystone.user(project, "member"), project) as http:
        created = [http.post("/images", json={}) for _ in range(11)]
        with place.way.cut():
            assert [http.post("/images", json={}).status_code for _ in range(2)] == [201, 413]
            http.delete(f"/images/{created[0].json()['id']}").raise_for_status()
            assert http.post("/images", json={}).status_code == 201
    [warning] = [line for line in place.headwater.logs() if "limits of projects cannot be read" in str(line)][:1]
    assert warning["last known"] is True


def test_who_does_not_know_the_limits_takes_nothing_and_shows_everything(place: Place) -> None:
    ignorant = place.start("ignorant", place.admin_of_a_project)
    try:
        with place.http(place.member, place.project, ignorant) as http:
            refused = http.post("/images", json={})
            assert refused.status_code == 503
            assert "reader on the system" in refused.json()["message"]
            assert http.get("/info/usage").status_code == 503
            assert http.get("/images").status_code == 200
    finally:
        ignorant.stop()


def test_an_application_credential_reads_the_limits_of_all_projects(place: Place) -> None:
    services = place.keystone.find("projects", place.services)
    credential, secret = place.keystone.application_credential(place.reader, services)
    given = {"application_credential_id": credential, "application_credential_secret": secret}
    keystone = KeystoneSettings.model_validate({"auth_url": place.keystone.url, **given})
    found = Questions(keystone, UnifiedLimitsSettings(), RESOURCES)()
    by_password = questions(place.keystone, place.reader)()
    assert found == by_password
    assert place.project in found.of_projects


def test_the_region_of_the_service_is_that_of_its_limits(place: Place) -> None:
    user = place.reader
    proof = {"auth_url": place.keystone.url, "username": user.name, "password": user.password}

    def limits(service: dict[str, str], **where: str) -> int:
        keystone = KeystoneSettings.model_validate({**proof, **where})
        asked = Questions(keystone, UnifiedLimitsSettings.model_validate(service), RESOURCES)()
        return asked.of(place.project, "image_count_total")

    known = questions(place.keystone, user)().of(place.project, "image_count_total")
    assert known > 0
    assert limits({}, region=place.keystone.region) == known
    assert limits({}, region="elsewhere") == 0  # nothing is registered there
    assert limits({"region": place.keystone.region}, region="elsewhere") == known


def test_the_openstack_client_is_told(place: Place, openstack_client: Path, tmp_path: Path) -> None:
    project = place.keystone.project()
    place.keystone.limit(place.service, "image_size_total", project, 1)
    user = place.keystone.user(project, "member")
    with place.http(user, project) as http:  # after a failure Keystone is left in peace for a moment
        wait_until(
            lambda: http.get("/info/usage").json()["usage"]["image_size_total"]["limit"] == 1, "the limit to be known"
        )
    env = {
        "OS_AUTH_URL": place.keystone.url,
        "OS_REGION_NAME": place.keystone.region,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": user.name,
        "OS_PASSWORD": user.password,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_ID": project,
    }
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(MIB + 1))
    client = Client(openstack_client, tmp_path, env=env)
    options = ("--disk-format", "raw", "--container-format", "bare", "--file", disk)
    refused = client.attempt("image", "create", *options, "large")
    assert refused.returncode == 1
    assert "413" in refused.stderr
