"""The limits of projects that a real Keystone keeps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from headwater.identity.settings import KeystoneSettings, UnifiedLimitsSettings
from headwater.identity.unified_limits import LimitsUnknown, Questions
from headwater.images.limits import RESOURCES
from servers.keystone import Keystone, User


class Place:
    """A project whose images are limited, and the users that read its limits."""

    def __init__(self, keystone: Keystone) -> None:
        self.service = keystone.image_endpoint("http://127.0.0.1:9292")
        self.project, self.other = keystone.project(), keystone.project()
        services = keystone.project()
        self.services = services
        self.reader = keystone.user(services, "service")
        keystone.grant(self.reader, "system", "reader")
        self.admin_of_a_project = keystone.user(services, "admin")
        for number, name in enumerate(RESOURCES):
            keystone.register_limit(self.service, name, 10 + number)
        keystone.limit(self.service, "image_count_total", self.project, 2)


@pytest.fixture(scope="module")
def place(keystone: Keystone) -> Iterator[Place]:
    keystone.forget_limits()
    yield Place(keystone)
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
    [record] = [each for each in caplog.records if each.name == "headwater.identity.unified_limits"]
    assert getattr(record, "limits") == list(RESOURCES)  # noqa: B009 - what the record has besides its message
