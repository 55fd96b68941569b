"""Run jobs in threads of this process, beside its requests.

``look`` claims as many jobs as there are free threads; it is called again and again, and says how soon to
call it next. What a job raises is logged, and the job runs again after a pause that grows, ``ATTEMPTS`` times at
most; then it is given up, and kept for a while. A job that others want to end is told so (``Job.require_wanted``). To
wait is not to fail: a job that makes way (``Later``) for whatever it waits for, or because its process stops, may do so
for ever.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError
from headwater.jobs import leases
from headwater.jobs.queue import Cancelled, Job, Jobs
from headwater.threads import Pool

_log = logging.getLogger(__name__)

ATTEMPTS = 20
_PAUSE_S, _LONGEST_PAUSE_S = 2, 3600
POLL_S = 1.0  # how long work may wait until it is noticed

Handler = Callable[[Job], None]
End = Literal["done", "waits", "again", "failed", "cancelled"]  # of one attempt


class Tally(Protocol):
    """Counts attempts, for the operator."""

    def ran(self, kind: str, end: End, seconds: float) -> None:
        """Note that an attempt of a job took so long."""


class NoTally:
    """Counts nothing."""

    def ran(self, kind: str, end: End, seconds: float) -> None:
        """Do nothing."""


class Later(HeadwaterError):
    """The job waits: run it again after a while. Raised by what runs it; it counts as no attempt."""

    def __init__(self, after_s: float, reason: str) -> None:
        super().__init__(reason)
        self.after_s = after_s


class TryAgain(HeadwaterError):
    """The job failed: run it again after a while. Raised by what runs it, which counts its attempts itself."""

    def __init__(self, after_s: float, reason: str) -> None:
        super().__init__(reason)
        self.after_s = after_s


class GivenUp(HeadwaterError):
    """The job failed for good, and all is in order: it is kept, to be seen and retried. The message is why."""


class Runner:
    """Runs the jobs of some kinds; safe to use from several threads."""

    def __init__(
        self,
        jobs: Jobs,
        handlers: Mapping[str, Handler],
        pool: Pool,
        *,
        clock: Clock = now,
        name: str | None = None,
        tally: Tally | None = None,
    ) -> None:
        """Prepare; nothing is claimed yet.

        Args:
            handlers: What runs the jobs of each kind, in a thread of its own. It must not mind to run twice.
            pool: As many jobs run at once as it has threads; ``close`` closes it.
            name: This process, as ``leases.writer_name`` names it.
        """
        self._jobs = jobs
        self._handlers = handlers
        self._clock = clock
        self._name = name or leases.writer_name()
        self._pool = pool
        self._tally = tally or NoTally()
        self._running: dict[str, Job] = {}
        self._lock = threading.Lock()
        self.stopping = threading.Event()  # long work looks here, and raises ``Later``

    def look(self) -> float:
        """Begin jobs that wait, and return after how many seconds to look again."""
        running = self._runs()
        if running:
            self._heed_wishes()
        free = self._pool.size - len(running)
        if not free or self.stopping.is_set():
            return POLL_S
        claimed = self._jobs.claim(self._handlers, self._name, self._clock(), limit=free, running=running)
        with self._lock:
            self._running.update({job.id: job for job in claimed})
        for job in claimed:
            self._pool.start(lambda job=job: self._run(job))  # type: ignore[misc]  # binds this turn's job
        return 0.05 if len(claimed) == free else POLL_S

    def _heed_wishes(self) -> None:
        wishes = self._jobs.cancelled(self._name)
        with self._lock:
            for job_id in wishes.keys() & self._running.keys():
                self._running[job_id].wish.cancelled_by = wishes[job_id]

    def renew(self) -> None:
        """Keep what runs here from being run elsewhere; to be called every ``leases.RENEW_EVERY_S`` seconds."""
        self._jobs.renew(self._name, self._runs(), self._clock())

    def release_dead(self) -> None:
        """Let what processes run that are certainly gone be run at once, and what a clock put off that was ahead."""
        self._jobs.release_dead(self._clock())
        self._jobs.recall_from_the_future(self._clock())

    def stop(self) -> None:
        """Take no more jobs, and let those that run make way for other processes."""
        self.stopping.set()

    def close(self) -> None:
        """Take no more jobs, and wait for those that run."""
        self.stop()
        self._pool.close()

    def _runs(self) -> list[str]:
        with self._lock:
            return sorted(self._running)

    def _run(self, job: Job) -> None:
        began = time.monotonic()
        try:
            end = self._attempt(job)
            self._tally.ran(job.kind, end, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - the catalogue is away: the lease ends, and the job runs again
            _log.warning("a job's end could not be noted", extra={"kind": job.kind, "job": job.id, "error": str(error)})
        finally:
            with self._lock:
                del self._running[job.id]

    def _attempt(self, job: Job) -> End:
        try:
            self._handlers[job.kind](job)
        except Later as later:
            _log.debug("a job waits", extra={"kind": job.kind, "job": job.id, "reason": str(later)})
            self._again(job, later.after_s, counts=False)
            return "waits"
        except TryAgain as again:
            facts = {"kind": job.kind, "job": job.id, "attempts": job.attempts, "reason": str(again)}
            _log.info("a job failed and will run again", extra=facts)
            self._again(job, again.after_s, error=str(again))
            return "again"
        except GivenUp as error:
            self._jobs.give_up(job, self._name, self._clock(), str(error))
            return "failed"
        except Cancelled as cancelled:  # nothing had to be put in order
            _log.info("a job was cancelled", extra={"kind": job.kind, "job": job.id, "by": cancelled.by})
            self._jobs.done(job, self._name)
            return "cancelled"
        except Exception as error:  # noqa: BLE001 - whatever it is, the job runs again
            facts = {"kind": job.kind, "job": job.id, "attempts": job.attempts, "error": str(error)}
            if job.attempts >= ATTEMPTS:
                _log.exception("a job was given up", extra=facts)
                self._jobs.give_up(job, self._name, self._clock(), _reason(error))
                return "failed"
            _log.warning("a job failed and will run again", extra=facts)
            self._again(job, min(_PAUSE_S * 2.0 ** (job.attempts - 1), _LONGEST_PAUSE_S), error=_reason(error))
            return "again"
        self._jobs.done(job, self._name)
        return "done" if job.wish.cancelled_by is None else "cancelled"

    def _again(self, job: Job, after_s: float, *, counts: bool = True, error: str | None = None) -> None:
        self._jobs.again(job, self._name, self._clock() + int(after_s * 1_000_000), counts=counts, error=error)


def _reason(error: Exception) -> str:
    """Return what operators are shown of an error; what was not raised on purpose may quote anything."""
    return str(error) if isinstance(error, HeadwaterError) else f"{type(error).__name__}: the log has more"
