"""What vendor data needs is looked at before the start, and no service is asked for that."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from headwater.errors import SettingsError
from headwater.identity.settings import AuthSettings, KeystoneSettings
from headwater.instances.settings import MetadataSettings
from headwater.instances.vendor_data.opening import answers, check
from headwater.instances.vendor_data.settings import VendorDataSettings
from headwater.server.settings import Settings

TARGETS = {"join": "https://vendor.internal.example/"}


@pytest.mark.parametrize("text", [None, "", "no certificate"], ids=["absent", "empty", "text"])
def test_certificates_that_cannot_be_read_stop_the_start(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "authorities.pem"
    if text is not None:
        file.write_text(text)
    settings = VendorDataSettings(targets=TARGETS, cafile=file)
    with pytest.raises(SettingsError) as refused:
        check(settings, KeystoneSettings())
    assert str(refused.value).startswith(f"section [metadata.vendor_data], key 'cafile': {file} is no file of")


def test_with_no_services_nothing_asks() -> None:
    assert answers(VendorDataSettings(), KeystoneSettings()) is None


def test_a_token_can_be_shown_only_by_a_user_that_is_known() -> None:
    metadata = MetadataSettings(vendor_data=VendorDataSettings(targets=TARGETS, send_token=True))
    with pytest.raises(ValidationError, match=r"\[auth.keystone\] lacks auth_url, username, password"):
        Settings(metadata=metadata)
    known = KeystoneSettings.model_validate({"auth_url": "http://k:5000", "username": "u", "password": "p"})
    settings = Settings(metadata=metadata, auth=AuthSettings(keystone=known))
    check(settings.metadata.vendor_data, settings.auth.keystone)
