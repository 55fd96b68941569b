"""Which processes run jobs, and how many at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headwater.config import Section


class JobsSettings(Section):
    """Section ``[jobs]``: work that no request waits for, such as imports, copies and house-keeping."""

    in_service: Annotated[
        bool,
        Field(
            description="Whether 'headwater serve' runs jobs; where it does not, 'headwater worker' has to, here or on "
            "another machine."
        ),
    ] = True
    threads: Annotated[
        int | None,
        Field(
            description="Jobs of one worker that run at the same time, house-keeping aside. Default: as many as "
            "server.web_threads.",
            ge=1,
            le=1024,
        ),
    ] = None
    keep_failed_h: Annotated[
        int, Field(description="How long a job that was given up can be seen and retried, in hours.", ge=1, le=8760)
    ] = 168
