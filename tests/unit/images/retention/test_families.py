from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.image_catalogue import an_image
from headwater.images.retention.families import age_key, day_of, family
from headwater.images.retention.names import Dated, dated

JULY = date(2026, 7, 5)


@pytest.mark.parametrize(
    ("name", "plain", "day"),
    [
        ("Ubuntu 24.04 (20260705)", "Ubuntu 24.04", JULY),
        ("ubuntu-24.04-20260705", "ubuntu-24.04", JULY),
        ("ubuntu-24.04-v20260705", "ubuntu-24.04", JULY),
        ("debian_12_2026-07-05", "debian_12", JULY),
        ("debian-12-genericcloud-amd64-20260705-1811", "debian-12-genericcloud-amd64", JULY),
        ("Rocky-9.4-20260705.0", "Rocky-9.4", JULY),
        ("backup 2026-07-05T12:30:00Z", "backup", JULY),
        ("backup 2026-07-05 12:30", "backup", JULY),
        ("Fedora 42 20260705 ", "Fedora 42", JULY),
        ("Ubuntu 24.04", "Ubuntu 24.04", None),
        ("windows-2022", "windows-2022", None),
        ("build-20261399", "build-20261399", None),
        ("build-20260230", "build-20260230", None),
        ("build-2026-0705", "build-2026-0705", None),
        ("ubuntu20260705", "ubuntu20260705", None),
        ("20260705", "20260705", None),
        ("-20260705", "-20260705", None),
        ("CentOS-9-20260705.0.x86_64", "CentOS-9-20260705.0.x86_64", None),
        ("", "", None),
        ("☃ (20260705)", "☃", JULY),
    ],
)
def test_the_date_at_the_end_of_a_name_is_told_from_the_name(name: str, plain: str, day: date | None) -> None:
    assert dated(name) == Dated(plain, day)


@given(st.text(max_size=255))
def test_any_name_can_be_taken_apart(name: str) -> None:
    found = dated(name)
    assert name.startswith(found.name)
    assert (found.day is None) is (found.name == name)


def test_images_of_one_name_are_a_family_but_not_those_of_another_architecture() -> None:
    keys = ("name", "architecture?")
    assert family(an_image("u 20260705", properties={"architecture": "x86_64"}), keys) == ("u", "x86_64")
    assert family(an_image("u", properties={"architecture": "aarch64"}), keys) == ("u", "aarch64")
    assert family(an_image("u"), keys) == ("u", "")
    assert family(an_image(None), keys) is None


def test_an_image_that_lacks_what_makes_a_family_is_in_none() -> None:
    keys = ("os_distro", "os_version", "os_purpose?")
    assert family(an_image("x", properties={"os_distro": "ubuntu"}), keys) is None
    assert family(an_image("x", properties={"os_distro": "ubuntu", "os_version": ""}), keys) is None
    whole = {"os_distro": "ubuntu", "os_version": "24.04"}
    assert family(an_image("x", properties=whole), keys) == ("ubuntu", "24.04", "")
    assert family(an_image(None, properties={**whole, "os_purpose": "minimal"}), keys) == ("ubuntu", "24.04", "minimal")


def test_an_image_is_of_the_day_that_it_was_built_and_else_of_its_name_and_else_of_its_coming() -> None:
    built = {"image_build_date": "2026-07-05 12:30"}
    assert day_of(an_image("u 20260101", properties=built)) == JULY
    assert day_of(an_image("u 20260705", properties={"image_build_date": "yesterday"})) == JULY
    assert day_of(an_image("u", created_at=1_700_000_000_000_000)) == date(2023, 11, 14)


def test_of_one_day_the_last_that_came_is_the_newest() -> None:
    first, hotfix = an_image("u 20260705", created_at=5), an_image("u 20260705.1", created_at=6)
    late = an_image("u 20260101", created_at=7)
    assert sorted([hotfix, first, late], key=age_key) == [late, first, hotfix]
