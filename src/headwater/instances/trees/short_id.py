"""The ids of EC2, made of UUIDs."""

from __future__ import annotations


def short_id(prefix: str, uuid: str | None) -> str:
    """Return an EC2 id: the prefix and the first eight hex digits of the UUID; zeros when there is none."""
    return f"{prefix}-{uuid[:8] if uuid is not None else '00000000'}"
