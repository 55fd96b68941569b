"""Which requests need a caller, and how they get one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from headwater.errors import Unauthenticated
from headwater.http.context import context
from headwater.identity.caller import OPERATOR, Caller
from headwater.server.middleware import identify
from headwater.server.middleware.identify import Identified, TooManyWait
from headwater.threads import Pool

ADA = Caller(user_id="ada")


class Doorkeeper:
    """Knows ``known`` at once, ``new`` after a moment, and nobody else."""

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}
        self.waited = 0

    def cached(self, headers: Mapping[str, str]) -> Caller | None:
        self.headers = headers
        return ADA if headers.get("x-auth-token") == "known" else None

    def caller(self, headers: Mapping[str, str]) -> Caller:
        self.waited += 1
        if headers.get("x-auth-token") == "new":
            return OPERATOR
        raise Unauthenticated("who are you?", "Test")

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def doorkeeper() -> Doorkeeper:
    return Doorkeeper()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool("test", 1)
    yield pool
    pool.close()


def ask(
    doorkeeper: Doorkeeper, pool: Pool, path: str, *headers: tuple[bytes, bytes], method: str = "GET"
) -> Caller | None:
    """Return the caller that the application sees."""
    seen: list[Caller | None] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(context(scope).caller)

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "client": ("192.0.2.1", 5)}
    context(scope).request_id = "req-1"
    identified = Identified(app, doorkeeper, pool, frozenset({"v2", "v2.9"}), below=("/simplestreams/why/",))
    asyncio.run(identified(scope, nothing, nothing))
    return seen[0]


def test_a_known_caller_costs_no_thread(doorkeeper: Doorkeeper, pool: Pool) -> None:
    assert ask(doorkeeper, pool, "/v2/images", (b"x-auth-token", b"known")) == ADA
    assert doorkeeper.waited == 0


def test_another_is_waited_for(doorkeeper: Doorkeeper, pool: Pool) -> None:
    assert ask(doorkeeper, pool, "/v2.9/images", (b"x-auth-token", b"new")) == OPERATOR
    assert doorkeeper.waited == 1


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/images", "/v2.9/images/x/file"])
def test_a_version_needs_a_caller(doorkeeper: Doorkeeper, pool: Pool, path: str) -> None:
    with pytest.raises(Unauthenticated):
        ask(doorkeeper, pool, path)


@pytest.mark.parametrize("path", ["/simplestreams/why/", "/simplestreams/why/x", "/simplestreams/why/../x"])
def test_a_path_below_those_that_are_named_needs_a_caller(doorkeeper: Doorkeeper, pool: Pool, path: str) -> None:
    with pytest.raises(Unauthenticated):
        ask(doorkeeper, pool, path)


def test_a_version_that_accept_names_needs_a_caller(doorkeeper: Doorkeeper, pool: Pool) -> None:
    with pytest.raises(Unauthenticated):
        ask(doorkeeper, pool, "/images", (b"accept", b"application/vnd.openstack.images-v2"))


@pytest.mark.parametrize(
    "path", ["/", "/versions", "/v3/images", "//v2/images", "/healthcheck", "/metrics", "/simplestreams/why", "/V2"]
)
def test_the_rest_is_open_and_has_no_caller(doorkeeper: Doorkeeper, pool: Pool, path: str) -> None:
    assert ask(doorkeeper, pool, path, (b"x-auth-token", b"known")) is None


def test_options_is_open(doorkeeper: Doorkeeper, pool: Pool) -> None:
    assert ask(doorkeeper, pool, "/v2/images", method="OPTIONS") is None


def test_only_proofs_are_passed_on_and_doubles_are_joined(doorkeeper: Doorkeeper, pool: Pool) -> None:
    headers = ((b"x-auth-token", b"a"), (b"x-roles", b"admin"), (b"x-auth-token", b"b"), (b"authorization", b"\xe9"))
    with pytest.raises(Unauthenticated):
        ask(doorkeeper, pool, "/v2/images", *headers)
    assert doorkeeper.headers == {"x-auth-token": "a,b", "authorization": "\xe9"}


def test_when_too_many_wait_others_are_told_to_come_back(
    doorkeeper: Doorkeeper, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identify, "WAITING_LIMIT", 0)
    with pytest.raises(TooManyWait):
        ask(doorkeeper, pool, "/v2/images", (b"x-auth-token", b"new"))
    assert ask(doorkeeper, pool, "/v2/images", (b"x-auth-token", b"known")) == ADA


def test_the_caller_knows_the_id_of_the_request_and_where_it_came_from(doorkeeper: Doorkeeper, pool: Pool) -> None:
    caller = ask(doorkeeper, pool, "/v2/images", (b"x-auth-token", b"known"))
    assert caller is not None
    assert (caller.request_id, caller.address) == ("req-1", "192.0.2.1")
