"""Paths, methods and mounts: the vocabulary of every face."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote, unquote

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Router
from starlette.types import Message, Receive, Scope, Send

from headwater.errors import HeadwaterError, NotFound
from headwater.http.routes import Below, Face, MethodNotAllowed, NotText, UnknownVerb, also, exactly, require_text

READ_ONLY = Face(tells_methods=False)


async def told(request: Request) -> Response:
    """Answer with what the path says."""
    return Response("|".join(f"{name}={value}" for name, value in request.path_params.items()))


async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFound("nothing")


class Asked:
    """One request and its answer."""

    def __init__(self, routes: list[BaseRoute], method: str, path: str, raw_path: bytes | None = None) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": quote(path, safe="%/").encode() if raw_path is None else raw_path,
            "query_string": b"",
            "headers": [],
        }
        self.sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            self.sent.append(message)

        asyncio.run(Router(routes, redirect_slashes=False, default=nothing)(self.scope, receive, send))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


def refusal(routes: list[BaseRoute], method: str, path: str) -> HeadwaterError:
    with pytest.raises(HeadwaterError) as caught:
        Asked(routes, method, path)
    return caught.value


def test_a_path_is_matched_to_its_last_character() -> None:
    routes: list[BaseRoute] = [Face().route("/things/{id}", GET=told)]
    assert Asked(routes, "GET", "/things/a%0A").body == "id=a\n"
    for other in ("/things", "/things/", "/things/a/b", "/things/a/", "//things/a"):
        assert isinstance(refusal(routes, "GET", other), NotFound)
    assert isinstance(refusal([Face().route("/things", GET=told)], "GET", "/things%0A"), NotFound)


def test_a_name_at_the_end_of_its_path_may_hold_slashes_where_the_face_says_so() -> None:
    routes: list[BaseRoute] = [Face(names=("tag",)).route("/things/{id}/{tag}", GET=told)]
    assert Asked(routes, "GET", "/things/a/x/y%0Az").body == "id=a|tag=x/y\nz"
    assert isinstance(refusal([Face().route("/things/{id}/{tag}", GET=told)], "GET", "/things/a/x/y"), NotFound)


def test_head_is_get_without_its_body() -> None:
    answered = Asked([Face().route("/a", GET=told)], "HEAD", "/a")
    assert (answered.status, answered.body, answered.headers["content-length"]) == (200, "", "0")

    async def other(_request: Request) -> Response:
        return Response(status_code=204)

    assert Asked([Face().route("/a", GET=told, HEAD=other)], "HEAD", "/a").status == 204
    assert isinstance(refusal([Face().route("/a", PUT=told)], "HEAD", "/a"), MethodNotAllowed)


def test_a_method_that_is_not_there_is_refused_with_those_that_are() -> None:
    routes: list[BaseRoute] = [Face().route("/a", GET=told, PUT=told)]
    refused = refusal(routes, "DELETE", "/a")
    assert isinstance(refused, MethodNotAllowed)
    assert refused.headers == {"Allow": "GET, HEAD, PUT"}
    assert str(refused) == "The method DELETE is not allowed for /a: it takes GET, HEAD, PUT"
    assert isinstance(refusal(routes, "BREW", "/a"), UnknownVerb)
    answered = Asked(routes, "OPTIONS", "/a")
    assert (answered.status, answered.headers["allow"]) == (200, "GET, HEAD, PUT")


@pytest.mark.parametrize("method", ["OPTIONS", "BREW", "POST"])
def test_a_face_may_tell_nothing_of_methods_but_what_it_takes(method: str) -> None:
    refused = refusal([READ_ONLY.route("/a", GET=told)], method, "/a")
    assert isinstance(refused, MethodNotAllowed)
    assert refused.headers == {"Allow": "GET, HEAD"}


def test_the_check_of_a_face_may_refuse_and_may_correct() -> None:
    def check(request: Request) -> None:
        if request.path_params["id"] == "no":
            raise NotFound("no")
        request.path_params["id"] = request.path_params["id"].lower()

    routes: list[BaseRoute] = [Face(check=check).route("/{id}", GET=told)]
    assert Asked(routes, "GET", "/ABC").body == "id=abc"
    assert str(refusal(routes, "GET", "/no")) == "no"
    assert isinstance(refusal(routes, "PUT", "/no"), MethodNotAllowed)


@pytest.mark.parametrize("raw", [b"/%FF", b"/a%C3"])
def test_a_path_that_is_no_text_is_told_from_one_that_is(raw: bytes) -> None:
    face = Face(check=lambda request: require_text(request.scope))
    with pytest.raises(NotText):
        Asked([face.route("/{id}", GET=told)], "GET", "/\ufffd", raw)
    assert Asked([face.route("/{id}", GET=told)], "GET", "/%EF%BF%BD").body == "id=\ufffd"


def test_below_a_mount_the_rest_of_the_path_is_the_path_and_the_request_keeps_its_own() -> None:
    inside = Router([Face(names=("name",)).route("/x/{name}", GET=told)], redirect_slashes=False, default=nothing)
    routes: list[BaseRoute] = [also(Below("/v2", inside), ["/v2.9", "/v2.17"])]
    for version in ("v2", "v2.9", "v2.17"):
        answered = Asked(routes, "GET", f"/{version}/x/a%0A/b")
        assert answered.body == "name=a\n/b"
        assert answered.scope["path"] == f"/{version}/x/a\n/b"
        assert f"/{version}/x/a" in str(refusal(routes, "PUT", f"/{version}/x/a"))
    for other in ("/v2", "/v2.1/x/a", "/v2x9/x/a", "/v2.99/x/a", "/V2/x/a", "//v2/x/a", "/x/a"):
        assert isinstance(refusal(routes, "GET", other), NotFound)


def test_a_route_may_have_several_paths() -> None:
    routes: list[BaseRoute] = [also(Face().route("/v2", GET=told), ["/v2.9"])]
    assert Asked(routes, "GET", "/v2").status == Asked(routes, "GET", "/v2.9").status == 200
    for other in ("/v2.9/", "/v2x9", "/v2%0A", "/v2/v2.9"):
        assert isinstance(refusal(routes, "GET", other), NotFound)


@pytest.mark.parametrize("method", ["GET", "DELETE", "BREW"])
def test_an_application_at_one_path_gets_every_method(method: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(scope["method"])(scope, receive, send)

    assert Asked([exactly("/a", app)], method, "/a").body == method
    assert isinstance(refusal([exactly("/a", app)], method, "/a/b"), NotFound)
