"""A pass over the data of each public image, and of others when a project's feed wants it, once: what feeds of files
say cannot be known otherwise.

Of some of them the upload has made it already (``passing``). For the others there is one job that is never done, so one
process of all reads one image at a time, at the rate that the settings allow. What it finds is kept at the end of each
image: a process that dies leaves nothing behind, and the image is read again. hashlib's state cannot be kept, so
neither can a part of a pass.

The metadata comes first in what LXD and Incus hash, so all of the data has to be read again when the metadata changes.
It is therefore made when an image is read, and changes only when the image becomes another product
(``simplestreams_release`` and the like): a description alone would make every client fetch all of an image again.

Which images there are to read follows from the public images as the feed follows them: all at the start, and from then
on those that have changed. What cannot be read is noted with its reason, and tried again after pauses that grow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Protocol

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.catalogue.public import Revision
from headwater.images.locations.reading import HashCheck, Place, Reading, Report
from headwater.images.model import Image
from headwater.jobs.queue import Job, Jobs
from headwater.jobs.runner import POLL_S, Later, Runner, Tally
from headwater.streams.live.files.passing import Pass
from headwater.streams.live.files.placement import FilePlacement, place_files
from headwater.streams.live.placement import hidden
from headwater.streams.live.sources import ImageSource
from headwater.threads import Pool

KIND = "hash-images"
EVERY_S = 1.0
_AT_ONCE = 100  # images of which is asked at once what is known
_PAUSE_S, _LONGEST_PAUSE_S = 60, 24 * 3600
_NICE = 5  # as all hashing: it keeps no request waiting

_log = logging.getLogger(__name__)


class Known(Protocol):
    """Keeps what was found: see ``images.catalogue.fingerprints``."""

    def of(self, image_ids: Collection[str]) -> Mapping[str, Fingerprint]:
        """Return what is known of images, by their ids."""

    def unread(self) -> list[str]:
        """Return the images of which something was wanted that is not known."""

    def keep(self, found: Fingerprint) -> bool:
        """Keep what was found; ``False`` when the image is gone."""


Places = Callable[[Image], tuple[tuple[Place, ...], Report]]  # where an image's data lies: see ``Downloads.places_of``


class Hashing:
    """The job of one process; for one thread at a time, but for ``stop``."""

    def __init__(
        self,
        images: ImageSource,
        known: Known,
        places: Places,
        *,
        rate: int,
        all_public: bool = True,
        stopping: Callable[[], bool] = lambda: False,
        wait: Callable[[float], object] = time.sleep,
        clock: Clock = now,
    ) -> None:
        """Take what it works with.

        Args:
            rate: Bytes a second at most.
            all_public: Read each public image, and not only what somebody wanted.
            stopping: Says whether this process is about to end; the job then makes way.
            wait: Sleeps for so many seconds, or shorter when this process is about to end.
        """
        self._images, self._known, self._places, self._all_public = images, known, places, all_public
        self._rate, self._stopping, self._wait, self._clock = rate, stopping, wait, clock
        self._seen: Revision | None = None  # up to which change it is known what there is to read
        self._waiting: dict[str, None] = {}  # ids of images that may have to be read, in their order
        self._resting: dict[str, int] = {}  # those that could not be read, and when they are tried again

    def run(self, _job: Job) -> None:
        """Read what there is to read, and wait for more."""
        try:
            self.catch_up()
        except Later:
            raise
        except Exception as error:
            _log.warning("images cannot be hashed for now", extra={"error": str(error) or type(error).__name__})
            raise Later(EVERY_S, str(error)) from error
        raise Later(EVERY_S, "every image that can be read is hashed")

    def catch_up(self) -> None:
        """Read each image of which something is wanted that is not known, one after the other.

        Raises:
            Later: This process stops.
        """
        self._look()
        self._waiting |= dict.fromkeys(self._due())
        while self._waiting:
            self._read_one()
            self._look()

    def has_work(self) -> bool:
        """Return whether there may be something to read."""
        return bool(self._waiting or self._due()) or self._images.revision() != self._seen

    def _due(self) -> list[str]:
        """Return the images that could not be read, and whose pause is over."""
        return [image_id for image_id, at in self._resting.items() if at <= self._clock()]

    def _read_one(self) -> None:
        """Look at some of the images that wait, until one was read: what was asked of the others is old then."""
        some = list(islice(self._waiting, _AT_ONCE))
        known = self._known.of(some)
        images = {image.id: image for image in self._images.get(some)}
        for image_id in some:
            image, found = images.get(image_id), known.get(image_id)
            self._resting.pop(image_id, None)
            if image is not None and (found or self._all_public) and _is_wanted(image, found):
                again_at = _again_at(image, found)
                if again_at <= self._clock():
                    self._read(image, found)
                    del self._waiting[image_id]
                    return
                self._resting[image_id] = again_at
            del self._waiting[image_id]

    def _look(self) -> None:
        """Learn what has changed since the last look."""
        revision = self._images.revision()
        if revision == self._seen:
            return
        changed = None if self._seen is None else self._images.changed(self._seen, revision)
        if changed is None:
            everything = self._images.everything() if self._all_public else ()
            changed = [*self._known.unread(), *(image.id for image in everything)]
        self._waiting.update(dict.fromkeys(changed))
        self._seen = revision

    def _read(self, image: Image, known: Fingerprint | None) -> None:
        at = place_files(image, for_everybody=False)
        making = Pass(image, at if isinstance(at, FilePlacement) else None)
        try:
            for piece in self._pieces(image):
                for feed in making.feeds:
                    feed(piece)
            found = making.found(image, self._clock())
        except Later:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the images behind this one are read
            _log.warning("an image cannot be hashed", extra={"image": image.id, "error": str(error)})
            told = error.told if isinstance(error, HeadwaterError) else "its data cannot be read: the log has more"
            before = Fingerprint(image_id=image.id, data_hash=image.os_hash_value or "")
            if known is not None and known.is_of(image):
                before = known  # what it says is still true
            found = replace(before, tried_at=self._clock(), attempts=before.attempts + 1, error=told)
        self._known.keep(found)

    def _pieces(self, image: Image) -> Iterator[bytes]:
        """Yield all of an image's data, no faster than allowed; what is not the image's is an error at the end."""
        places, report = self._places(image)
        size, began, read = image.size or 0, time.monotonic(), 0
        reading = Reading(image, [_checked(place, image) for place in places], range(size), report)
        try:
            for piece in reading:
                if self._stopping():
                    raise Later(0, "this process stops")
                yield piece
                read += len(piece)
                ahead_s = read / self._rate - (time.monotonic() - began)
                if ahead_s > 0:
                    self._wait(ahead_s)
        finally:
            reading.close()


def _again_at(image: Image, known: Fingerprint | None) -> int:
    """Return from when on an image may be read, in microseconds since 1970."""
    if known is None or not known.attempts or not known.is_of(image):
        return 0
    return known.tried_at + min(_PAUSE_S << min(known.attempts - 1, 20), _LONGEST_PAUSE_S) * 1_000_000


def _checked(place: Place, image: Image) -> Place:
    """Return a place of which all that is read is held against the image's hash."""
    return place if place.check is not None else replace(place, check=lambda: HashCheck(image, place.at))


def _is_wanted(image: Image, known: Fingerprint | None) -> bool:
    """Return whether feeds want to know of an image what is not known; of one for some, if it was wanted."""
    if any(hidden(image, for_everybody=known is None)) or not image.os_hash_value or not image.size:
        return False
    if known is None or known.sha256 is None or not known.is_of(image):
        return True
    at = place_files(image, for_everybody=False)
    return isinstance(at, FilePlacement) and at.product_id != known.product


class HashingJob:
    """Lets the job be done by one process of all, in a thread of its own."""

    def __init__(
        self,
        images: ImageSource,
        known: Known,
        places: Places,
        jobs: Jobs,
        *,
        rate: int,
        all_public: bool,
        tally: Tally | None = None,
    ) -> None:
        self._jobs, self._is_entered = jobs, False
        self._hashing = hashing = Hashing(
            images,
            known,
            places,
            rate=rate,
            all_public=all_public,
            stopping=self._is_stopping,
            wait=self._wait,
        )
        self._runner = Runner(jobs, {KIND: hashing.run}, Pool("hashing-images", 1, nice=_NICE), tally=tally)

    def look(self) -> float:
        """Begin the job if there is work and nobody does it, and return after how many seconds to look again."""
        if not self._is_entered:
            self._jobs.ensure([KIND], now())
            self._is_entered = True
        return self._runner.look() if self._hashing.has_work() else POLL_S

    def renew(self) -> None:
        """Say that this process does it, if it does."""
        self._runner.renew()

    def stop(self) -> None:
        """Let the job make way for another process."""
        self._runner.stop()

    def close(self) -> None:
        """Wait until it has."""
        self._runner.close()

    def _is_stopping(self) -> bool:
        return self._runner.stopping.is_set()

    def _wait(self, seconds: float) -> object:
        return self._runner.stopping.wait(seconds)
