"""Runs of sources: jobs of the service, each of one process at a time, bounded, and ended when somebody wants that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError, Unavailable
from headwater.fetching.fetcher import Fetcher
from headwater.images.assembly.service import ImageService
from headwater.jobs import leases
from headwater.jobs.overview import Count, Overview
from headwater.jobs.queue import Cancelled, Job, Jobs
from headwater.jobs.runner import POLL_S, Handler, Later, Runner, TryAgain
from headwater.jobs.runner import Tally as Attempts
from headwater.streams.query.reading import split_name
from headwater.streams.syncing.offers import read_offers
from headwater.streams.syncing.running import Report, Sync
from headwater.streams.syncing.sources.fetched_tree import FetchedTree
from headwater.streams.syncing.sources.rows import KIND, SourceRows
from headwater.streams.syncing.sources.source import Outcome, Source
from headwater.streams.syncing.targets.catalogue import CatalogueTarget
from headwater.streams.syncing.targets.target import Target
from headwater.threads import Pool

TRIES: Final = 3  # of one run, when a server does not answer; then the next one is due when it is due
LONGEST_S: Final = 24 * 3600
_TOLD: Final = 20  # failures that a source shows

_log = logging.getLogger(__name__)


class RunTooLong(HeadwaterError):
    """A run did not come to its end in a day."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the run of source {name} was ended after {LONGEST_S // 3600} hours; the next one goes on")
        self.name = name


class Tally(Attempts, Protocol):
    """Counts, for the operator."""

    def jobs(self, counts: Mapping[str, Count], now: int) -> None:
        """Note how many jobs there are of each kind."""

    def sources(self, sources: Mapping[str, Source]) -> None:
        """Note how sources stand, by name; those that were there before and are not named are gone."""

    def synced(self, source: str, counts: Mapping[str, int]) -> None:
        """Note what became of the images of a run."""


class SourceWork:
    """The runs of one process."""

    def __init__(
        self,
        rows: SourceRows,
        jobs: Jobs,
        images: ImageService,
        fetcher: Fetcher,
        pool: Pool,
        *,
        overview: Overview,
        tally: Tally,
        clock: Clock = now,
        target_of: Callable[[Source], Target] | None = None,
    ) -> None:
        """Take what runs work with.

        Args:
            pool: As many runs go on at once as it has threads.
        """
        self._rows, self._fetcher, self._tally, self._clock = rows, fetcher, tally, clock
        self._overview = overview
        self._target_of = target_of or (lambda source: CatalogueTarget(images, source.project_id))
        self._runner = Runner(jobs, self.handlers, pool, tally=tally)

    @property
    def handlers(self) -> dict[str, Handler]:
        """What runs the jobs, by kind."""
        return {KIND: self.run}

    def look(self) -> float:
        """Enter runs that are due, begin some, and return after how many seconds to look again."""
        self._rows.enter_due(self._clock())
        return max(POLL_S, self._runner.look())

    def renew(self) -> None:
        """Say that this process lives, and note how all sources stand."""
        self._runner.renew()
        self._tell()
        self._tally.jobs(self._overview.count([KIND]), self._clock())

    def _tell(self) -> None:
        self._tally.sources({source.name: source for source in self._rows.all()})

    def stop(self) -> None:
        """Begin no more runs, and let those that go on make way for other processes."""
        self._runner.stop()

    def close(self) -> None:
        """Wait for what runs."""
        self._runner.close()

    def run(self, job: Job) -> None:
        """Run one source, and note how it ended; a source that is gone is done."""
        source = self._rows.of_id(str(job.document["source_id"]))
        if source is None or source.job_id != job.id or source.ended_at is not None:
            return
        self._rows.began(source.id, self._clock())
        try:
            report = self._bring(job, source)
        except Cancelled as error:
            self._rows.ended(source.id, Outcome.CANCELLED, self._clock(), error=str(error), report=None)
            raise
        except Later:
            raise  # another process goes on at once
        except HeadwaterError as error:
            self._failed(job, source, error)
        except Exception as error:
            problem = f"Headwater has erred ({type(error).__name__}); its log has more"
            self._rows.ended(source.id, Outcome.FAILED, self._clock(), error=problem, report=None)
            raise
        else:
            self._ended(source, report)

    def _bring(self, job: Job, source: Source) -> Report:
        stopping, deadline = self._runner.stopping, time.monotonic() + LONGEST_S

        def require_wanted() -> None:
            job.require_wanted()
            if stopping.is_set():
                raise Later(leases.RENEW_EVERY_S, f"source {source.name}: this process stops")
            if time.monotonic() > deadline:
                raise RunTooLong(source.name)

        require_wanted()
        settings = source.settings
        root, start = split_name(settings.url)
        tree = FetchedTree(root, self._fetcher, require_wanted)
        keyring = settings.keyring_bytes()
        trusted = None
        if keyring is not None:
            from headwater.streams.signing.certificates import certificates_in  # noqa: PLC0415 - long to load

            trusted = certificates_in(keyring, "of the source")
        offered = read_offers(tree, settings.terms, start=start, trusted=trusted, verifies=settings.verify)
        sync = Sync(
            tree, self._target_of(source), settings.terms, require_wanted=require_wanted, sleep=_waits(stopping.wait)
        )
        report = sync.plan(offered)
        sync.perform(report)
        return report

    def _failed(self, job: Job, source: Source, error: HeadwaterError) -> None:
        facts = {"source": source.name, "error": str(error), "attempts": job.attempts}
        _log.warning("a source failed", extra=facts)
        if isinstance(error, Unavailable) and job.attempts < TRIES:
            self._rows.failed(source.id, str(error))
            raise TryAgain(60.0 * job.attempts, str(error)) from error
        self._rows.ended(source.id, Outcome.FAILED, self._clock(), error=str(error), report=None)

    def _ended(self, source: Source, report: Report) -> None:
        failures = [*report.problems, *(f"{step.key}: {step.error}" for step in report.steps if step.error)]
        error = None
        if failures:
            more = f" (and {len(failures) - _TOLD} more)" if len(failures) > _TOLD else ""
            error = "; ".join(failures[:_TOLD]) + more
        outcome = Outcome.DONE if error is None else Outcome.FAILED
        told = {"counts": report.counts, "failures": failures[:_TOLD]}
        self._rows.ended(source.id, outcome, self._clock(), error=error, report=told)
        self._tally.synced(source.name, report.counts)
        self._tell()
        _log.info("a source has run", extra={"source": source.name, "outcome": outcome.value, **report.counts})


def _waits(wait: Callable[[float], bool]) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        wait(seconds)

    return sleep
