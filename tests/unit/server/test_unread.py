from __future__ import annotations

import asyncio

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from headwater.identity.caller import CALLER, OPERATOR
from headwater.server import unread
from headwater.server.unread import Drained

PIECE = 1 << 20


class Client:
    """Sends a body in pieces, and notes how many were taken before the answer came."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.taken = 0
        self.taken_at_answer: int | None = None

    async def receive(self) -> Message:
        if self.taken == self.pieces:
            await asyncio.sleep(3600)  # it stalls
        self.taken += 1
        return {"type": "http.request", "body": b"x" * PIECE, "more_body": True}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.taken_at_answer = self.taken


class Finite(Client):
    """Sends all of its body."""

    async def receive(self) -> Message:
        self.taken += 1
        return {"type": "http.request", "body": b"x" * PIECE, "more_body": self.taken < self.pieces}


async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("no", 401)(scope, receive, send)


async def reads_one(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await PlainTextResponse("enough", 413)(scope, receive, send)


def ask(client: Client, app: object = refuses, method: str = "POST", *, known: bool = False, **headers: str) -> None:
    given = {"content-length": "5", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        **({CALLER: OPERATOR} if known else {}),
    }
    asyncio.run(Drained(app)(scope, client.receive, client.send))  # type: ignore[arg-type]


@pytest.mark.parametrize("app", [refuses, reads_one])
def test_the_rest_of_a_body_is_read_before_the_answer(app: object) -> None:
    client = Finite(5)
    ask(client, app)
    assert client.taken_at_answer == 5


def test_a_body_without_end_is_read_up_to_a_bound() -> None:
    client = Finite(1000)
    ask(client, transfer_encoding="chunked")
    assert client.taken_at_answer == unread.LIMIT // PIECE


def test_a_known_caller_may_send_a_whole_image_before_it_reads_the_answer() -> None:
    client = Finite(100)
    ask(client, known=True)
    assert client.taken_at_answer == 100


def test_who_was_told_to_go_on_is_read_to_the_end() -> None:
    client = Finite(5)
    ask(client, reads_one, expect="100-continue")
    assert client.taken_at_answer == 5


@pytest.mark.parametrize(("known", "bound"), [(False, "LIMIT_S"), (True, "KNOWN_LIMIT_S")])
def test_a_client_that_stalls_is_waited_for_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch, known: bool, bound: str
) -> None:
    monkeypatch.setattr(unread, bound, 0.05)
    client = Client(2)
    ask(client, known=known)
    assert client.taken_at_answer == 2


@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {}), ("POST", {"expect": "100-continue"}), ("POST", {"content-length": "0"})]
)
def test_what_does_not_come_by_itself_is_not_asked_for(method: str, headers: dict[str, str]) -> None:
    client = Client(0)
    ask(client, method=method, known=False, **headers)
    assert client.taken_at_answer == 0
