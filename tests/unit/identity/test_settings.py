"""Settings that do not go together are said so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.config import load, secret_free
from headwater.errors import SettingsError
from headwater.identity.none import NoProof
from headwater.identity.registry import open_authenticator
from headwater.identity.settings import AuthSettings, KeystoneSettings
from headwater.server.settings import Settings

KEYSTONE = """
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "http://keystone:5000/v3"
username = "headwater"
password = "secret-word"
"""
BY_ID = """
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "http://keystone:5000/v3"
application_credential_id = "c0ffee"
application_credential_secret = "secret-word"
"""


def settings(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "headwater.toml"
    file.write_text(text)
    return load(Settings, file=file).settings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[auth]\nmode = "basic"\n', ["[auth]", "htpasswd_file"]),
        ('[auth]\nmode = "keystone"\n', ["[auth.keystone]", "auth_url, username, password"]),
        ('[auth]\nmode = "kerberos"\n', ["auth", "mode", "none"]),
        (KEYSTONE + "cache_s = -1\n", ["auth.keystone", "cache_s"]),
        (KEYSTONE + "service_token_roles = []\n", ["auth.keystone", "service_token_roles"]),
        (KEYSTONE + 'insecure = true\ncafile = "ca.pem"\n', ["'cafile' and 'insecure'"]),
        (KEYSTONE + "www_authenticate_uri = 'http://x/\"y'\n", ["www_authenticate_uri"]),
        (KEYSTONE.replace("http://keystone", "http://user:pass@keystone"), ["auth_url"]),
        (KEYSTONE + 'passwrod = "x"\n', ["passwrod", "password"]),
        (KEYSTONE + 'application_credential_id = "x"\n', ["'password' stands beside 'application_credential_id'"]),
        (KEYSTONE + 'application_credential_secret = "secret-word"\n', ["'password' stands beside", "_secret'"]),
        (BY_ID + 'application_credential_name = "x"\n', ["application_credential_name", "keep one"]),
        (BY_ID + 'username = "x"\n', ["'username' stands beside 'application_credential_id'"]),
        (BY_ID + 'project_name = "x"\n', ["'project_name' stands beside 'application_credential_id'"]),
        (BY_ID.replace("_id", "_name"), ["[auth.keystone] lacks username:"]),
        (BY_ID.replace("application_credential_secret", "region"), ["lacks application_credential_secret:"]),
        (KEYSTONE + 'interface = "outer"\n', ["auth.keystone", "interface", "internal"]),
        ('[server]\nbind = "0.0.0.0:9292"\n', ["[server], key 'bind'", "allow_none_beyond_loopback"]),
        ('[server]\nbind = "[::]:9292"\n', ["allow_none_beyond_loopback"]),
        ('[server]\nbind = "images.example:9292"\n', ["allow_none_beyond_loopback"]),
    ],
)
def test_a_mistake_is_one_sentence_without_the_secret(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, text)
    for word in words:
        assert word in str(caught.value)
    assert "secret-word" not in str(caught.value)
    assert "user:pass" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEYSTONE,
        KEYSTONE + 'region = "north"\ninterface = "public"\n',
        BY_ID,
        BY_ID.replace("_id", "_name") + 'username = "headwater"\n',
        KEYSTONE + '[server]\nbind = "0.0.0.0:9292"\n',
        '[server]\nbind = "127.0.0.9:9292"\n',
        '[server]\nbind = "[::1]:9292"\n',
        '[server]\nbind = "localhost:9292"\n',
        '[server]\nbind = "0.0.0.0:9292"\n[auth]\nallow_none_beyond_loopback = true\n',
    ],
)
def test_what_goes_together_is_taken(tmp_path: Path, text: str) -> None:
    settings(tmp_path, text)


def test_clients_are_sent_to_the_public_url_of_keystone() -> None:
    given: dict[str, Any] = {"auth_url": "http://inside:5000/v3"}
    assert KeystoneSettings(**given).public_uri == "http://inside:5000/v3"
    assert KeystoneSettings(**given, www_authenticate_uri="https://out").public_uri == "https://out"


def test_each_mode_opens_its_own(tmp_path: Path) -> None:
    assert isinstance(open_authenticator(AuthSettings()), NoProof)
    keystone = open_authenticator(settings(tmp_path, KEYSTONE).auth)
    assert type(keystone).__name__ == "KeystoneTokens"
    keystone.close()


def test_a_file_of_certificates_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cafile"):
        open_authenticator(settings(tmp_path, KEYSTONE + 'cafile = "/no/such/ca.pem"\n').auth)


def test_the_secret_of_an_application_credential_is_not_shown(tmp_path: Path) -> None:
    shown = secret_free(settings(tmp_path, BY_ID).auth.keystone)
    assert shown["application_credential_secret"] == "***"
    assert "secret-word" not in repr(settings(tmp_path, BY_ID))
