from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError
from starlette.types import Message, Receive, Scope, Send

from headwater.server.middleware.cors import CorsSettings, with_cors


async def app(_scope: object, _receive: object, _send: object) -> None:
    """Answer nothing."""


def test_nobody_stands_before_the_application_until_an_origin_is_named() -> None:
    assert with_cors(app, CorsSettings()) is app
    assert with_cors(app, CorsSettings(allowed_origin=("https://page.example",))) is not app


@pytest.mark.parametrize(
    ("path", "method", "reached"),
    [
        ("/feed/index.json", "OPTIONS", True),
        ("/feed/index.json", "GET", True),
        ("/v2/images", "OPTIONS", False),
        ("/feedback", "OPTIONS", False),
    ],
)
def test_what_everybody_reads_answers_pages_of_other_origins_itself(path: str, method: str, reached: bool) -> None:
    asked: list[str] = []

    async def answers(scope: Scope, _receive: Receive, _send: Send) -> None:
        asked.append(scope["path"])

    async def unused() -> Message:
        raise AssertionError

    async def sent(_message: Message) -> None:
        """Take the answer."""

    headers = [(b"origin", b"https://other.example"), (b"access-control-request-method", b"GET")]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    settings = CorsSettings(allowed_origin=("https://page.example",))

    async def ask() -> None:
        await with_cors(answers, settings, ("/feed/",))(scope, unused, sent)

    asyncio.run(ask())
    assert asked == ([path] if reached else [])


@pytest.mark.parametrize("origin", ["page.example", "https://page.example/", "https://u@page.example", "null", ""])
def test_what_no_browser_calls_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match=r"https://dashboard\.example\.org"):
        CorsSettings(allowed_origin=(origin,))


def test_every_origin_is_let_in_only_without_what_the_browser_remembers() -> None:
    with pytest.raises(ValidationError, match="set allow_credentials to false"):
        CorsSettings(allowed_origin=("*",))
    assert CorsSettings(allowed_origin=("*",), allow_credentials=False).allowed_origin == ("*",)


def test_a_header_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not the name of a header"):
        CorsSettings(allow_headers=("X-Good", "a: b\r\nc"))


def test_a_page_may_upload_in_parts_and_read_how_far_it_is() -> None:
    settings = CorsSettings()
    fields = {"Upload-Complete", "Upload-Length", "Upload-Offset", "Repr-Digest"}
    assert fields <= set(settings.expose_headers) & set(settings.allow_headers)
    assert {"Location", "Upload-Limit"} <= set(settings.expose_headers)
    assert {"Tus-Resumable", "Upload-Defer-Length"} <= set(settings.expose_headers) & set(settings.allow_headers)
    assert {"Tus-Extension", "Tus-Max-Size", "Tus-Version", "Upload-Expires"} <= set(settings.expose_headers)
    assert {"Upload-Metadata", "X-HTTP-Method-Override", "Upload-Draft-Interop-Version"} <= set(settings.allow_headers)
    assert "Idempotency-Key" in settings.allow_headers
    assert "PATCH" in settings.allow_methods
