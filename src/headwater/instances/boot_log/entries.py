"""What is kept of one request of a guest: enough to say why it did not configure itself, and no secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

_AGENT = 120  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One event that cloud-init has posted. Source: cloudinit/reporting/events.py."""

    name: str
    description: str
    event: str  # "start" or "finish"
    result: str | None = None  # of what is finished: SUCCESS, WARN, FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request, or what a guest has reported with one."""

    at: int  # microseconds since 1970, UTC: when it came
    method: str
    document: str  # as ``paths.document_name`` has it
    status: int
    ms: float
    sent: int  # bytes of the body
    complete: bool  # whether all of the answer went out
    token: bool  # whether a session token was shown
    agent: str
    report: Report | None = None


def agent_of(text: str) -> str:
    """Return what is kept of a ``User-Agent``, which may hold anything."""
    return "".join(each if each.isprintable() else "?" for each in text[:_AGENT])


def encoded(entries: Sequence[Entry]) -> str:
    """Return entries as one JSON text."""
    return msgspec.json.encode(entries).decode()


def decoded(text: str) -> list[Entry]:
    """Return what ``encoded`` was given."""
    return msgspec.json.decode(text, type=list[Entry])
