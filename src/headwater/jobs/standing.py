"""Work that is never done: one process at a time does it, and then it waits until it is due again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from headwater.jobs.queue import Job
from headwater.jobs.runner import Handler, Later

_log = logging.getLogger(__name__)


def standing(work: Callable[[], object], every_s: float) -> Handler:
    """Return what runs a job that is never done; see ``Jobs.ensure``.

    Whatever ``work`` raises is logged, and the job stays: nobody else would do what it does.
    """

    def run(job: Job) -> None:
        try:
            work()
        except Later:
            raise
        except Exception as error:  # noqa: BLE001 - tried again when it is due
            _log.warning("house-keeping failed", extra={"kind": job.kind, "error": str(error) or type(error).__name__})
        raise Later(every_s, f"{job.kind} is done for now")

    return run
