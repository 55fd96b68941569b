from __future__ import annotations

import pytest
from pydantic import ValidationError

from headwater.server.middleware.cors import CorsSettings, with_cors


async def app(_scope: object, _receive: object, _send: object) -> None:
    """Answer nothing."""


def test_nobody_stands_before_the_application_until_an_origin_is_named() -> None:
    assert with_cors(app, CorsSettings()) is app
    assert with_cors(app, CorsSettings(allowed_origin=("https://page.example",))) is not app


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
    assert "Idempotency-Key" in settings.allow_headers
    assert "PATCH" in settings.allow_methods
