"""A boot log as JSON, for the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from headwater.instances.boot_log.entries import Entry
from headwater.instances.boot_log.verdict import Verdict


def document(instance_id: str, name: str, judged: Verdict, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what is shown of a machine.

    Args:
        entries: Those to show, the oldest first.
    """
    shown = [{**asdict(entry), "at": time_of(entry.at)} for entry in entries]
    return {"id": instance_id, "name": name, "verdict": asdict(judged), "entries": shown}


def time_of(at: int) -> str:
    """Return a time as text, to the millisecond."""
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
