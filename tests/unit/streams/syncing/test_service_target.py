"""An Image service over its API, of which a test writes the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import httpx2 as httpx
import pytest
from keystoneauth1 import exceptions

from headwater.client.keystone import Keystone
from headwater.client.proof import Fixed
from headwater.client.service import ImageService, Patience, RequestRefused, Unreachable
from headwater.streams.syncing.targets.service import ServiceTarget
from headwater.streams.syncing.targets.target import ImageVanished, UseUnknown

Answer = Callable[[httpx.Request], httpx.Response]


class Session:
    """Keystone, as keystoneauth1 shows it."""

    def __init__(self, servers: object = (), *, refuses: bool = False) -> None:
        self.servers, self.refuses, self.asked = servers, refuses, list[str]()

    def get_token(self) -> str:
        return "t"

    def get_project_id(self) -> str:
        return "mine"

    def get(self, path: str, **_more: Any) -> Any:
        self.asked.append(path)
        if self.refuses:
            raise exceptions.Forbidden
        return httpx.Response(200, json={"servers": self.servers})


def target(answer: Answer, session: Session | None = None, **more: Any) -> ServiceTarget:
    service = ImageService("http://images.example", Fixed({}))
    service._http = httpx.Client(transport=httpx.MockTransport(answer))
    proof = Keystone(cast(Any, session), "http://keystone.example/v3") if session is not None else None
    return ServiceTarget(service, proof=proof, patience=lambda: Patience(0, sleep=lambda _: None), **more)


def nothing(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(404, json={"message": "no"})


def pieces() -> Any:
    return iter([b"data"])


def test_only_images_of_the_own_project_are_ours_hidden_ones_too() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url.query))
        hidden = request.url.params["os_hidden"] == "true"
        images = [
            {"id": "h" if hidden else "a", "content_id": "auto.sync", "owner": "mine"},
            {"id": "b", "content_id": "auto.sync", "owner": "other"},
            {"id": "c", "content_id": "else", "owner": "mine"},
        ]
        return httpx.Response(200, json={"images": images})

    found = [each["id"] for each in target(answer, Session()).images_of("auto.sync")]
    assert found == ["a", "h"]
    assert all("owner=mine" in each for each in asked)


def test_an_image_is_used_by_the_servers_that_nova_tells_of() -> None:
    session = Session([{"id": "s1"}])
    assert target(nothing, session).user_of({"id": "i"}, 30) == "server s1"
    assert session.asked == ["/servers/detail?all_tenants=1&limit=1&image=i"]
    assert target(nothing, Session([])).user_of({"id": "i"}, 30) is None


@pytest.mark.parametrize("session", [None, Session(refuses=True), Session("x"), Session([{}])])
def test_where_nova_does_not_tell_nobody_knows(session: Session | None) -> None:
    with pytest.raises(UseUnknown):
        target(nothing, session).user_of({"id": "i"}, 30)


def test_a_spent_key_makes_no_image_impossible() -> None:
    keys: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("idempotency-key"))
        if len(keys) < 3:
            return httpx.Response(410 if len(keys) == 1 else 422, json={"message": "spent"})
        return httpx.Response(201, json={"id": "new"})

    assert target(answer).create({}, "k") == {"id": "new"}
    assert keys == ['"k"', '"k-again"', None]


def test_an_image_that_was_deleted_meanwhile_is_told_as_that() -> None:
    calls: tuple[Callable[[ServiceTarget], object], ...] = (
        lambda there: there.upload("i", 4, {}, pieces),
        lambda there: there.stage("i", 4, pieces),
        lambda there: there.change("i", []),
    )
    for call in calls:
        with pytest.raises(ImageVanished):
            call(target(nothing))
    target(nothing).delete("i")


def test_an_upload_whose_answer_was_lost_is_over_when_the_image_is_active() -> None:
    puts: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"id": "i", "status": "active"})
        puts.append(request.read())
        if len(puts) == 1:
            raise httpx.ReadError("cut")
        return httpx.Response(409, json={"message": "it is active"})

    service = target(answer)
    service._patience = lambda: Patience(60, sleep=lambda _: None)
    service.upload("i", 4, {"sha256": "00" * 32}, pieces)
    assert puts == [b"data", b"data"]


def test_a_refusal_is_told_and_a_service_that_is_away_is_asked_for_as_long_as_was_said() -> None:
    with pytest.raises(RequestRefused):
        target(lambda _: httpx.Response(413, json={"message": "too much"})).upload("i", 4, {}, pieces)
    with pytest.raises(Unreachable):
        target(lambda _: httpx.Response(503)).begin_import("i", {})


def test_methods_and_reasons_that_a_service_does_not_tell_are_none() -> None:
    assert target(nothing).methods() == ()
    assert target(nothing).why_failed("i") is None
    told = {"import-methods": {"value": ["glance-direct"]}}
    assert target(lambda _: httpx.Response(200, json=told)).methods() == ["glance-direct"]
