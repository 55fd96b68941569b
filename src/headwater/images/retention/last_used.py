"""Which images were used in this process: gathered in memory, and noted in the catalogue now and then.

A download costs a look into a dict. What was gathered is noted by ``keep``, in a thread that nobody waits for, and an
image that this process has noted within the hour is not even gathered. A process that is killed loses the uses of the
last ``jobs.leases.RENEW_EVERY_S`` seconds; what goes by them counts in days.
"""

from __future__ import annotations

import threading

from headwater.clock import Clock, now
from headwater.images.catalogue.retention.uses import HOUR, ImageUseRows

MOST = 100_000  # images that are remembered


class LastUsed:
    """The uses of images in one process; safe to use from several threads."""

    def __init__(self, uses: ImageUseRows, clock: Clock = now) -> None:
        self._uses = uses
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[str, int] = {}  # within the hour, by this process
        self._gathered: dict[str, int] = {}
        self._said_at = -HOUR  # when this process last said that uses are noted

    def note(self, image_id: str) -> None:
        """Say that somebody uses an image's data now."""
        at = self._clock()
        with self._lock:
            has_room = len(self._gathered) < MOST or image_id in self._gathered
            if has_room and at - self._noted.get(image_id, -HOUR) >= HOUR:
                self._gathered[image_id] = at

    def keep(self) -> None:
        """Note in the catalogue what was gathered; it stays gathered when that fails.

        Raises:
            Unavailable: The database does not answer.
        """
        at = self._clock()
        if at - self._said_at >= HOUR:
            self._uses.going_on(at)
            self._said_at = at
        with self._lock:
            gathered = dict(self._gathered)
        if not gathered:
            return
        self._uses.note(gathered)
        an_hour_ago = at - HOUR
        with self._lock:
            self._gathered = {each: at for each, at in self._gathered.items() if at != gathered.get(each)}
            kept = {**self._noted, **gathered} if len(self._noted) < MOST else gathered
            self._noted = {each: at for each, at in kept.items() if at > an_hour_ago}

    def close(self) -> None:
        """Note what is left. A process that gives no data out, such as a command, has nothing to say of uses."""
        if self._gathered:
            self.keep()
