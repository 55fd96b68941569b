"""Section ``[cache]``: copies of images on this machine's own disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from headwater.config import Section


class CacheSettings(Section):
    """Section ``[cache]``."""

    directory: Annotated[
        Path | None,
        Field(
            description="Directory, on a disk of this machine, that keeps copies of images from stores that are no "
            "directories. All workers of this machine share it; no other machine may. Default: there is no cache."
        ),
    ] = None
    max_size: Annotated[
        int, Field(description="Most bytes of images in it. What was not read for longest goes first.", ge=1)
    ] = 10 << 30
    prune_every_s: Annotated[
        int,
        Field(
            description="How often what no image has any more is removed from it, and what lies above its size, in "
            "seconds.",
            ge=1,
            le=86400,
        ),
    ] = 300
    prefetch_every_s: Annotated[
        int,
        Field(
            description="How often queued images that are not in it yet are fetched, in seconds. What is queued by the "
            "API is fetched at once.",
            ge=1,
            le=86400,
        ),
    ] = 15
