"""The contract of a store: keep bytes under keys, durably, and give them back.

Bytes are pushed into a store, not pulled by it: an upload hands the same piece of memory to the
hashes and to the store at the same time, and a slow client holds no thread
(``docs/decisions/0003-stores-are-pushed.md``). A store knows nothing of images, HTTP or callers.

A store that is not there is never an empty store: a mark in it says which one it is, and a store that was told
what to ``expect`` answers nothing without it (``docs/decisions/0018-stores-have-an-identity.md``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from headwater.errors import Conflict, Invalid, NotFound, TooLarge, Unavailable
from headwater.fetching.url_filter import redacted

# A path, whose parts are safe in a file name, an S3 key and a Swift object name alike.
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
MOST_IN_KEY = 200  # characters, so that a key written into one file name has room
# What a store is known by: random, so that no two are the same.
IDENTITY = re.compile(r"[0-9a-f]{32}")

Piece = bytes | bytearray | memoryview


class ObjectNotFound(NotFound):
    """Nothing is stored under this key."""

    def __init__(self, store: str, key: str) -> None:
        super().__init__(f"store {store} has no object {key}")
        self.store, self.key = store, key


class BadKey(Invalid):
    """A key that not every store could keep."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"object key {key[:80]!r} is not letters, digits, '.', '_' and '-', {MOST_IN_KEY} at most; "
            "'/' may stand between parts that begin with a letter or digit"
        )


class ForeignUrl(Invalid):
    """The URL is of something else than an object of this store."""

    def __init__(self, store: str, url: str) -> None:
        super().__init__(f"no object of store {store} has this URL: {redacted(url)}")
        self.store = store


class StoreFull(TooLarge):
    """The store has no room for these bytes."""

    def __init__(self, store: str, wanted: int | None = None) -> None:
        need = f" for {wanted} bytes" if wanted is not None else ""
        super().__init__(f"store {store} has no room left{need}: delete images or give it more space")
        self.store = store


class WriteLost(Conflict):
    """The object was deleted before it was whole."""

    def __init__(self, store: str, key: str) -> None:
        super().__init__(f"the unfinished object {key} was deleted from store {store} while it was written")
        self.store, self.key = store, key


class WriterBusy(Conflict):
    """Somebody else writes the unfinished object now."""

    def __init__(self, store: str, key: str) -> None:
        super().__init__(f"the unfinished object {key} of store {store} is written by another at this moment")


class ObjectInUse(Conflict):
    """Others build on the object, such as volumes that were cloned from it; it stays until they are gone."""

    def __init__(self, store: str, key: str) -> None:
        super().__init__(
            f"the object {key} of store {store} is in use: volumes were cloned from it, or it has snapshots"
        )
        self.store, self.key = store, key


class StoreUnavailable(Unavailable):
    """The store does not work at the moment, or what lies in its place is not this store."""

    may_pass = True  # the same call may work in a moment
    may_pass_later = True  # it may work after a while, with nobody changing anything here or there

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"store {store} does not work: {reason}")
        self.store, self.reason = store, reason

    @property
    def told(self) -> str:
        return f"The store {self.store} does not work at the moment. Try again later."


class StoreRefusesWrites(StoreUnavailable):
    """The store gives bytes and takes none."""

    may_pass = may_pass_later = False

    def __init__(self, store: str, *, is_full: bool) -> None:
        reason = "it is full: delete images or give it more space" if is_full else "it is read only"
        super().__init__(store, reason)
        self.is_full = is_full

    @property
    def told(self) -> str:
        return f"The store {self.store} takes no data at the moment: {self.reason}."


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as it lies in the store."""

    key: str
    size: int  # bytes
    # When its last byte was written, in microseconds since 1970; ``None`` where the store does not say.
    written_at: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a store remembers of the bytes of an object."""

    version: str  # of the object: another when it was written again or touched
    is_right: bool | None  # whoever read all of it last found them so; ``None``: nobody has, since they were touched


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a store can do beyond the contract; callers ask here, not by type."""

    shared_by_processes: bool  # every process that opens the store sees the same objects
    gives_paths: bool  # ``path`` names a local file, so the system can send it itself
    writes: bool = True  # it takes objects; one that does not holds what belongs to others, by its URL
    resumes: bool = False  # it is a ``ResumingStore``: what a writer left unfinished can be gone on with
    is_cloned: bool = False  # it is a ``ClonedStore``: others build on its objects, such as volumes of machines
    keeps_proof: bool = False  # it is a ``ProvingStore``: others may touch its objects, and it notices
    has_identity: bool = True  # it can be marked: what it holds outlasts the process and is ours
    commits_again: bool = False  # a ``commit`` that failed may be called again: what it did is done once
    gives_urls: bool = False  # ``presigned`` gives addresses where clients may read objects themselves


class ObjectWriter(Protocol):
    """One object on its way into a store. Used by one thread at a time."""

    def write(self, piece: Piece) -> None:
        """Append ``piece``; the memory may be used again when this returns.

        Raises:
            StoreFull: There is no room. Only ``abort`` makes sense after it.
            StoreUnavailable: The store does not work. Only ``abort`` makes sense after it.
        """

    def commit(self) -> Stored:
        """Make the object durable and then visible under its key, whole.

        Raises:
            WriteLost: ``delete`` of the key removed it meanwhile. A store that does not notice makes it visible.
            StoreFull, StoreUnavailable: As for ``write``. Where the store ``commits_again``, another ``commit`` makes
                sense, too, as long as the failure ``may_pass``: it finds out whether the first one was done after all.
        """

    def abort(self) -> None:
        """Leave nothing behind; does nothing after ``commit`` or a first ``abort``.

        What a store that does not work keeps, a later ``delete`` of the key removes.
        """


class ResumedWriter(ObjectWriter, Protocol):
    """One object on its way into a store, whose bytes outlast their writer, also one that is killed."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def written(self) -> Iterator[bytes]:
        """Yield the bytes that there are, in order; to be read to the end before the first ``write``."""

    def cut(self, size: int) -> None:
        """Take back all but the first ``size`` bytes, none of which an earlier ``suspend`` has told of.

        Raises:
            StoreUnavailable: The store does not work.
        """

    def suspend(self) -> int:
        """Make what there is durable, and let others resume; return how many bytes that is.

        Nothing but ``abort``, which does nothing then, makes sense after it.

        Raises:
            StoreUnavailable: The store does not work. Others may resume all the same.
        """


class ObjectStore(Protocol):
    """Keep bytes under keys chosen by the caller; safe to use from several threads.

    A key may hold a path (``a/b``), which is a name like any other: ``a`` and ``a/b`` are two objects.

    Every call about objects raises ``StoreUnavailable`` when the store does not work. "Not found" and "deleted" are
    said only of a store that is there.
    """

    name: str
    abilities: Abilities

    def identity(self) -> str | None:
        """Return what the store was marked with; ``None`` when nothing marked it, or nothing is there at all.

        Raises:
            StoreUnavailable: That cannot be told.
        """

    def mark(self, identity: str) -> str:
        """Make the store ready for objects and mark it; return its identity.

        A mark that is there stays: of several that mark at once, all get the same answer.

        Raises:
            SettingsError: Nothing can be kept there. Raised from a ``StoreUnavailable``: that may be mended where the
                store is, and no start is refused for it.
            StoreUnavailable: It does not work.
            StoreFull: There is no room for the mark.
        """

    def expect(self, identity: str) -> None:
        """From now on be this store only: without this mark every call about objects raises ``StoreUnavailable``.

        The mark is looked for in each call, so a store that goes away and comes back works again. Until it is told
        what to expect, a store whose place nobody made is empty.
        """

    def begin(self, key: str, size: int | None = None) -> ObjectWriter:
        """Begin an object that will be ``size`` bytes long, if that is known.

        An object that exists under ``key`` stays readable until ``commit`` replaces it.

        Raises:
            BadKey: Not a key.
            StoreFull: ``size`` bytes have no room.
        """

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of one object, in order.

        Args:
            start: Offset of the first byte, counted from 0.
            length: How many bytes at most; ``None`` reads to the end.

        Raises:
            ObjectNotFound: Raised by the call itself, before the first piece.
        """

    def path(self, key: str) -> Path | None:
        """Return the file that holds the object; ``None`` where there is no such file.

        Raises:
            ObjectNotFound: Nothing is stored under ``key``.
        """

    def url_of(self, key: str) -> str:
        """Return the URL under which others who reach the store know the object; it holds no secret.

        Whether there is such an object is not asked, here and in ``key_of``.
        """

    def key_of(self, url: str) -> str:
        """Return the key whose URL this is: the inverse of ``url_of``.

        Raises:
            ForeignUrl: It is the URL of something else.
        """

    def presigned(self, key: str, expires_s: int) -> str | None:
        """Return an address where anybody may read the object, whole or by ranges, for ``expires_s`` seconds.

        ``None`` where there is no such address. It is a secret for that time, and whether there is such an object is
        not asked.
        """

    def stat(self, key: str) -> Stored:
        """Return what is stored under ``key`` or raise ``ObjectNotFound``."""

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Yield every visible object whose key begins with ``prefix``, in no order."""

    def delete(self, key: str) -> None:
        """Remove the object and whatever an unfinished write of this key left; nothing there is fine.

        Raises:
            ObjectInUse: It stays, as others build on it.
        """

    def ping(self) -> None:
        """Return when the store takes and gives bytes.

        Raises:
            StoreRefusesWrites: It is full or read only.
            StoreUnavailable: It does not work at all.
        """

    def close(self) -> None:
        """Let go of connections and files."""


class ResumingStore(ObjectStore, Protocol):
    """A store that goes on with what a writer left unfinished, whichever process that was of."""

    def resume(self, key: str, size: int | None = None) -> ResumedWriter:
        """Go on with the unfinished object of this key, or begin one; it will be ``size`` bytes long, if that is known.

        What it has is durable when this returns, and is never less than what an earlier ``suspend`` has told. One that
        is whole is unfinished again, and not visible until ``commit``: whoever resumes knows that nobody reads it.

        Raises:
            BadKey: Not a key.
            StoreFull: What is missing of ``size`` bytes has no room; what there is stays.
            WriterBusy: Another resumed it and lives. One whose process has ended keeps nobody out.
        """


def resuming(store: ObjectStore) -> ResumingStore | None:
    """Return the store as one that resumes; ``None`` when it is none."""
    return cast(ResumingStore, store) if store.abilities.resumes else None


class ClonedStore(ObjectStore, Protocol):
    """A store on whose objects others build, so that ``delete`` may have to leave one."""

    def require_unused(self, key: str) -> None:
        """Return when nobody builds on the object at this moment, or it is not there.

        Raises:
            ObjectInUse: Somebody does.
        """


def cloned(store: ObjectStore) -> ClonedStore | None:
    """Return the store as one whose objects are cloned; ``None`` when it is none."""
    return cast(ClonedStore, store) if store.abilities.is_cloned else None


class ProvingStore(ObjectStore, Protocol):
    """A store whose objects others may touch, and that remembers which of them nobody has since they were read."""

    def proof(self, key: str) -> Proof | None:
        """Return what is known of the bytes of an object; what was committed just now is right.

        ``None`` where the store can remember nothing after all.

        Raises:
            ObjectNotFound: Nothing is stored under ``key``.
        """

    def prove(self, key: str, read: Proof, *, is_right: bool) -> None:
        """Remember what somebody found who read all of the object, after ``proof`` had returned ``read``.

        What was touched since then, or is not there any more, stays as it is.
        """


def proving(store: ObjectStore) -> ProvingStore | None:
    """Return the store as one that remembers which objects are right; ``None`` when it is none."""
    return cast(ProvingStore, store) if store.abilities.keeps_proof else None


def is_key(text: str) -> bool:
    """Return whether every store could keep an object under this key."""
    return len(text) <= MOST_IN_KEY and KEY.fullmatch(text) is not None


def checked_key(key: str) -> str:
    """Return ``key`` or raise ``BadKey``."""
    if not is_key(key):
        raise BadKey(key)
    return key
