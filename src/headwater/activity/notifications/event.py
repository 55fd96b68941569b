"""One thing that happened, as every receiver is told of it: facts only, no format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from headwater.database.documents import known


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened, when, and who did it."""

    id: str  # the same each time that the event is sent: a receiver knows by it what it has already
    type: str  # as OpenStack writes it: image.create, image.member.update, metadef_tag.delete
    payload: Mapping[str, Any] = field(repr=False)  # what it happened to; JSON
    at: int  # microseconds since 1970, UTC
    subject: str | None = None  # id or name of what it happened to
    publisher_id: str = ""
    priority: str = "INFO"
    request_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Event:
        """Return the event that ``to_dict`` wrote, maybe that of another release."""
        return cls(**known(cls, document))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)
