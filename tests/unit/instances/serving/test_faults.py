from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.types import Message, Receive, Scope, Send

from headwater.http.context import context
from headwater.instances.serving.faults import Dropped, FaultSettings, Faulty


class Guest:
    """Asks an application with faults, whose every answer is another."""

    def __init__(self, *faults: FaultSettings) -> None:
        self.reads = 0
        self._app = Faulty(self._answer, faults)

    async def _answer(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.reads += 1
        if scope["client"] is not None:
            context(scope).instance_id = scope["client"][0]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answer %d" % self.reads})

    def get(self, path: str = "/latest/user-data", *, name: str | None = "web1") -> tuple[int, bytes]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Any = {"type": "http", "path": path, "client": None if name is None else (name, 1)}
        try:
            asyncio.run(self._app(scope, receive, send))
        except Dropped:
            return (0, b"".join(each.get("body", b"") for each in sent))
        self.headers = dict(sent[0]["headers"])
        return sent[0]["status"], b"".join(each.get("body", b"") for each in sent)


def test_a_status_comes_in_place_of_the_document_so_many_times_for_each_instance() -> None:
    guest = Guest(FaultSettings(path="*/user-data", status=503, retry_after_s=7, times=2, skip=1))
    assert [guest.get()[0] for _ in range(4)] == [200, 503, 503, 200]
    assert [guest.get(name="web2")[0] for _ in range(2)] == [200, 503]
    assert guest.headers[b"retry-after"] == b"7"
    assert guest.get("/latest/meta-data/")[0] == 200


def test_an_answer_breaks_off_in_the_middle_or_before_its_beginning() -> None:
    assert Guest(FaultSettings(path="*", drop_after=3)).get() == (0, b"ans")
    assert Guest(FaultSettings(path="*", drop_after=0)).get() == (0, b"")


def test_an_old_answer_is_given_again() -> None:
    guest = Guest(FaultSettings(path="*", stale=True, skip=1, times=1))
    assert [guest.get()[1] for _ in range(3)] == [b"answer 1", b"answer 1", b"answer 3"]


def test_an_answer_is_late() -> None:
    guest = Guest(FaultSettings(path="*", delay_s=0.01))
    assert guest.get() == (200, b"answer 1")


def test_the_first_fault_that_is_due_is_taken() -> None:
    guest = Guest(FaultSettings(path="*", status=500, times=1), FaultSettings(path="/latest/*", status=404, times=2))
    assert [guest.get()[0] for _ in range(3)] == [500, 404, 200]


def test_who_is_not_known_gets_its_answer() -> None:
    assert Guest(FaultSettings(path="*", status=500)).get(name=None)[0] == 200


@pytest.mark.parametrize(
    "wrong", [{}, {"status": 500, "stale": True}, {"status": 200}, {"retry_after_s": 3, "stale": True}]
)
def test_a_fault_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FaultSettings.model_validate({"path": "*", **wrong})
