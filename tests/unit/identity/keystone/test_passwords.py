"""What clients that know passwords only prove themselves with, and how often Keystone is asked."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from headwater.errors import Unauthenticated
from headwater.identity.caller import Caller
from headwater.identity.keystone.passwords import KeystonePasswords
from headwater.identity.keystone.tokens import KeystoneUnavailable
from headwater.identity.settings import KeystoneSettings

SETTINGS = KeystoneSettings(auth_url="http://keystone.test/v3", username="u")


class Tokens:
    """The authenticator of tokens: those in ``good`` are."""

    def __init__(self) -> None:
        self.good = {"T"}
        self.is_warm = True

    def cached(self, headers: Mapping[str, str]) -> Caller | None:
        assert "authorization" not in headers
        token = headers.get("x-auth-token", "")
        return Caller(user_id=token) if self.is_warm and token in self.good else None

    def caller(self, headers: Mapping[str, str]) -> Caller:
        token = headers.get("x-auth-token", "")
        if token not in self.good:
            raise Unauthenticated("no", 'Keystone uri="http://keystone.test"')
        return Caller(user_id=token)

    def close(self) -> None:
        pass


class Exchange:
    """Keystone: knows one credential."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.token: str | None = "T"

    def __call__(self, credential_id: str, secret: str) -> str | None:
        self.asked.append(credential_id)
        if credential_id == "away":
            raise KeystoneUnavailable("it is away")
        return self.token if (credential_id, secret) == ("cred", "s:é") else None


class Place:
    def __init__(self) -> None:
        self.tokens, self.exchange, self.now = Tokens(), Exchange(), 0.0
        self.passwords = KeystonePasswords(self.tokens, SETTINGS, self.exchange, steady=lambda: self.now)


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {"x-auth-token": "T"},
        {"x-auth-token": "T", **basic("cred", "wrong")},
        {"authorization": "Bearer T"},
        {"authorization": "bearer  T "},
        basic("token", "T"),
    ],
)
def test_a_token_is_taken_wherever_it_stands_and_keystone_not_asked_for_another(headers: dict[str, str]) -> None:
    place = Place()
    assert place.passwords.caller(headers).user_id == "T"
    cached = place.passwords.cached(headers)
    assert cached is not None
    assert cached.user_id == "T"
    assert place.exchange.asked == []


def test_a_credential_is_asked_about_once() -> None:
    place = Place()
    headers = basic("cred", "s:é")
    assert place.passwords.cached(headers) is None
    for _ in range(3):
        assert place.passwords.caller(headers).user_id == "T"
    assert place.passwords.cached(headers) is not None
    assert place.passwords.cached(basic("cred", "other")) is None
    assert place.exchange.asked == ["cred"]
    place.now = SETTINGS.cache_s + 1
    assert place.passwords.cached(headers) is None
    place.passwords.caller(headers)
    assert place.exchange.asked == ["cred", "cred"]


def test_a_token_that_ended_before_its_time_is_got_anew() -> None:
    place = Place()
    place.passwords.caller(basic("cred", "s:é"))
    place.tokens.good, place.exchange.token = {"T2"}, "T2"
    assert place.passwords.caller(basic("cred", "s:é")).user_id == "T2"
    assert place.exchange.asked == ["cred", "cred"]


def test_what_keystone_refuses_is_remembered_for_a_moment() -> None:
    place = Place()
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            place.passwords.caller(basic("cred", "wrong"))
    assert place.exchange.asked == ["cred"]
    place.now = 6.0
    with pytest.raises(Unauthenticated):
        place.passwords.caller(basic("cred", "wrong"))
    assert place.exchange.asked == ["cred", "cred"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Basic !!!"},
        {"authorization": "Digest x"},
        basic("token", "wrong"),
        basic("nobody", "x"),
        {"x-auth-token": "wrong", **basic("cred", "s:é")},
    ],
)
def test_who_proves_nothing_is_asked_for_a_password(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        Place().passwords.caller(headers)
    assert 'Basic realm="headwater"' in refused.value.headers["WWW-Authenticate"]


def test_while_keystone_is_away_nobody_is_refused() -> None:
    place = Place()
    with pytest.raises(KeystoneUnavailable):
        place.passwords.caller(basic("away", "x"))
    with pytest.raises(KeystoneUnavailable):
        place.passwords.caller(basic("away", "x"))
