"""Whether an import goes on, and whether one that failed is tried again, and when: one answer for every way in."""

from __future__ import annotations

import time
from collections.abc import Callable

from headwater.errors import HeadwaterError, Unavailable
from headwater.fetching.fetcher import RemoteFailed
from headwater.images.catalogue.upload_records import UploadLost
from headwater.jobs.queue import Job
from headwater.jobs.runner import ATTEMPTS, Later, TryAgain
from headwater.stores.store import StoreUnavailable

LOOK_EVERY_S = 1.0
_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class Looking:
    """Whether a run may go on; called for each piece of data, and about once a second while none comes."""

    def __init__(self, job: Job, stopping: Callable[[], bool], is_there: Callable[[], object]) -> None:
        """Prepare.

        Args:
            stopping: Whether this process is about to end.
            is_there: Asks the catalogue, every ``LOOK_EVERY_S``; raises when the image is not to be had any more.
        """
        self._job, self._stopping, self._is_there = job, stopping, is_there
        self._looked = time.monotonic()

    def __call__(self) -> None:
        """Return when the run may go on.

        Raises:
            Cancelled: Somebody wants the job to end.
            Later: This process stops; another one begins the work again.
            Exception: What ``is_there`` raises.
        """
        self._job.require_wanted()
        if self._stopping():
            raise Later(0, "this process stops; the work begins again")
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._is_there()
            self._looked = time.monotonic()


class ProcessesDied(HeadwaterError):
    """Each process that ran the job ended before the job did; one more would take the next one with it."""

    def __init__(self, attempts: int) -> None:
        super().__init__(f"the process that worked on it ended {attempts} times before the work did")


class Tries:
    """How often the data of others is asked for."""

    def __init__(self, retries: int) -> None:
        """Take how often a server that fails is asked again."""
        self._retries = retries

    def again(self, attempt: int, error: Exception) -> None:
        """Raise what lets the job run again; return when it is to be given up.

        Args:
            attempt: Which one failed, from 1 on.

        Raises:
            TryAgain: The server of others may give it later.
            Exception: ``error`` itself, which is ours: the job runs again as any other that failed.
        """
        if isinstance(error, RemoteFailed):
            self._later(attempt, error, may_pass=error.may_pass)
        elif attempt < ATTEMPTS and (
            isinstance(error, Unavailable | UploadLost) or not isinstance(error, HeadwaterError)
        ):
            raise error

    def begin(self, attempt: int) -> None:
        """Return when an attempt may be made; raise ``ProcessesDied`` when too many never came to an end."""
        if attempt > ATTEMPTS:
            raise ProcessesDied(ATTEMPTS)

    def of_store(self, attempt: int, error: StoreUnavailable) -> None:
        """Do as ``again`` for a store that fails, which is waited for no longer than for a server of others."""
        self._later(attempt, error, may_pass=error.may_pass_later)

    def _later(self, attempt: int, error: RemoteFailed | StoreUnavailable, *, may_pass: bool) -> None:
        if attempt <= self._retries and may_pass:
            pause_s = min(_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_PAUSE_S)
            raise TryAgain(pause_s, str(error)) from error
