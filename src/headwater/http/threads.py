"""Threads for the work of requests."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.threads import Pool


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads by kind of work, so that one kind never starves another."""

    catalogue: Pool  # asks the catalogue
    transfers: Pool  # moves data
    web: Pool  # waits for web servers of others, which may be slow
