"""How much is measured, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MIB = 1 << 20
GIB = 1 << 30

LoadGenerator = Literal["auto", "wrk", "own"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. Sizes are bytes."""

    rooms: Path  # an empty directory on the disk to be measured; each bench makes its own in it
    workers: int | None = None  # None: as many as `headwater serve` takes by itself
    rounds: int = 3
    upload_size: int = 2 * GIB
    upload_size_of_four: int = 1 * GIB  # each of the four
    download_size: int = 1 * GIB
    store_size: int = 256 * MIB
    import_size: int = 2 * GIB
    cache_size: int = 1 * GIB
    cache_readers: int = 200  # of an image that is not in the cache yet
    readers: int = 600
    catalogues: tuple[int, ...] = (100, 100_000, 1_000_000)  # images, ascending
    registries: tuple[int, ...] = (100, 1_000_000)  # instances, a few and many
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    seconds: float = 2.0  # each burst of requests
    pages: int = 200  # how often each page is asked for
    starts: int = 5
    feed_sizes: tuple[int, ...] = (10 * MIB, 42 * MIB)  # of products documents
    mirrored_files: int = 20_000
    guests: int = 1000  # that boot at once
    load_generator: LoadGenerator = "auto"

    def room(self, name: str) -> Path:
        """Make an empty directory."""
        room = self.rooms / name
        room.mkdir()
        return room
