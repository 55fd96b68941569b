"""What a run that was killed or broke off left of an import, for the next run of it to go on with.

Only where it is simple to be right: the import writes one object, its store resumes, and the source has a validator, by
which the rest is asked for. The bytes that are there pass the checks as those that come do, so that what becomes the
image's was looked at as a whole; they are not written again. The catalogue is told first that they are another run's
now: one that was taken for dead and goes on has lost, whatever it does.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from headwater.images.catalogue.imports.import_objects import ImportObjectRows, StagedObject
from headwater.images.data.pipeline import BUFFER
from headwater.images.imports.runs.run import Run
from headwater.images.imports.sources import Source
from headwater.images.imports.writing import Outlasting, Target
from headwater.stores.layers.layer import close_reading
from headwater.stores.store import ObjectStore, ResumedWriter, ResumingStore, StoreUnavailable, WriterBusy, resuming

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """An object that a run before this one has begun."""

    target: Target
    kept: Iterator[bytes]  # what there is of it

    def let_go(self) -> None:
        """Leave what there is to the next run, unless it was made durable."""
        close_reading(self.kept)
        if self.target.writer is not None:
            self.target.writer.abort()


class Leaving:
    """What runs leave to each other; safe to use from several threads."""

    def __init__(self, objects: ImportObjectRows, stores: Mapping[str, ObjectStore]) -> None:
        self._objects, self._stores = objects, stores

    def taken_over(self, run: Run, source: Source, stores: Sequence[str]) -> Left | None:
        """Return what there is to go on with, of which the source then gives the rest; ``None``: all begins anew.

        Raises:
            StoreUnavailable: The store does not work.
        """
        store = self._resuming(stores)
        if store is None:
            return None
        found = self._objects.taken_over(run.order.image_id, run.order.task_id, _word())
        if found is None or found.location.store != store.name:
            return None
        try:
            writer = store.resume(found.location.object_key)
        except WriterBusy:  # a run that was taken for dead writes still; what it has is not to be gone on with
            return None
        left = None
        try:
            left = _gone_on(run, source, found, writer)
        finally:
            if left is None:
                with suppress(StoreUnavailable):
                    writer.suspend()
        return left

    def prepare(self, run: Run, source: Source, targets: Sequence[Target]) -> None:
        """Let what will be written outlast the run, where a later one could go on with it."""
        if source.validator is not None and self._resuming([each.location.store for each in targets]) is not None:
            run.said = {"validator": source.validator, "size": source.size, "run": _word()}
            targets[0].outlasts = True

    def _resuming(self, stores: Sequence[str]) -> ResumingStore | None:
        store = self._stores.get(stores[0]) if len(stores) == 1 else None
        return None if store is None else resuming(store)


def _word() -> str:
    return secrets.token_hex(16)


def _gone_on(run: Run, source: Source, found: StagedObject, writer: ResumedWriter) -> Left | None:
    size, validator = found.facts["size"], found.facts["validator"]
    # Whole buffers, so that the rest goes past the page cache as all did; and never all, as one byte is asked for.
    kept = (writer.size if size is None else min(writer.size, size - 1)) // BUFFER * BUFFER
    if kept <= 0 or not source.go_on(kept, size, validator):
        return None
    writer.cut(kept)
    run.said = found.facts
    _log.info("an import goes on", extra={"task": run.order.task_id, "at": kept})
    return Left(Target(found.location, Outlasting(writer, kept), outlasts=True), writer.written())
