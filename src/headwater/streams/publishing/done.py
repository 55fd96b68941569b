"""What was, or would be, done with a file, a service or an endpoint."""

from __future__ import annotations

from enum import StrEnum


class Done(StrEnum):
    """What was, or would be, done."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"
    REMOVED = "removed"
