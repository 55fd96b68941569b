"""Which instances a list shows."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All that is said holds; nothing said: every instance."""

    id: str | None = None  # lower-case UUID
    name: str | None = None
    project_id: str | None = None
    image_id: str | None = None  # lower-case UUID
    address: str | None = None  # canonical

    @property
    def texts(self) -> list[str]:
        """What is said, whatever it is about."""
        return [text for each in fields(self) if (text := getattr(self, each.name)) is not None]


EVERY = Wanted()
