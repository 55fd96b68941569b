"""What one request brings of an upload that can be resumed.

A part that is not the last one is written and nothing else: hashes cannot be kept from request to request, so all data
is hashed and inspected when its last part comes, what is there already being read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from headwater.errors import ClientDisconnected, HeadwaterError, Unavailable
from headwater.identity.caller import Caller
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUpload
from headwater.images.catalogue.upload_records import UploadLost
from headwater.images.data.pipeline import Lane, Pipeline
from headwater.images.data.resumable.checked import CheckedWriter, PartMismatch
from headwater.images.data.session import Digests, DigestUnforeseen, ImageTooLarge, SizeMismatch, UploadSession
from headwater.images.data.uploads import Growing
from headwater.images.model import Image
from headwater.stores.store import ResumedWriter
from headwater.threads import Pool


@dataclass(frozen=True, slots=True)
class Held:
    """An upload that is worked on: nobody else writes, and ``claim`` says so to the catalogue."""

    upload: ResumableUpload
    claim: str
    writer: ResumedWriter
    caller: Caller  # of the request that works on it
    check: CheckedWriter | None = None  # the writer, where this part has a digest of its own


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is."""

    upload: ResumableUpload
    offset: int  # bytes that are kept
    length: int | None  # of all the data, if the client has said so
    is_complete: bool
    image: Image | None = None  # that has the data, once it is complete


class Keeper(Protocol):
    """Whoever the parts belong to."""

    def grant(self, part: Growing, needed: int) -> int:
        """Return how many bytes there may be until this is asked again; see ``Uploads.grant``."""

    def is_held(self, held: Held) -> bool:
        """Return whether nobody else has taken the upload over."""

    def rest(self, held: Held, length: int | None) -> Progress:
        """Let the upload wait for its client, with what it has."""

    def end(self, held: Held) -> None:
        """Give the upload up, and remove its bytes."""


class _OfUpload:
    """What each request that brings data has of its upload."""

    def __init__(self, held: Held, keeper: Keeper) -> None:
        self._held, self._keeper = held, keeper

    @property
    def is_held(self) -> bool:
        """Whether nobody else has taken the upload over."""
        return self._keeper.is_held(self._held)

    def expect(self, digests: Digests) -> None:
        """Hold this part to what was said of it behind it; see ``CheckedWriter.expect``."""
        if self._held.check is not None:
            self._held.check.expect(digests)
        elif digests:
            raise DigestUnforeseen(next(name for name, _ in digests))

    def _require_right(self) -> None:
        if self._held.check is not None:
            self._held.check.require_right()


class Part(_OfUpload):
    """The data of one request, after which more will come. Pieces are put in by one caller; then one of the others."""

    needs_preparation = False

    def __init__(self, held: Held, keeper: Keeper, *, length: int | None, cap: int, pool: Pool) -> None:
        """Take where the data goes.

        Args:
            length: Of all the data, if the client has said so.
            cap: The most bytes that there may be.
        """
        super().__init__(held, keeper)
        self.image_id, self.location = held.upload.image_id, held.upload.location
        self._length, self._cap = length, cap
        self._received = self._written = held.writer.size
        self._granted = max(held.upload.received, held.upload.length or 0)
        self._pipeline = Pipeline([Lane(self._write, pool)])

    def prepare(self) -> None:
        """Nothing is needed before the first piece."""

    def _write(self, view: memoryview) -> None:
        self._written += len(view)
        if self._written > self._granted:
            self._granted = self._keeper.grant(self, self._written)
        self._held.writer.write(view)

    def put(self, view: memoryview, release: Callable[[], None]) -> None:
        """Take the next piece; see ``UploadSession.put``."""
        if self._pipeline.error is not None:
            raise self._pipeline.error
        received = self._received + len(view)
        if self._length is not None and received > self._length:
            raise SizeMismatch(self._length, f"more than {self._length}")
        if received > self._cap:
            raise ImageTooLarge(self._cap)
        self._received = received
        self._pipeline.put(view, release)

    def finish(self) -> Progress:
        """Make the data durable, once every piece is released.

        Raises:
            PartMismatch: It is not what a digest of this part said.
        """
        if self._pipeline.error is not None:
            raise self._pipeline.error
        self._require_right()
        return self._keeper.rest(self._held, self._length)

    def abandon(self, error: BaseException) -> None:
        """Keep what came, once every piece is released, unless ``error`` says that it could never be taken."""
        abandon(self._held, self._keeper, self._length, error)


class LastPart(_OfUpload):
    """The data of the last request: with it all of the data is hashed, inspected and judged."""

    def __init__(self, held: Held, keeper: Keeper, session: UploadSession) -> None:
        """Take the session of all the data, which has what came before."""
        super().__init__(held, keeper)
        self.image_id = session.image_id
        self._session = session
        self.needs_preparation = session.needs_preparation
        self.prepare = session.prepare
        self.put = session.put

    def finish(self) -> Progress:
        """Make the data durable and the image active; see ``Part.finish`` and ``UploadSession.finish``."""
        self._require_right()
        try:
            image = self._session.finish()
        except HeadwaterError as error:
            if _is_final(error):
                # All of the data was there: it is what is refused, and sending it again would not help. Source: the
                # draft, section 4.4.2.
                error.headers = {**error.headers, "Upload-Complete": "?1"}
            raise
        size = self._session.received
        return Progress(self._held.upload, size, size, is_complete=True, image=image)

    def abandon(self, error: BaseException) -> None:
        """Do as ``Part.abandon``."""
        abandon(self._held, self._keeper, self._session.expected, error)


def abandon(held: Held, keeper: Keeper, length: int | None, error: BaseException) -> None:
    """Keep what came, unless ``error`` says that no more of it could ever be taken, or it was to be checked first."""
    if held.check is not None:
        try:
            held.check.take_back()
        except HeadwaterError:
            held.writer.suspend()  # nobody is told of what stays, and others may go on
            raise
    if isinstance(error, UploadLost):
        held.writer.suspend()  # it is another's by now
    elif _is_final(error):
        keeper.end(held)
    else:
        keeper.rest(held, length)


def _is_final(error: BaseException) -> bool:
    """Return whether no more of the upload could ever be taken."""
    may_go_on = ClientDisconnected | Unavailable | UploadLost | PartMismatch | DigestUnforeseen
    return isinstance(error, HeadwaterError) and not isinstance(error, may_go_on)
