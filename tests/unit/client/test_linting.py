from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from headwater.client.linting.lint import Level, Profile, day_of, lint
from headwater.client.linting.scs_0102 import FREQUENCIES, PURPOSES, V1, V2
from headwater.images.metadefs.loading import SCS, read_directory

TODAY = date(2026, 7, 20)
GIB = 1 << 30
RIGHT: dict[str, Any] = {
    "id": "1",
    "name": "Ubuntu 24.04",
    "min_disk": 3,
    "min_ram": 512,
    "size": 2 * GIB + 1,
    "virtual_size": 3 * GIB,
    "created_at": "2026-07-06T10:00:00Z",
    "tags": ["os:ubuntu", "managed_by_us"],
    "os_hash_algo": "sha512",
    "architecture": "x86_64",
    "os_distro": "ubuntu",
    "os_version": "24.04",
    "os_purpose": "generic",
    "hw_disk_bus": "scsi",
    "hw_scsi_model": "virtio-scsi",
    "hw_rng_model": "virtio",
    "hypervisor_type": "qemu",
    "replace_frequency": "monthly",
    "provided_until": "2029-04-30",
    "uuid_validity": "last-3",
    "hotfix_hours": "0",
    "image_source": "https://cloud-images.ubuntu.com/noble/",
    "image_description": "Ubuntu 24.04 LTS",
    "image_build_date": "2026-07-05",
    "image_original_user": "ubuntu",
}


def found(profile: Profile = V1, /, **changed: Any) -> set[tuple[str, str, Level]]:
    """Return what is found of a right image of which some is changed; ``None`` takes it away."""
    image = {name: value for name, value in {**RIGHT, **changed}.items() if value is not None}
    return {(each.property, each.problem, each.level) for each in lint([image], profile, TODAY)}


@pytest.mark.parametrize("profile", [V1, V2])
def test_an_image_that_says_all_is_right(profile: Profile) -> None:
    assert found(profile) == set()


@pytest.mark.parametrize(
    "name",
    [
        "architecture",
        "os_distro",
        "os_version",
        "hw_disk_bus",
        "min_disk",
        "min_ram",
        "replace_frequency",
        "provided_until",
        "uuid_validity",
        "image_source",
        "image_description",
        "image_build_date",
        "image_original_user",
    ],
)
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_mandatory_is_missed(name: str, value: str | None) -> None:
    assert found(**{name: value}) == {(name, "is missing", Level.ERROR)}


@pytest.mark.parametrize("name", ["hypervisor_type", "hw_rng_model", "hw_scsi_model", "os_hash_algo", "os_purpose"])
def test_what_is_recommended_is_advised(name: str) -> None:
    assert found(**{name: None}) == {(name, "is missing", Level.ADVICE)}


def test_the_purpose_is_mandatory_in_the_second_version() -> None:
    assert found(V2, os_purpose=None) == {("os_purpose", "is missing", Level.ERROR)}


@pytest.mark.parametrize("name", ["hotfix_hours", "maintained_until", "l1_support_contact", "license_included"])
def test_what_is_optional_may_be_absent(name: str) -> None:
    assert found(**{name: None}) == set()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("architecture", ["amd64", "X86_64"]),
        ("os_distro", ["Ubuntu", "ubuntu linux"]),
        ("os_version", [" "]),
        ("os_purpose", ["k8s", "Generic"]),
        ("hw_disk_bus", ["SCSI", "virtio-scsi"]),
        ("hw_rng_model", ["yes"]),
        ("hypervisor_type", ["QEMU"]),
        ("replace_frequency", ["monthy", "Monthly"]),
        ("provided_until", ["forever", "2029", "2029-13-01", "last-3", "2029-4-1", "None"]),
        ("uuid_validity", ["last", "last-", "last-n", "2026-02-30", "2026-07-05 12:00"]),
        ("image_source", ["ubuntu.com", "file:///x", "https://", "Private"]),
        ("image_build_date", ["yesterday", "20260705", "2026-07-05 25:00", "05.07.2026"]),
        ("hotfix_hours", ["-1", "1.5", "soon"]),
        ("maintained_until", ["none", "2029"]),
        ("l1_support_contact", ["help@example.org", "us"]),
        ("license_included", ["yes", "1"]),
        ("os_hash_algo", ["md5"]),
    ],
)
def test_a_value_that_cannot_be_is_an_error(name: str, values: list[str]) -> None:
    for value in values:
        problems = {each for each in found(**{name: value}) if each[0] == name}
        assert problems == {(name, f"is {value!r}", Level.ERROR)}, value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("provided_until", ["none", "notice", "2029-04-30"]),
        ("uuid_validity", ["none", "notice", "forever", "last-1", "2029-04-30"]),
        ("image_source", ["private", "http://x/y", "ftp://x/y"]),
        ("image_build_date", ["2026-07-05 12:30", "2026-07-05 12:30:59", "2026-07-05T12:30:59Z"]),
        ("image_original_user", ["none"]),
        ("hw_disk_bus", ["virtio", "sata"]),
        ("license_included", ["true", "True", "false"]),
        ("l1_support_contact", ["mailto:help@example.org", "https://help.example"]),
    ],
)
def test_every_value_of_the_standard_is_right(name: str, values: list[str]) -> None:
    for value in values:
        assert found(**{name: value}) == set(), value


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"min_disk": 2}, ("min_disk", "is 2", Level.ERROR)),
        ({"min_disk": 1, "virtual_size": None, "size": GIB + 1}, ("min_disk", "is 1", Level.ERROR)),
        ({"min_ram": 32}, ("min_ram", "is 32", Level.ADVICE)),
        ({"image_build_date": "2026-07-07"}, ("image_build_date", "is 2026-07-07", Level.ERROR)),
        ({"image_build_date": "2027-01-01"}, ("image_build_date", "is 2027-01-01", Level.ERROR)),
        (
            {"license_included": "true", "license_required": "True"},
            ("license_required", "is true, as license_included is", Level.ERROR),
        ),
        ({"tags": ["managed_by_us"]}, ("tags", "have none that begins with os:", Level.ADVICE)),
    ],
)
def test_what_contradicts_itself_is_found(changed: dict[str, Any], problem: tuple[str, str, Level]) -> None:
    assert found(**changed) == {problem}


def test_an_image_older_than_it_says_is_found_but_not_when_it_was_replaced_or_is_given_up() -> None:
    old = {"image_build_date": "2026-06-01", "created_at": "2026-06-02T00:00:00Z"}
    assert found(**old) == {("image_build_date", "is 2026-06-01, and replace_frequency monthly", Level.ERROR)}
    assert found(**{**old, "image_build_date": "2026-06-16", "created_at": "2026-06-17T00:00:00Z"}) == set()
    for more in (
        {"os_hidden": True},
        {"name": "Ubuntu 24.04 (20260601)"},
        {"name": "Ubuntu 24.04 20260601"},
        {"provided_until": "2026-07-01"},
        {"replace_frequency": "never"},
        {"replace_frequency": "yearly"},
    ):
        assert found(**old, **more) == set(), more


def test_two_generic_images_of_one_system_are_found_in_the_second_version() -> None:
    images = [RIGHT, {**RIGHT, "id": "2"}, {**RIGHT, "id": "3", "architecture": "aarch64"}]
    images += [{**RIGHT, "id": "4", "os_purpose": "minimal"}]
    (one,) = lint(images, V2, TODAY)
    assert (one.image_id, one.property) == ("2", "os_purpose")
    assert "as of image 1" in one.problem
    assert list(lint(images, V1, TODAY)) == []


def test_whatever_an_image_says_is_looked_at() -> None:
    strange: list[Any] = [None, 7, -1, True, [], {}, "\0", "☃" * 10_000, "9" * 5000]
    for value in strange:
        list(
            lint(
                [
                    {
                        **dict.fromkeys(RIGHT, value),
                        "id": "1",
                        "min_disk": 0,
                        "min_ram": 0,
                        "size": None,
                        "virtual_size": None,
                        "tags": [str(value)],
                    }
                ],
                V2,
                TODAY,
            )
        )
    assert day_of("9999-12-31") is not None
    assert found(image_build_date="9999-12-31")


def test_the_definitions_have_the_values_that_are_checked() -> None:
    (namespace,) = read_directory(SCS, 0)
    properties = {each.name: each for each in namespace.properties}
    wanted = {each.property for each in V2.wants}
    elsewhere = {
        "architecture",
        "os_distro",
        "os_version",
        "hw_disk_bus",
        "hw_rng_model",
        "hypervisor_type",
        "os_hash_algo",
    }
    assert wanted - elsewhere == properties.keys() - {"patchlevel"}
    text = (SCS / "image-metadata.json").read_text()
    enums = {name: each.get("enum") for name, each in json.loads(text)["properties"].items()}
    assert enums["os_purpose"] == list(PURPOSES)
    assert enums["replace_frequency"] == list(FREQUENCIES)
    for each in V2.wants:
        for value in enums.get(each.property) or ():
            assert each.is_right(value)
