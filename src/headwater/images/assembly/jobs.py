"""Who does the jobs of images: those that somebody asked for, and house-keeping."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.clock import now
from headwater.images.assembly.parts import Counts, ImagePools
from headwater.images.data.leftovers import Leftovers
from headwater.images.data.resumable.uploads import ResumableUploading
from headwater.images.data.sweeping import EVERY_S, Sweeping
from headwater.images.data.trash import Trash
from headwater.jobs.overview import Overview
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import Handler, Runner
from headwater.jobs.standing import standing

FORGET_EVERY_S = 60


class ImageJobs:
    """The runners of one process, and what only a process of its machine can do."""

    def __init__(
        self,
        jobs: Jobs,
        overview: Overview,
        handlers: Mapping[str, Handler],
        standing_too: Mapping[str, Handler],
        *,
        sweeping: Sweeping,
        trash: Trash,
        leftovers: Leftovers,
        resumable: ResumableUploading,
        pools: ImagePools,
        tally: Counts,
        keep_failed_s: int,
    ) -> None:
        """Take what they do.

        Args:
            handlers: Of the jobs that somebody asked for, by kind.
            standing_too: More house-keeping, by name.
            keep_failed_s: For how long jobs are kept that were given up.
        """
        self._jobs, self._overview, self._kinds = jobs, overview, tuple(handlers)
        self._sweeping, self._trash, self._leftovers, self._resumable = sweeping, trash, leftovers, resumable
        self._tally = tally
        self.asked = Runner(jobs, handlers, pools.jobs, tally=tally)
        self._standing = {
            **sweeping.handlers,
            **standing_too,
            "scrub-deleted": standing(self._scrub, EVERY_S),
            "clear-uploads": standing(self._clear_expired, EVERY_S),
            "forget-failed-jobs": standing(
                lambda: jobs.forget_failed(now() - keep_failed_s * 1_000_000), FORGET_EVERY_S
            ),
        }
        self.house = Runner(jobs, self._standing, pools.house, tally=tally)

    def renew(self) -> None:
        """Say that this process lives."""
        self.asked.renew()
        self.house.renew()

    def keep_house(self) -> None:
        """Do what only a process of this machine can: it sees who died. The rest are jobs, of one process at a time."""
        self.asked.release_dead()
        self._jobs.ensure(self._standing, now())
        if self._leftovers.clear_dead():
            self._hasten_sweeps()
        self._sweeping.count()
        self._trash.count(self._tally)
        self._tally.jobs(self._overview.count(self._kinds), now())

    def stop(self) -> None:
        """Begin no more jobs, and let those that run make way for other processes."""
        self.asked.stop()
        self.house.stop()

    def close(self) -> None:
        """Wait for what runs."""
        self.asked.close()
        self.house.close()

    def _scrub(self) -> None:
        if self._trash.scrub():
            self._hasten_sweeps()

    def _clear_expired(self) -> None:
        if self._leftovers.clear_expired() + self._resumable.clear():
            self._hasten_sweeps()

    def _hasten_sweeps(self) -> None:
        """Let bytes be removed at once that nobody needs since now."""
        self._jobs.hasten(self._sweeping.handlers, now())
