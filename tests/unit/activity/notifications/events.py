"""Events for tests, and a receiver that does what the test says."""

from __future__ import annotations

from typing import Any

from headwater.activity.notifications.event import Event

NOON = 1_795_262_400_000_000  # 2026-11-21T12:00:00Z


def an_event(number: int = 1, **fields: Any) -> Event:
    facts: dict[str, Any] = {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "type": "image.update",
        "subject": "11111111-1111-4111-8111-111111111111",
        "payload": {"id": "11111111-1111-4111-8111-111111111111", "name": f"image {number}"},
        "at": NOON + 123_456,
        "publisher_id": "image.host1",
        "request_id": "req-1",
        "user_id": "ada",
        "project_id": "lovelace",
    }
    return Event(**{**facts, **fields})


class Receiver:
    """A target. ``answers`` are raised, one for each event; afterwards it takes everything."""

    name = "webhook"

    def __init__(self) -> None:
        self.got: list[str] = []
        self.answers: list[Exception | None] = []
        self.closed = False

    def deliver(self, event: Event) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.got.append(event.id)

    def close(self) -> None:
        self.closed = True
