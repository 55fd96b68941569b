"""Read a feed from a tree, signed as its start document says.

The start decides for everything that it leads to, as it does for the simplestreams tools and Juju:

    index.sjson      every document is clear-signed; one that is not is an error
    index.json       with keys: each document has its detached signature beside it (``index.json.gpg``);
                     without: nothing is verified

Without keys (``trusted=None``) nothing is verified either way, and the text of a clear-signed document is what stands
in its frame. Nothing that was read is returned before it is verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from headwater.errors import HeadwaterError, NotFound, WrongContent
from headwater.streams.format.documents import INDEX_FORMAT, Index, IndexEntry
from headwater.streams.format.json_objects import MalformedDocument, safe_path
from headwater.streams.format.layout import SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.signing import clearsign
from headwater.streams.signing.clearsign import NotClearSigned
from headwater.streams.trees.tree import Document, Documents, PathNotFound, TreeRefused

if TYPE_CHECKING:
    from pysequoia import Cert

    from headwater.streams.signing.verifying import SignedBy

_MOST_INDEXES: Final = 100
ANSWERS_ABSENT: Final = frozenset({401, 403})  # what some object stores say of a file that is not there


class Form(StrEnum):
    """How the documents of a feed are signed."""

    INLINE = "inline"
    DETACHED = "detached"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Read:
    """One document, verified where the feed is to be."""

    path: str
    text: bytes  # what it says: JSON, without the frame of the signature
    stored: Document  # as it lies in the tree
    signed_by: tuple[SignedBy, ...] = ()  # empty: nothing was verified
    warnings: tuple[str, ...] = ()
    signature: Document | None = None  # the detached one


class NoStart(NotFound):
    """The tree has none of the documents that a feed begins with."""

    def __init__(self, place: str, looked_for: Sequence[str]) -> None:
        super().__init__(f"{place}: there is none of {', '.join(looked_for)}; it holds no feed")
        self.place, self.looked_for = place, tuple(looked_for)


class NotSigned(WrongContent):
    """Keys were given, and the feed or a document in it is not signed."""

    def __init__(self, place: str, path: str, problem: str) -> None:
        super().__init__(f"{place}: {path}: {problem}")
        self.place, self.path, self.problem = place, path, problem


class NoSignatureInside(NotSigned):
    """No line of a document begins a signed text."""

    def __init__(self, place: str, path: str) -> None:
        super().__init__(place, path, "no line of it begins a signed text")


class NotVerified(WrongContent):
    """A document has a signature, and it is not good."""

    def __init__(self, place: str, path: str, problem: str) -> None:
        super().__init__(f"{place}: {path}: {problem}")
        self.place, self.path, self.problem = place, path, problem


class TooManyIndexes(WrongContent):
    """Indexes name indexes without an end."""

    def __init__(self, place: str, most: int) -> None:
        super().__init__(f"{place}: its indexes name more than {most} other indexes")
        self.place, self.most = place, most


class FeedReader:
    """Reads the documents of one feed."""

    def __init__(
        self,
        tree: Documents,
        trusted: Sequence[Cert] | None,
        start: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say what is read and whom to believe; nothing is read yet.

        Args:
            trusted: Keys of which one has to have signed each document; ``None``: signatures are not looked at.
            start: The path of the start document. Default: with keys the first of ``SIGNED_INDEXES`` that is there,
                else of ``UNSIGNED_INDEXES``; without keys the other way round.
        """
        self.tree = tree
        self._trusted, self._clock = trusted, clock
        self._start = None if start is None else safe_path(start, "start")

    @property
    def start(self) -> str:
        """The path of the start document.

        Raises:
            NoStart, TreeRefused: There is none, or the server shows none.
        """
        if self._start is None:
            signed_first = (*SIGNED_INDEXES, *UNSIGNED_INDEXES)
            looked_for = (*UNSIGNED_INDEXES, *SIGNED_INDEXES) if self._trusted is None else signed_first
            self._start = next((path for path in looked_for if is_there(self.tree, path)), None)
            if self._start is None:
                raise no_start(self.tree, looked_for)
        return self._start

    @property
    def form(self) -> Form:
        """How the documents have to be signed, or are read."""
        if self.start.endswith(".sjson"):
            return Form.INLINE
        return Form.NONE if self._trusted is None else Form.DETACHED

    def read(self, path: str) -> Read:
        """Return one document.

        Raises:
            UnsafePath: The path leaves the tree.
            NotSigned: It has no signature, and must have one.
            NotVerified: Its signature is not good; the message says why.
            PathNotFound, TreeRefused, TreeUnavailable: As they say.
        """
        safe_path(path)
        if self.form is Form.INLINE:
            return self._clear_signed(path)
        if self.form is Form.DETACHED:
            return self._with_signature_beside(path)
        stored = self.tree.read(path)
        return Read(path, stored.body, stored)

    def index(self) -> tuple[Read, Index]:
        """Return the start document, and what it says.

        Raises:
            MalformedDocument: It is no index; the message names the file.
            NoStart, NotSigned, NotVerified, PathNotFound, TreeRefused, TreeUnavailable: As they say.
        """
        read = self.read(self.start)
        return read, _index(read)

    def entries(self) -> Iterator[tuple[str, IndexEntry]]:
        """Yield what the start document and the indexes that it names say: content id and entry, no index among them.

        Each index is read once, so a loop ends.

        Raises:
            As ``index``; and TooManyIndexes.
        """
        for _, index in self.indexes():
            for content_id, entry in index.index.items():
                if entry.format != INDEX_FORMAT:
                    yield content_id, entry

    def indexes(self) -> Iterator[tuple[Read, Index]]:
        """Yield the start document and the indexes that it leads to, each once.

        Raises:
            As ``entries``.
        """
        known, waiting = {self.start}, [self.start]
        while waiting:
            read = self.read(waiting.pop(0))
            index = _index(read)
            yield read, index
            named = [entry.path for entry in index.index.values() if entry.format == INDEX_FORMAT]
            waiting += [path for path in dict.fromkeys(named) if path not in known]
            known.update(named)
            if len(known) > _MOST_INDEXES:
                raise TooManyIndexes(self.tree.place, _MOST_INDEXES)

    def _clear_signed(self, path: str) -> Read:
        if self._trusted is None:
            return self._unverified(path, self.tree.read(path))
        if not path.endswith(".sjson"):
            problem = (
                f"it is named by the signed {self.start}, and is not signed itself; a signed index has to name *.sjson "
                "files. Its publisher mends that by signing the feed again (headwater streams sign)"
            )
            raise NotSigned(self.tree.place, path, problem)
        return clear_signed(self.tree, path, self._trusted, self._clock())

    def _unverified(self, path: str, stored: Document) -> Read:
        if not stored.body.lstrip(b" \t\r\n").startswith(b"{"):
            try:
                return Read(path, clearsign.parse(stored.body).text, stored)
            except NotClearSigned as error:
                raise NotVerified(self.tree.place, path, error.problem) from error
        return Read(path, stored.body, stored, warnings=("it is called signed (.sjson), and is plain JSON",))

    def _with_signature_beside(self, path: str) -> Read:
        from headwater.streams.signing.verifying import BadSignature, verified_detached  # noqa: PLC0415 - see clear_signed

        beside = f"{path}.gpg"
        for last in (False, True):  # between the two reads they may have been replaced by newer ones
            stored = self.tree.read(path)
            try:
                signature = self.tree.read(beside, 1 << 20)
            except (PathNotFound, TreeRefused) as error:
                if isinstance(error, TreeRefused) and error.status not in ANSWERS_ABSENT:
                    raise
                problem = f"it is not signed: there is no {beside}, and the feed has no signed index"
                raise NotSigned(self.tree.place, path, problem) from error
            try:
                found = verified_detached(stored.body, signature.body, self._trusted or (), self._clock())
            except BadSignature as error:
                if last:
                    problem = f"{error}; {beside} may be of another version of it"
                    raise NotVerified(self.tree.place, path, problem) from error
            else:
                return Read(path, found.text, stored, found.signed_by, found.warnings, signature)
        raise AssertionError


def clear_signed(
    tree: Documents, path: str, trusted: Sequence[Cert], now: datetime, *, may_begin_later: bool = False
) -> Read:
    """Return one clear-signed document, verified: the only way by which what is signed is read.

    Args:
        may_begin_later: Whether text before the first line of the frame is passed over, as Juju does it.

    Raises:
        NotSigned: It is no signed text.
        NotVerified: Its signature is not good; the message says why.
        PathNotFound, TreeRefused, TreeUnavailable: As they say.
    """
    stored = tree.read(path)
    # OpenPGP takes long to load, and most feeds are read without.
    from headwater.streams.signing.verifying import BadSignature, verified  # noqa: PLC0415

    start = _beginning(stored.body) if may_begin_later else 0
    if start < 0:
        raise NoSignatureInside(tree.place, path)
    try:
        found = verified(stored.body[start:], trusted, now)
    except NotClearSigned as error:
        raise NotSigned(tree.place, path, str(error)) from error
    except BadSignature as error:
        raise NotVerified(tree.place, path, str(error)) from error
    return Read(path, found.text, stored, found.signed_by, found.warnings)


def _beginning(body: bytes) -> int:
    """Return where the line is that begins a signed text, or -1."""
    if body.startswith(clearsign.BEGIN_MESSAGE):
        return 0
    at = body.find(b"\n" + clearsign.BEGIN_MESSAGE)
    return at + 1 if at >= 0 else -1


def is_there(tree: Documents, path: str) -> bool:
    """Return whether there is a file; what some object stores answer of one that is not there counts as absent."""
    try:
        tree.stat(path)
    except PathNotFound:
        return False
    except TreeRefused as error:
        if error.status in ANSWERS_ABSENT:
            return False
        raise
    return True


def no_start(tree: Documents, looked_for: Sequence[str]) -> NoStart | TreeRefused:
    """Return what to raise where none of the documents is there: what the server refuses, if it refuses them."""
    for path in looked_for:
        try:
            tree.read(path)
        except TreeRefused as error:
            return error
        except HeadwaterError:
            pass
    return NoStart(tree.place, looked_for)


def _index(read: Read) -> Index:
    try:
        return Index.from_bytes(read.text)
    except MalformedDocument as error:
        raise MalformedDocument(f"{read.path}: {error.where}", error.problem) from error
