from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headwater.activity.notifications import notifier
from headwater.activity.notifications.notifier import Notifications
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.activity.notifications.target import RABBITMQ, WEBHOOK
from headwater.config import load
from headwater.database.engine import Database
from headwater.errors import SettingsError
from headwater.server.settings import Settings
from templates import sqlite_catalogue
from unit.activity.notifications.events import Receiver


def test_the_library_for_rabbitmq_is_not_loaded_before_somebody_uses_it() -> None:
    program = (
        "import sys, headwater.server.application, headwater.activity.notifications.rabbitmq\n"
        "print(*{'oslo_messaging', 'kombu', 'eventlet'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_rabbitmq_without_its_library_is_refused_with_what_to_install_and_all_else_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "oslo_messaging", None)  # as where it is not installed
    webhook = {"HEADWATER_NOTIFICATIONS__WEBHOOK_URL": "http://127.0.0.1:9/"}
    assert load(Settings, environment=webhook).settings.notifications.webhook_url is not None
    broker = {"HEADWATER_NOTIFICATIONS__TRANSPORT_URL": "rabbit://u:p4ss@127.0.0.1:9/"}
    with pytest.raises(SettingsError, match=r"TRANSPORT_URL.*pip install 'headwater\[rabbitmq\]'") as caught:
        load(Settings, environment=broker)
    assert "p4ss" not in str(caught.value)


def test_a_receiver_that_cannot_be_opened_is_tried_again_and_the_others_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    settings = NotificationsSettings.model_validate(
        {"webhook_url": "http://127.0.0.1:9/", "transport_url": "rabbit://127.0.0.1:9/"}
    )
    notifications = Notifications(settings, database)
    opened: list[str] = []

    def open_one(name: str, _settings: NotificationsSettings) -> Receiver:
        if name == WEBHOOK and not opened:
            opened.append("refused")
            raise FileNotFoundError("the file of certificates is gone")
        opened.append(name)
        return Receiver()

    monkeypatch.setattr(notifier, "_open", open_one)
    with pytest.raises(FileNotFoundError):
        notifications.start()
    assert opened == ["refused", RABBITMQ]
    notifications.start()
    notifications.start()
    assert opened == ["refused", RABBITMQ, WEBHOOK]
    notifications.close()
    database.close()
