from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.client.clouds import BadClouds, CloudUnknown, environment_of
from headwater.client.replication.choice import BadTime, Choice, time_from
from headwater.client.replication.metadata import changes, creation, mark_of, named, same_data
from headwater.client.replication.plan import Outcome, compared, is_uuid
from headwater.client.replication.sides import SecretOnCommandLine, SideUnknown, side

IMAGE: dict[str, Any] = {
    "id": "2f0b9a3e-0d67-4a1e-8e8b-b2b1c1b2d3e4",
    "name": "one",
    "status": "active",
    "disk_format": "raw",
    "container_format": "bare",
    "visibility": "public",
    "protected": True,
    "os_hidden": False,
    "size": 3,
    "checksum": "m",
    "os_hash_algo": "sha512",
    "os_hash_value": "s",
    "owner": "project",
    "tags": ["b", "a"],
    "os_distro": "debian",
    "kernel_id": None,
    "os_glance_failed_import": "",
    "stores": "one,two",
    "updated_at": "2026-05-31T12:00:00Z",
}


def test_a_copy_is_created_without_what_shows_or_protects_it() -> None:
    made = creation(IMAGE, "mark", keep_owner=False, smallest=False)
    assert made == {
        "id": IMAGE["id"],
        "name": "one",
        "disk_format": "raw",
        "container_format": "bare",
        "os_distro": "debian",
        "replicated_from": "mark",
        "tags": ["a", "b"],
    }
    assert creation(IMAGE, "mark", keep_owner=True, smallest=True)["owner"] == "project"


def test_the_mark_of_a_source_does_not_tell_its_address() -> None:
    assert mark_of("http://a.internal") != mark_of("http://b.internal")
    assert "internal" not in mark_of("http://a.internal")


def test_only_what_differs_is_changed_and_what_shows_an_image_is_changed_last() -> None:
    copy = {**IMAGE, "owner": "other", "tags": ["a", "b"], "replicated_from": "mark", "stores": "x"}
    assert changes(IMAGE, copy) == []
    other = {
        **copy,
        "name": "two",
        "visibility": "private",
        "protected": False,
        "tags": [],
        "os_distro": "x",
        "a/b": "y",
    }
    assert named(changes(IMAGE, other)) == ["name", "tags", "os_distro", "a/b", "protected", "visibility"]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, (True, "sha512")),
        ({"os_hash_value": "t"}, (False, "sha512")),
        ({"os_hash_algo": "sha256", "os_hash_value": "t"}, (True, "md5")),
        ({"os_hash_algo": "sha256", "os_hash_value": "t", "checksum": "n"}, (False, "md5")),
        ({"os_hash_value": None, "checksum": None}, (True, None)),
        ({"os_hash_value": None, "checksum": None, "size": 4}, (False, None)),
    ],
)
def test_data_are_compared_by_a_digest_that_both_sides_tell(
    other: dict[str, Any], expected: tuple[bool, str | None]
) -> None:
    assert same_data(IMAGE, {**IMAGE, **other}) == expected


def test_what_the_target_has_otherwise_is_left_alone() -> None:
    assert compared(IMAGE, IMAGE, updates=False).outcome == Outcome.SAME
    assert compared(IMAGE, {**IMAGE, "name": "x"}, updates=False).outcome == Outcome.REPORTED
    assert compared(IMAGE, {**IMAGE, "name": "x"}, updates=True).outcome == Outcome.PLANNED
    for other in ({"status": "queued"}, {"status": "saving"}, {"os_hash_value": "t"}):
        assert compared(IMAGE, {**IMAGE, **other}, updates=True).outcome == Outcome.FAILED


@pytest.mark.parametrize("bad", ["", "x", "../images", IMAGE["id"] + "/file", None, 3, "{" + IMAGE["id"] + "}"])
def test_what_is_no_id_stands_in_no_path(bad: object) -> None:
    assert is_uuid(IMAGE["id"])
    assert not is_uuid(bad)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"names": ["o*"]}, True),
        ({"names": ["x", "O*"]}, False),
        ({"tags": ["a", "b"]}, True),
        ({"tags": ["a", "c"]}, False),
        ({"properties": {"os_distro": "debian"}}, True),
        ({"properties": {"os_distro": "x"}}, False),
        ({"properties": {"none": ""}}, False),
        ({"visibility": "all"}, True),
        ({"visibility": "private"}, False),
        ({"owner": "other"}, False),
        ({"since": time_from("2026-05-31")}, True),
        ({"since": time_from("2026-05-31T12:00:01Z")}, False),
        ({"since": time_from("2026-05-31T14:00:00+02:00")}, True),
    ],
)
def test_an_image_is_meant_when_all_that_is_said_is_true_of_it(said: dict[str, Any], expected: bool) -> None:
    assert Choice(**said).matches(IMAGE) is expected


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(BadTime):
        time_from("yesterday")


CLOUDS = """
clouds:
  one:
    auth: {auth_url: http://k/v3, username: u, project_name: p, user_domain_name: Default}
    region_name: R
    interface: internal
  profiled: {profile: vendor}
  careless: {verify: false}
"""


def test_a_cloud_is_read_with_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    (tmp_path / "secure.yaml").write_text("clouds: {one: {auth: {password: very-secret}}}")
    assert environment_of("one", {"HOME": "/nowhere"}, tmp_path) == {
        "OS_AUTH_URL": "http://k/v3",
        "OS_USERNAME": "u",
        "OS_PASSWORD": "very-secret",
        "OS_PROJECT_NAME": "p",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "R",
        "OS_INTERFACE": "internal",
    }
    for name, error in (("two", CloudUnknown), ("profiled", BadClouds), ("careless", BadClouds)):
        with pytest.raises(error, match=name):
            environment_of(name, {"HOME": "/nowhere"}, tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "clouds: 3", "clouds: {one: {auth: {password: 'very-secret}}}"])
def test_a_file_that_cannot_be_read_is_named_without_what_it_holds(tmp_path: Path, text: str) -> None:
    (tmp_path / "clouds.yaml").write_text(text)
    with pytest.raises(BadClouds) as raised:
        environment_of("one", {"HOME": "/nowhere"}, tmp_path)
    assert "clouds.yaml" in str(raised.value)
    assert "very-secret" not in str(raised.value)


def test_the_credentials_of_one_side_do_not_go_to_the_other() -> None:
    environment = {
        "OS_AUTH_TYPE": "http_basic",
        "OS_USERNAME": "x",
        "OS_PASSWORD": "x",
        "FROM_OS_AUTH_TYPE": "admin_token",
        "FROM_OS_TOKEN": "very-secret",
    }
    one, other = side("from", "http://a", None, environment), side("to", "http://b/v2/", None, environment)
    try:
        assert one._proof.headers() == {"X-Auth-Token": "very-secret"}
        assert (other.url, other._proof.headers()) == ("http://b", {})
    finally:
        one.close()
        other.close()


def test_a_service_has_to_be_named_and_its_password_not_in_its_url() -> None:
    with pytest.raises(SideUnknown, match="TO_OS_AUTH_URL"):
        side("to", None, None, {"FROM_OS_AUTH_URL": "x"})
    with pytest.raises(SecretOnCommandLine) as raised:
        side("from", "http://u:very-secret@x", None, {})
    assert "very-secret" not in str(raised.value)
