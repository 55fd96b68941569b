"""The snapshots in use, each as new as its answer has to be.

A guest reads some thirty documents one after another, over new connections that may reach
different processes, and one that is listed and then missing makes cloud-init drop all of them. So a
snapshot is a pure function of the record in the catalogue and, for the 60 seconds after a change
(``GRACE_US``), holds as well the documents that the change took away: a crawl that began before it
finds everything that was listed to it. Listings show the new state at once.

Every answer asks the catalogue, at a moment after its request came, whether any instance has changed; only then, and
every few seconds, which state of this one is current. So a change or a removal holds everywhere at once, and a crawl
costs one look at its instance. When the catalogue does not answer, the last snapshot of the address
serves for ``STALE_US`` more: one failed answer can cost a guest its boot.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import Future

import structlog
from cachetools import TTLCache

from headwater.errors import NotFound, Unavailable
from headwater.instances.errors import CallerUnknown, IdentifierUnknown, InstanceNotFound, SeedUnknown
from headwater.instances.registry.editions import Edition
from headwater.instances.registry.hardware import Identifier
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.snapshots.moment import Moment
from headwater.instances.snapshots.snapshot import Snapshot, render
from headwater.instances.vendor_data.static import NOTHING, Static

GRACE_US = 60 * 1_000_000
STALE_US = 300 * 1_000_000
# A snapshot with a little user data takes about 80 KiB, so these are some 800 guests that boot at once.
KEPT_BYTES = 64 * 1024 * 1024
REMEMBERED = 65536  # addresses
# A release that counts no changes may write too, and a catalogue be put back from a copy.
COUNTED_US = 5 * 1_000_000
_LOG = structlog.get_logger(__name__)

_Key = tuple[Edition, bool, Static]  # an edition, whether it is in its time of grace, and what all are told


def _now_us() -> int:
    return time.time_ns() // 1000


class Snapshots:
    """The snapshots in use, at most ``kept_bytes`` of them; safe to use from several threads."""

    def __init__(
        self,
        registry: InstanceRows,
        *,
        region: str | None = None,
        static: Callable[[], Static] = lambda: NOTHING,
        now_us: Callable[[], int] = _now_us,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """Read from ``registry``.

        Args:
            region: Where the instances run; ``None``: they are not told.
            static: Returns the vendor data of instances that have none of their own.
            now_us: The clock, in microseconds since 1970, UTC.
        """
        self._registry, self._region, self._static = registry, region, static
        self._now_us = now_us
        self._kept_bytes = kept_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, Future[Snapshot]] = OrderedDict()  # the least recently used first
        self._weight = 0  # of all that is rendered in _kept
        # By address or secret path. The last microsecond counts too.
        self._last_good: TTLCache[str, _Key] = TTLCache(REMEMBERED, STALE_US + 1, now_us)
        # By the same: what it was found to be, and after how many changes of the registry at least.
        self._editions: TTLCache[str, tuple[int, Edition]] = TTLCache(REMEMBERED, COUNTED_US, now_us)

    def moment(self, addresses: Collection[str] = ()) -> Moment:
        """Return this moment, for questions that have come from ``addresses`` among others."""
        return Moment(self._registry.editions, addresses)

    def at(self, address: str, moment: Moment | None = None) -> Snapshot:
        """Return the snapshot for who has an address, which is in its canonical form.

        Args:
            moment: What the answer has to be as new as; ``None``: now.

        Raises:
            CallerUnknown: No instance has it.
            Unavailable: The catalogue does not answer, and nothing fresh enough is remembered.
        """
        moment = moment or self.moment((address,))
        return self._for(address, CallerUnknown(address), lambda: moment.edition_at(address), moment)

    def of(self, instance_id: str, moment: Moment | None = None) -> Snapshot:
        """Return the snapshot of an instance, as ``at`` does.

        Raises:
            InstanceNotFound: It was removed.
            Unavailable: As ``at`` says.
        """
        gone = InstanceNotFound(instance_id)
        return self._for(f"instance {instance_id}", gone, lambda: self._registry.editions.of(instance_id), moment)

    def of_seed(self, digest: str, moment: Moment | None = None) -> Snapshot:
        """Return the snapshot for who has a secret path, by its digest, as ``at`` does.

        Raises:
            SeedUnknown: It leads to no instance.
            Unavailable: As ``at`` says.
        """
        return self._for(f"seed {digest}", SeedUnknown(), lambda: self._registry.editions.of_seed(digest), moment)

    def known_by(self, identifier: Identifier, moment: Moment | None = None) -> Snapshot:
        """Return the snapshot for who is known by what its hardware says.

        Raises:
            IdentifierUnknown: It means no instance, or several.
            Unavailable: As ``at`` says.
        """
        unknown = IdentifierUnknown(identifier.kind, identifier.values[0])
        return self._for(str(identifier), unknown, lambda: self._registry.editions.known_by(identifier), moment)

    def _for(self, who: str, unknown: NotFound, ask: Callable[[], Edition | None], moment: Moment | None) -> Snapshot:
        try:
            return self._current(who, unknown, self._edition(who, ask, moment or self.moment()))
        except Unavailable as error:
            return self._remembered(who, error)

    def _edition(self, who: str, ask: Callable[[], Edition | None], moment: Moment) -> Edition | None:
        revision = moment.revision()
        with self._lock:
            counted, known = self._editions.get(who, (None, None))
        if counted == revision:
            return known
        edition = ask()
        with self._lock:
            if edition is None:
                self._editions.pop(who, None)
            else:
                self._editions[who] = (revision, edition)
        return edition

    def _current(self, who: str, unknown: NotFound, edition: Edition | None) -> Snapshot:
        now = self._now_us()
        if edition is None:
            with self._lock:
                self._last_good.pop(who, None)
            raise unknown
        key = (edition, edition.revision > 0 and now - edition.updated_at < GRACE_US, self._static())
        try:
            snapshot = self._of(key)
        except InstanceNotFound as error:  # removed after the first question
            raise unknown from error
        with self._lock:
            self._last_good[who] = key
        return snapshot

    def _remembered(self, who: str, error: Unavailable) -> Snapshot:
        with self._lock:
            key = self._last_good.get(who)
            future = None if key is None else self._kept.get(key)
        if future is None or not future.done():
            raise error
        _LOG.warning("the catalogue does not answer; serving the last snapshot", caller=who, error=str(error))
        return future.result()

    def _of(self, key: _Key) -> Snapshot:
        """One caller renders, the others that ask meanwhile wait for it."""
        with self._lock:
            future = self._kept.get(key)
            if future is not None:
                self._kept.move_to_end(key)
            else:
                mine = self._kept[key] = Future()
        if future is not None:
            return future.result()
        edition, in_grace, static = key
        try:
            record = self._registry.record(edition.instance_id)
            # A record newer than the edition was changed just now.
            is_newer = record.instance.revision != edition.revision
            snapshot = render(record, in_grace=in_grace or is_newer, region=self._region, static=static)
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)
            mine.set_exception(error)
            raise
        with self._lock:
            mine.set_result(snapshot)
            self._weight += snapshot.weight
            self._shrink()
        return snapshot

    def _shrink(self) -> None:
        """Forget the least recently used of what is rendered, down to the limit; the last one stays."""
        for key, future in list(self._kept.items()):
            if self._weight <= self._kept_bytes or len(self._kept) == 1:
                return
            if future.done():
                self._weight -= future.result().weight
                del self._kept[key]
