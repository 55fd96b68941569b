"""Write one stream to several stores side by side, while it is read once."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.errors import HeadwaterError
from headwater.images.data.pipeline import Lane, Pipeline
from headwater.images.imports.checking import require_size
from headwater.images.model import Location
from headwater.stores.store import (
    ObjectStore,
    ObjectWriter,
    Piece,
    ResumedWriter,
    Stored,
    StoreRefusesWrites,
    StoreUnavailable,
    resuming,
)
from headwater.threads import Pool


class StoreFailed(HeadwaterError):
    """The data could not be written to a store that it had to be written to; ``__cause__`` is why."""

    def __init__(self, store: str, error: Exception) -> None:
        super().__init__(str(error) if store in str(error) else f"store {store}: {error}")
        self.store = store
        self._told = error.told if isinstance(error, HeadwaterError) else f"The store {store} does not take the data."

    @property
    def told(self) -> str:
        return self._told


@dataclass(slots=True, eq=False)
class Target:
    """One object on its way into a store."""

    location: Location
    writer: ObjectWriter | None = None  # given: it was begun before
    outlasts: bool = False  # what is written of it is left to the next run when this one breaks off
    error: Exception | None = field(default=None)  # why it will not come


def targets_in(image_id: str, stores: Sequence[str]) -> list[Target]:
    """Return a new object of the image for each of the stores."""
    return [Target(Location(name, f"{image_id}.{secrets.token_hex(8)}")) for name in stores]


class Outlasting:
    """What writes an object of which a run that breaks off leaves what it has: ``abort`` removes nothing."""

    def __init__(self, writer: ResumedWriter, kept: int = 0) -> None:
        """Take what writes.

        Args:
            kept: How many bytes there are. The first so many are not written again.
        """
        self._writer, self._skips = writer, kept

    def write(self, piece: Piece) -> None:
        with memoryview(piece) as view:
            known = min(self._skips, len(view))
            self._skips -= known
            if known < len(view):
                with view[known:] as rest:
                    self._writer.write(rest)

    def commit(self) -> Stored:
        return self._writer.commit()

    def abort(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # it has what it has
            self._writer.suspend()


def _begun(store: ObjectStore, target: Target, size: int | None) -> ObjectWriter:
    key = target.location.object_key
    resumes = resuming(store) if target.outlasts else None
    return store.begin(key, size) if resumes is None else Outlasting(resumes.resume(key, size))


class Writing:
    """One stream. Pieces are put in by one caller; ``commit`` or ``abort`` ends it."""

    def __init__(
        self, targets: Sequence[Target], lanes: Sequence[Lane], pool: Pool, *, must_all: bool, needs_one: bool, cap: int
    ) -> None:
        """Take where the stream goes.

        Args:
            lanes: What else is done with it.
            pool: Threads that write.
            must_all: Where one store fails, all do. Else the others go on.
            needs_one: Where all stores fail, the stream does.
            cap: The most bytes that the stream may have.
        """
        self._targets, self._must_all, self._needs_one, self._cap = targets, must_all, needs_one, cap
        self.received = 0
        writes = [Lane(self._writes_to(target), pool) for target in targets]
        self._pipeline = Pipeline([*lanes, *writes])

    def begin(self, stores: Mapping[str, ObjectStore], size: int | None) -> None:
        """Begin all objects.

        Raises:
            StoreFailed: One store, or all of them, take none.
        """
        for target in self._targets:
            if target.writer is not None:
                continue
            name = target.location.store
            try:
                if name not in stores:
                    raise StoreUnavailable(name, "section [stores] has none of this name")
                if not stores[name].abilities.writes:
                    raise StoreRefusesWrites(name, is_full=False)
                target.writer = _begun(stores[name], target, size)
            except Exception as error:  # noqa: BLE001 - whatever a store raises is that store's failure
                self._failed(target, error)

    def put(self, view: memoryview, release: Callable[[], None]) -> None:
        """Take the next piece; ``release`` is called, from any thread, when its memory is free again.

        Raises:
            HeadwaterError: Something is wrong with this or an earlier piece; ``release`` is then not called.
        """
        self.require_well()
        require_size(self.received + len(view), self._cap)
        self.received += len(view)
        self._pipeline.put(view, release)

    def require_well(self) -> None:
        """Raise what went wrong with a piece, if anything did."""
        if self._pipeline.error is not None:
            raise self._pipeline.error

    def commit(self) -> list[Location]:
        """Make the objects durable, once every piece is released, and return those that are.

        Raises:
            StoreFailed: One of them that had to be, or all, cannot be made so.
        """
        self.require_well()
        for target in self._targets:
            if target.writer is not None:
                try:
                    target.writer.commit()
                except Exception as error:  # noqa: BLE001 - as in ``begin``
                    self._failed(target, error)
        return [target.location for target in self._targets if target.error is None]

    def abort(self) -> None:
        """Leave no unfinished object behind, once every piece is released, but those that outlast this run.

        What is durable is for others to discard.
        """
        for target in self._targets:
            if target.writer is not None:
                target.writer.abort()

    def _writes_to(self, target: Target) -> Callable[[memoryview], None]:
        def write(view: memoryview) -> None:
            if target.writer is None:
                return
            try:
                target.writer.write(view)
            except Exception as error:  # noqa: BLE001 - as in ``begin``
                self._failed(target, error)

        return write

    def _failed(self, target: Target, error: Exception) -> None:
        writer, target.writer, target.error = target.writer, None, error
        if writer is not None:
            writer.abort()
        if self._must_all or (self._needs_one and all(each.error is not None for each in self._targets)):
            raise StoreFailed(target.location.store, error) from error
