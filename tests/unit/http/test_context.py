from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from headwater.http.context import Context, context
from headwater.http.endpoint import Endpoint
from headwater.http.requests import caller
from headwater.identity.caller import OPERATOR


def a_scope(**more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/v2/images", "headers": [(b"host", b"h:1")], **more}


def test_what_one_finds_out_the_next_one_knows_also_in_a_copy_of_the_scope() -> None:
    scope = a_scope()
    context(scope).request_id = "req-1"
    copy = {**scope, "path": "/other"}
    context(copy).caller = OPERATOR
    assert context(scope) == Context("req-1", OPERATOR)
    assert caller(Request(scope)) is OPERATOR


def test_nobody_gets_past_who_asks_for_a_caller_without_one() -> None:
    with pytest.raises(RuntimeError, match="/v2/images"):
        caller(Request(a_scope()))


def test_the_endpoint_is_the_one_that_is_set_or_what_the_request_asked_for() -> None:
    request = Request(a_scope(scheme="https", server=("127.0.0.1", 1), query_string=b"", root_path=""))
    assert Endpoint("https://images.example/x/").of(request) == "https://images.example/x"
    assert Endpoint().of(request) == "https://h:1"
