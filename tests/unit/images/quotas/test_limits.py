"""What the settings say of the limits of projects."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from headwater.identity.keystone.unified_limits import ServiceLimits, UnifiedLimits
from headwater.identity.settings import KeystoneSettings
from headwater.images.quotas.limits import MIB, KeystoneLimits, Limits, QuotasSettings, SettingsLimits, open_limits


def limits(project_id: str = "p", **settings: Any) -> Limits:
    return SettingsLimits(QuotasSettings.model_validate(settings)).read()(project_id)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (12, 12),
        ("12", 12),
        ("12B", 12),
        ("3 KB", 3 << 10),
        ("10 GB", 10 << 30),
        ("10GB", 10 << 30),
        ("10 gib", 10 << 30),
        ("7M", 7 << 20),
        (" 2 TB ", 2 << 40),
    ],
)
def test_a_storage_quota_is_bytes_or_a_number_with_its_unit(written: object, size: int) -> None:
    assert limits(user_storage_quota=written).image_size_total == size


@pytest.mark.parametrize("written", ["", "GB", "10 XB", "-1", "1.5 GB", "10 GB each", -1])
def test_what_is_no_amount_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match="user_storage_quota"):
        limits(user_storage_quota=written)


def test_without_settings_there_are_no_limits() -> None:
    assert limits() == Limits()
    assert open_limits(QuotasSettings(), KeystoneSettings()) is None
    assert open_limits(QuotasSettings.model_validate({"projects": {"p": {}}}), KeystoneSettings()) is None


def test_sizes_are_mebibytes_and_minus_one_is_none() -> None:
    found = limits(image_size_total=2, image_stage_total=0, image_count_total=-1, image_count_uploading=3)
    assert found == Limits(image_size_total=2 * MIB, image_stage_total=0, image_count_uploading=3)


def test_of_two_limits_on_bytes_the_lesser_counts() -> None:
    assert limits(image_size_total=2, user_storage_quota=100).image_size_total == 100
    assert limits(image_size_total=2, user_storage_quota="1 GB").image_size_total == 2 * MIB
    assert limits(image_size_total=0, user_storage_quota="1 GB").image_size_total == 0


def test_a_project_has_what_is_said_of_it_and_else_what_all_have() -> None:
    said: dict[str, Any] = {
        "image_count_total": 5,
        "user_storage_quota": "1 GB",
        "projects": {
            "more": {"image_count_total": 50, "image_size_total": 4096},
            "any": {"image_count_total": -1, "user_storage_quota": 0},
            "same": {"image_stage_total": 1},
        },
    }
    assert limits("other", **said) == Limits(image_count_total=5, image_size_total=1 << 30)
    assert limits("more", **said) == Limits(image_count_total=50, image_size_total=4096 * MIB)
    assert limits("any", **said) == Limits()
    assert limits("same", **said) == Limits(image_count_total=5, image_size_total=1 << 30, image_stage_total=MIB)


def test_the_limits_are_keystones_or_the_files_not_both() -> None:
    with pytest.raises(ValidationError, match=r"use_keystone_limits.*image_count_total.*not both"):
        QuotasSettings(use_keystone_limits=True, image_count_total=3)


def test_keystones_limits_come_in_bytes_and_its_minus_one_is_none() -> None:
    registered = {"image_size_total": 3, "image_stage_total": -1, "image_count_total": 10}
    known = ServiceLimits(registered, {"p": {"image_count_total": 4}})
    found = KeystoneLimits(UnifiedLimits(lambda: known, 60)).read()
    assert found("p") == Limits(image_size_total=3 * MIB, image_count_total=4, image_count_uploading=0)
    assert found("other").image_count_total == 10
