"""What the section ``[notifications]`` looks at, and when."""

from __future__ import annotations

import ssl
from typing import NoReturn

import pytest

from headwater.activity.notifications.settings import NotificationsSettings


def test_the_authorities_of_the_system_are_not_read_before_somebody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(**_: object) -> NoReturn:
        pytest.fail("the certificates of all public authorities were read")

    monkeypatch.setattr(ssl, "create_default_context", read)
    NotificationsSettings()
    NotificationsSettings.model_validate({"webhook_url": "https://events.example"})
