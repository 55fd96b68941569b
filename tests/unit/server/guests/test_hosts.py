"""Who asks under a name of somebody else's is not answered, where the names are known."""

from __future__ import annotations

import anyio
import pytest
from starlette.responses import Response
from starlette.types import Message, Scope

from headwater.http.context import context
from headwater.server.guests.hosts import KnownHosts


def status(host: str | None, path: str = "/latest/user-data", network: str = "", *, agents_ask: bool = False) -> int:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    scope: Scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
    context(scope).network = network
    app = KnownHosts(Response(b"of a guest"), ["metadata.example.org"], agents_ask=agents_ask)
    anyio.run(app, scope, receive, send)
    assert (b"of a guest" in sent[-1]["body"]) is (sent[0]["status"] == 200)
    found: int = sent[0]["status"]
    return found


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("169.254.169.254", 200),
        ("169.254.169.254:80", 200),
        ("[fe80::a9fe:a9fe%25eth0]:80", 200),
        ("[fd00:ec2::254]", 200),
        ("metadata.example.org", 200),
        ("Metadata.Example.org.:8775", 200),
        ("", 200),
        (None, 200),
        ("evil.example", 400),
        ("metadata.example.org.evil.example", 400),
        ("169.254.169.254.evil.example:80", 400),
        ("2852039166", 400),
        ("\xe4", 400),
    ],
    ids=str,
)
def test_names_that_are_known_and_addresses_are_answered(host: str | None, expected: int) -> None:
    assert status(host) == expected


def test_secret_paths_and_agents_are_asked_for_no_name() -> None:
    assert status("evil.example", "/seed/secret/meta-data") == 200
    assert status("evil.example", agents_ask=True) == 200
    assert status("evil.example", network="blue", agents_ask=True) == 400
