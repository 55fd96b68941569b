"""What uploads leave behind whose process is gone, and how it is told from what goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from headwater.clock import Clock, now
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.upload_records import Upload, UploadRows, taken_over
from headwater.images.data.scrubber import Scrubber
from headwater.images.model import Image, Location, Status
from headwater.jobs import leases

_log = logging.getLogger(__name__)


class Running:
    """The uploads of this process; safe to use from several threads."""

    def __init__(self, writer: str | None = None) -> None:
        """Take the name that this process writes under; by default one of its own."""
        self.writer = writer or leases.writer_name()
        self._locations: set[Location] = set()
        self._lock = threading.Lock()

    def add(self, location: Location) -> None:
        """Say that bytes are on their way there."""
        with self._lock:
            self._locations.add(location)

    def discard(self, location: Location) -> None:
        """Say that they are no more."""
        with self._lock:
            self._locations.discard(location)

    def __contains__(self, location: Location) -> bool:
        with self._lock:
            return location in self._locations

    def any(self) -> bool:
        """Return whether there is one."""
        return bool(self._locations)


class Leftovers:
    """Undoes uploads that broke off; safe to use from several threads and processes."""

    def __init__(
        self,
        changes: Changes,
        records: UploadRows,
        scrubber: Scrubber,
        running: Running,
        *,
        clock: Clock = now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what uploads go through.

        Args:
            steady: A clock in seconds, of any beginning, which never steps.
        """
        self._changes = changes
        self._records = records
        self._scrubber = scrubber
        self._running = running
        self._clock = clock
        self._still: leases.StandingStill[tuple[Location, str]] = leases.StandingStill(steady)

    def clear_all(self) -> int:
        """Undo uploads whose writer is gone and remove some of the bytes that nobody needs; return how many objects."""
        self._clear(lambda upload: self._is_dead(upload) or self._is_expired(upload))
        return self._scrubber.sweep()

    def clear_dead(self) -> int:
        """Undo uploads whose writer is seen to be gone, and leave their bytes to the sweep; return how many.

        For every process: only those of the same machine see it.
        """
        return self._clear(self._is_dead)

    def clear_expired(self) -> int:
        """Undo uploads of writers elsewhere whose lease has run out, as ``clear_dead`` does; for one process.

        One that lies too far ahead has run out when it has stood still (``leases.StandingStill``).
        """
        uploads = self._records.uploads()
        elsewhere = {
            (each.location, each.writer): each.expires_at
            for each in uploads
            if leases.life_of(each.writer) is leases.Life.UNKNOWN
        }
        over = self._still.over(elsewhere, self._clock())
        return self._clear(lambda each: self._is_expired(each) or (each.location, each.writer) in over, uploads)

    def _clear(self, is_left: Callable[[Upload], bool], uploads: Iterable[Upload] | None = None) -> int:
        cleared = 0
        for upload in self._records.uploads() if uploads is None else uploads:
            if not is_left(upload):
                continue
            with self._changes.told(None, "image.update", upload.image_id, if_moved=True) as change:
                is_ours = change.commit(taken_over(upload, self._waiting, self._clock()))
            if is_ours:
                _log.info("an upload that broke off was cleared", extra={"image": upload.image_id})
                cleared += 1
        return cleared

    def _is_dead(self, upload: Upload) -> bool:
        if upload.writer == self._running.writer:  # one whose end could not be noted
            return upload.location not in self._running
        return leases.is_dead(upload.writer)

    def _is_expired(self, upload: Upload) -> bool:
        return upload.writer != self._running.writer and leases.is_free(upload.writer, upload.expires_at, self._clock())

    def _waiting(self, image: Image) -> Image:
        return replace(image.moved_to(Status.QUEUED), updated_at=self._clock())
