"""Sign a feed that lies in a tree: each document gets its clear-signed twin and its detached signature.

    products.json      products.sjson       products.json.gpg
    index.json         index.sjson          index.json.gpg       (the index in index.sjson names *.sjson)

Everything is signed, and verified as readers would, before the first file is replaced; indexes are replaced last, so
that a signed index never leads to a document that is not there. Unsigned documents stay as they are.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from pysequoia import Cert

from headwater.errors import Conflict
from headwater.streams.format.documents import Mirrors, signed_name
from headwater.streams.format.json_objects import MalformedDocument, as_object, parse_json
from headwater.streams.format.layout import MIRRORS, UNSIGNED_INDEXES
from headwater.streams.signing import clearsign
from headwater.streams.signing.clearsign import NotClearSigned
from headwater.streams.signing.feeds.signers import Keyrings, SeveralSigners, SignsDocuments
from headwater.streams.signing.reading import FeedReader, Form, NoStart, is_there
from headwater.streams.signing.replay import require_not_older
from headwater.streams.signing.texts import signable
from headwater.streams.signing.verifying import BadSignature, Verified, verified, verified_detached
from headwater.streams.trees.tree import ABSENT, Document, Documents, PathChanged, PathNotFound, Tree

T = TypeVar("T")

PURPOSE: Final = "headwater streams sign"


class Done(StrEnum):
    """What was, or would be, done with a file."""

    SIGNED = "signed"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Step:
    """One signed file."""

    path: str
    done: Done


@dataclass(frozen=True, slots=True)
class Signed:
    """What was done with a feed."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...]


class NoSignedName(Conflict):
    """A signed index could not name a document."""

    def __init__(self, place: str, path: str) -> None:
        super().__init__(
            f"{place}: {path} does not end in .json, so it has no signed name; rename it before the feed is signed"
        )
        self.place, self.path = place, path


class ReadersWouldRefuse(Conflict):
    """A keyring that readers have does not vouch for what is about to be published."""

    def __init__(self, place: str, path: str, keyring: str, problem: str) -> None:
        super().__init__(
            f"{place}: {path}, as it would be signed, is refused by readers with {keyring}: {problem}. Nothing was "
            "replaced. Bring readers a keyring that holds the new key too, and sign with it after that"
        )
        self.place, self.path, self.keyring, self.problem = place, path, keyring, problem


@dataclass(frozen=True, slots=True)
class _Unsigned:
    """One document of the feed."""

    path: str
    stored: Document
    text: bytes  # of its signed twin


@dataclass(frozen=True, slots=True)
class Twin:
    """One signed file, before it is written."""

    path: str
    body: bytes | None  # None: what is there is right
    tag: str  # of what is there


@dataclass(frozen=True, slots=True)
class Twins:
    """All signed files of a feed, in the order in which they are written."""

    twins: tuple[Twin, ...]
    warnings: tuple[str, ...]
    of: Mapping[str, str]  # the tags of what was signed, by path


def sign_feed(
    tree: Tree,
    signer: SignsDocuments,
    *,
    also: Sequence[SignsDocuments] = (),
    forms: Sequence[Form] = (Form.INLINE, Form.DETACHED),
    keyrings: Keyrings | None = None,
    allow_older: bool = False,
    dry_run: bool = False,
    told: Callable[[int], None] = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Signed:
    """Sign all documents of the feed in ``tree``; what its key signed already, and says the same, stays.

    Args:
        also: Sign with these keys too; see ``signers.py`` for what readers think of that.
        keyrings: What readers have, by name: each has to vouch for every document, or nothing is replaced.
        allow_older: Sign documents that are older than their signed twins.
        told: Is told how many documents are signed.

    Raises:
        NoStart: There is no feed.
        NoSignedName, OlderThanSeen, ReadersWouldRefuse: As they say.
        MalformedDocument: A document is none; the message names it.
        PathChanged, TreeInUse: Somebody else changes the feed meanwhile.
    """
    signers = [signer, *also]
    with contextlib.nullcontext() if dry_run else tree.exclusive(PURPOSE):
        signed = twins(tree, signers, forms=forms, keyrings=keyrings, allow_older=allow_older, told=told, clock=clock)
        if not dry_run:
            _write(tree, signed)
    steps = tuple(Step(twin.path, Done.SAME if twin.body is None else Done.SIGNED) for twin in signed.twins)
    return Signed(steps, signed.warnings)


def twins(
    tree: Documents,
    signers: Sequence[SignsDocuments],
    *,
    forms: Sequence[Form],
    keyrings: Keyrings | None = None,
    allow_older: bool = False,
    told: Callable[[int], None] = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Twins:
    """Return the signed files that the feed in ``tree`` is to have, verified as readers would; nothing is written.

    Raises:
        As ``sign_feed``.
    """
    rings = {"the public part of what signs": [each.certificate for each in signers], **(keyrings or {})}
    signing = _Signing(tree, signers, forms, rings, clock())
    documents = _documents(tree)
    found: list[Twin] = []
    for number, document in enumerate(documents, 1):
        if not allow_older:
            _require_not_older(tree, document)
        found += signing.twins(document)
        told(number)
    return Twins(tuple(found), signing.warnings(), {each.path: each.stored.tag for each in documents})


def _write(tree: Tree, signed: Twins) -> None:
    for path, tag in signed.of.items():
        if tree.read(path).tag != tag:
            raise PathChanged(tree.place, path)
    for twin in signed.twins:
        if twin.body is not None:
            tree.write(twin.path, twin.body, expect=twin.tag)


def _documents(tree: Documents) -> list[_Unsigned]:
    """Return the documents of the feed, each once, those that name others after them."""
    indexes: dict[str, _Unsigned] = {}
    others: dict[str, _Unsigned] = {}
    for start in UNSIGNED_INDEXES:
        if start in indexes or not is_there(tree, start):
            continue
        for read, index in FeedReader(tree, None, start).indexes():
            text = signable(index.with_signed_paths().to_bytes())
            indexes.setdefault(read.path, _Unsigned(read.path, read.stored, text))
            for content_id, entry in index.index.items():
                _require_signed_name(tree, entry.path)
                if entry.format != "index:1.0" and entry.path not in others:
                    others[entry.path] = _products(tree, entry.path, content_id)
    if not indexes:
        raise NoStart(tree.place, UNSIGNED_INDEXES)
    mirrors = list(_mirrors(tree, MIRRORS)) if is_there(tree, MIRRORS) else []
    found = {each.path: each for each in (*others.values(), *mirrors)} | dict(reversed(indexes.items()))
    # What Juju and LXD begin with comes last of all.
    return sorted(found.values(), key=lambda each: each.path in UNSIGNED_INDEXES)


def _products(tree: Documents, path: str, content_id: str) -> _Unsigned:
    try:
        stored = tree.read(path)
    except PathNotFound as error:
        raise PathNotFound(tree.place, f"{path}, which the index names for {content_id}") from error
    _named(path, lambda: as_object(parse_json(stored.body), "top"))  # a web page with an answer of 200 is no document
    return _Unsigned(path, stored, _named(path, lambda: signable(stored.body)))


def _mirrors(tree: Documents, path: str) -> Iterator[_Unsigned]:
    """Yield the mirrors document after those that it leads to; their paths are signed names in what is signed."""
    stored = tree.read(path)
    mirrors = _named(path, lambda: Mirrors.from_dict(parse_json(stored.body)))
    for each in {mirror.path for mirrors_of_one in mirrors.mirrors.values() for mirror in mirrors_of_one}:
        if each is not None and each != path and is_there(tree, each):
            yield _with_signed_mirrors(each, tree.read(each))
    yield _with_signed_mirrors(path, stored)


def _with_signed_mirrors(path: str, stored: Document) -> _Unsigned:
    mirrors = _named(path, lambda: Mirrors.from_dict(parse_json(stored.body)))
    renamed = {
        content_id: tuple(replace(each, path=each.path and signed_name(each.path)) for each in found)
        for content_id, found in mirrors.mirrors.items()
    }
    return _Unsigned(path, stored, replace(mirrors, mirrors=renamed).to_bytes())


def _require_signed_name(tree: Documents, path: str) -> None:
    if signed_name(path) == path:
        raise NoSignedName(tree.place, path)


def _require_not_older(tree: Documents, document: _Unsigned) -> None:
    path = signed_name(document.path)
    try:
        before = clearsign.parse(tree.read(path).body).text
    except (PathNotFound, NotClearSigned):
        return
    if before != document.text:
        require_not_older(tree.place, document.path, _updated(document.text), _updated(before))


def _updated(text: bytes) -> str | None:
    try:
        found: Any = json.loads(text)
    except ValueError:
        return None
    updated = found.get("updated") if isinstance(found, dict) else None
    return updated if isinstance(updated, str) else None


class _Signing:
    """One run: makes signed files and judges them as readers would."""

    def __init__(
        self,
        tree: Documents,
        signers: Sequence[SignsDocuments],
        forms: Sequence[Form],
        rings: Keyrings,
        now: datetime,
    ) -> None:
        self._tree, self._forms, self._rings, self._now = tree, forms, rings, now
        self._signer = SeveralSigners(signers) if len(signers) > 1 else signers[0]
        self._certificates = [each.certificate for each in signers]
        self._warnings: list[str] = []

    def warnings(self) -> tuple[str, ...]:
        """Return what readers may take offence at, each once."""
        return tuple(dict.fromkeys(self._warnings))

    def twins(self, document: _Unsigned) -> Iterator[Twin]:
        """Yield the signed files of one document, which every keyring vouches for.

        Raises:
            ReadersWouldRefuse: As it says.
        """
        for form in self._forms:
            path = signed_name(document.path) if form is Form.INLINE else f"{document.path}.gpg"
            try:
                there: Document | None = self._tree.read(path)
            except PathNotFound:
                there = None
            is_right = there is not None and self._is_right(document, form, there.body)
            body = there.body if there is not None and is_right else self._made(document, form)
            self._require_readers(document, form, path, body)
            yield Twin(path, None if is_right else body, there.tag if there else ABSENT)

    def _made(self, document: _Unsigned, form: Form) -> bytes:
        if form is Form.INLINE:
            return self._signer.sign(document.text)
        return self._signer.sign_detached(document.stored.body)

    def _is_right(self, document: _Unsigned, form: Form, body: bytes) -> bool:
        """Return whether a signed file may stay: these keys and no others signed it, and it says what it should."""
        try:
            found = self._judged(document, form, body, self._certificates)
        except (BadSignature, NotClearSigned):
            return False
        return found.signatures == len(found.signed_by) == len(self._certificates)

    def _require_readers(self, document: _Unsigned, form: Form, path: str, body: bytes) -> None:
        for name, ring in self._rings.items():
            try:
                self._warnings += self._judged(document, form, body, ring).warnings
            except (BadSignature, NotClearSigned) as error:
                raise ReadersWouldRefuse(self._tree.place, path, name, error.problem) from error

    def _judged(self, document: _Unsigned, form: Form, body: bytes, trusted: Sequence[Cert]) -> Verified:
        if form is Form.DETACHED:
            return verified_detached(document.stored.body, body, trusted, self._now)
        found = verified(body, trusted, self._now)
        if found.text != document.text:
            raise BadSignature("it says something else")
        return found


def _named(path: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except MalformedDocument as error:
        raise MalformedDocument(f"{path}: {error.where}", error.problem) from error
