"""The way of the bytes of an import: read once, looked at, and written to each store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from headwater.images.data.buffers import ThreadBuffers
from headwater.images.data.gathering import pour
from headwater.images.data.session import Pools
from headwater.images.imports.checking import Check, Facts, require_size
from headwater.images.imports.runs.ending import Ending
from headwater.images.imports.runs.left import Leaving
from headwater.images.imports.runs.run import Run
from headwater.images.imports.sources import Source
from headwater.images.imports.writing import StoreFailed, Target, Writing, targets_in
from headwater.images.model import Location
from headwater.stores.store import ObjectStore

TELL_EVERY_S = 2.0  # how often the task is told how far it is


class Carrying:
    """What brings the bytes of a run to its stores; safe to use from several threads."""

    def __init__(
        self, ending: Ending, leaving: Leaving, stores: Mapping[str, ObjectStore], pools: Pools, *, size_cap: int
    ) -> None:
        self._ending = ending
        self._leaving = leaving
        self._stores = stores
        self._pools = pools
        self._size_cap = size_cap

    def bring(
        self,
        run: Run,
        source: Source,
        checks: Callable[[], Check],
        stores: Sequence[str],
        here: Sequence[Location] = (),
    ) -> None:
        """Read the source, write it to the stores, and give all that is durable to the image.

        Args:
            checks: Returns what looks at the bytes, once it is known what they are to be.
            here: What is durable already.
        """
        left = self._leaving.taken_over(run, source, stores)
        try:
            source.open()
            check = checks()
            if check.verification is not None:
                check.verification.prepare()
            if source.size is not None:
                require_size(source.size, self._size_cap)
            if left is None:
                targets, pieces = targets_in(run.order.image_id, stores), iter(source)
                self._leaving.prepare(run, source, targets)
            else:
                targets, pieces = [left.target], chain(left.kept, source)
            self._ending.note(run, targets, source.size, goes_on=left is not None)
            watched = self._watched(run, pieces, source.size, targets)
            facts, written = self._poured(run, watched, source.size, check, targets, is_safe=bool(here))
        finally:
            if left is not None:
                left.let_go()
            source.close()
        self._ending.finish(run, facts, [*here, *written], check.verification)

    def _poured(
        self,
        run: Run,
        pieces: Iterator[bytes],
        size: int | None,
        check: Check,
        targets: Sequence[Target],
        *,
        is_safe: bool,
    ) -> tuple[Facts, list[Location]]:
        writing = Writing(
            targets,
            check.lanes,
            self._pools.storing,
            must_all=run.order.all_must_succeed,
            needs_one=not is_safe,
            cap=self._size_cap,
        )
        buffers = ThreadBuffers()
        try:
            writing.begin(self._stores, size)
            pour(pieces, writing, buffers)
            buffers.settle()
            writing.require_well()
            facts = check.finish(writing.received)
            written = writing.commit()
        except BaseException:
            buffers.settle()
            writing.abort()
            raise
        finally:
            for each in targets:
                if each.error is not None:
                    run.failed[each.location.store] = StoreFailed(each.location.store, each.error).told
            buffers.close()
        return facts, written

    def _watched(
        self, run: Run, pieces: Iterator[bytes], size: int | None, targets: Sequence[Target]
    ) -> Iterator[bytes]:
        """Yield the pieces, and tell now and then how far it is."""
        told, done = time.monotonic(), 0
        for piece in pieces:
            run.look()
            if time.monotonic() - told > TELL_EVERY_S:
                self._ending.tell(run, done, size, targets)
                told = time.monotonic()
            yield piece
            done += len(piece)
        self._ending.tell(run, done, done, targets)
