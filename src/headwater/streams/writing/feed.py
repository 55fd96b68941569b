"""A feed in a tree, changed: read, changed in memory, and written so that it is whole for readers at every moment.

What is to be written is made first, signed, and verified as readers would. Then products are written before the index
that names them, and the index last, each under the condition that it is still the one that was read; of two who change
a feed at once the later reads it anew. A writer that is killed leaves the feed as it was, or products that are newer
than their index, which are whole too. What others wrote stays: their entries, keys and order.

Readers differ in which index they ask for (LXD and Incus ``index.json``, Juju ``index2.json`` first), so both are
written, with the same entries; Juju also asks for ``mirrors.json``, which may not answer 403.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from headwater.clock import Clock, now, rfc2822
from headwater.errors import Conflict, WrongContent
from headwater.streams.format.documents import (
    INDEX_FORMAT,
    PRODUCTS_FORMAT,
    Cloud,
    Index,
    IndexEntry,
    Mirrors,
    Products,
)
from headwater.streams.format.json_objects import MalformedDocument
from headwater.streams.format.layout import INDEX, INDEX2, MIRRORS, SIGNED_INDEXES, UNSIGNED_INDEXES, path_of
from headwater.streams.signing.feeds.sign import twins
from headwater.streams.signing.feeds.signers import Keyrings, SignsDocuments
from headwater.streams.signing.reading import Form, is_there
from headwater.streams.trees.planned import PlannedTree
from headwater.streams.trees.tree import ABSENT, Document, PathChanged, PathNotFound, Tree, TreeRefused

T = TypeVar("T")

_TRIES = 5
_RESERVED = frozenset({INDEX, INDEX2, MIRRORS})


class FeedSigned(Conflict):
    """Readers of a signed feed would not see what is written unsigned."""

    def __init__(self, place: str, path: str) -> None:
        super().__init__(
            f"{place}: the feed is signed ({path}), and readers prefer that; name the key that signs, or remove "
            "its *.sjson and *.json.gpg files first"
        )
        self.place, self.path = place, path


class PathTaken(Conflict):
    """Two content ids would have one products file."""

    def __init__(self, path: str, content_id: str, other: str) -> None:
        super().__init__(f"{path} holds {other}, so it cannot hold {content_id}; name another path")
        self.path, self.content_id, self.other = path, content_id, other


class NoProducts(WrongContent):
    """What an entry of the index names is no products file."""

    def __init__(self, content_id: str, problem: str) -> None:
        super().__init__(f"{content_id}: {problem}")
        self.content_id = content_id


class Feed:
    """What a feed says, being changed."""

    def __init__(self, tree: Tree, index: Index) -> None:
        """Begin with the index as it is; products are read when they are asked for."""
        self.tree = tree
        self.index = index
        self.changed: dict[str, Products] = {}  # by content id
        self.tags: dict[str, str] = {}  # of the products files that were read, by path
        self.changed_mirrors: Mirrors | None = None
        self._read: dict[str, Products] = {}

    def products(self, content_id: str, *, path: str | None = None) -> Products | None:
        """Return the products of one content id as they are now; ``None``: there are none.

        Args:
            path: Of a products file that the index does not name yet. Default: as for ``put``. A writer that was killed
                leaves such a file, and one that writes at this moment will name it.

        Raises:
            NoProducts: The entry leads to another index, or to nothing.
            PathTaken: The file that the index does not name is that of another content id.
            MalformedDocument: Its document is none; the message names the file.
        """
        if content_id in self.changed:
            return self.changed[content_id]
        entry = self.index.index.get(content_id)
        if entry is None:
            return self._unnamed(content_id, path or path_of(content_id))
        if entry.format not in (None, PRODUCTS_FORMAT):
            raise NoProducts(content_id, f"it is of the format {entry.format!r}, which is not changed here")
        if content_id not in self._read:
            try:
                found = self.tree.read(entry.path)
            except PathNotFound as error:
                raise NoProducts(
                    content_id, f"the index names {entry.path}, which is not there; publish it, or take the entry out"
                ) from error
            self._read[content_id] = _parsed(Products.from_bytes, entry.path, found.body)
            self.tags[entry.path] = found.tag
        return self._read[content_id]

    def _unnamed(self, content_id: str, path: str) -> Products | None:
        if content_id not in self._read:
            found = _found(self.tree, path)
            if found is None:
                return None
            products = _parsed(Products.from_bytes, path, found.body)
            if products.content_id != content_id:
                raise PathTaken(path, content_id, products.content_id or "something else")
            self._read[content_id] = products
            self.tags[path] = found.tag
        return self._read[content_id]

    def put(
        self,
        content_id: str,
        products: Products,
        *,
        path: str | None = None,
        cloudname: str | None = None,
        clouds: tuple[Cloud, ...] | None = None,
    ) -> None:
        """Make ``products`` those of ``content_id``; what is not given stays as it is.

        Args:
            path: Of a new products file. Default: the content id, with ``-`` for ``:``.

        Raises:
            PathTaken: The path is another entry's.
        """
        entry = self.index.index.get(content_id)
        path = entry.path if entry else path or path_of(content_id)
        others = {each.path: name for name, each in self.index.index.items() if name != content_id}
        taken = others.get(path)
        if taken is not None or path in _RESERVED:
            raise PathTaken(path, content_id, taken or "the index")
        is_new = entry is None
        entry = entry or IndexEntry(path=path, format=PRODUCTS_FORMAT)
        entry = replace(
            entry,
            format=entry.format or PRODUCTS_FORMAT,
            datatype=products.datatype or entry.datatype,
            cloudname=cloudname or entry.cloudname,
            clouds=entry.clouds if clouds is None else clouds,
            products=_named_as_before(entry.products or (), products),
        )
        self.index = replace(self.index, index={**self.index.index, content_id: entry})
        if is_new or products != self._read.get(content_id):
            self.changed[content_id] = products
        else:  # what was changed before is as it was
            self.changed.pop(content_id, None)

    def mirrors(self) -> Mirrors:
        """Return what ``mirrors.json`` says now; nothing where there is none.

        Raises:
            MalformedDocument: It is none; the message names the file.
        """
        if self.changed_mirrors is not None:
            return self.changed_mirrors
        found = _found(self.tree, MIRRORS)
        self.tags[MIRRORS] = ABSENT if found is None else found.tag
        return Mirrors(mirrors={}) if found is None else _parsed(Mirrors.from_bytes, MIRRORS, found.body)

    def put_mirrors(self, mirrors: Mirrors) -> None:
        """Make ``mirrors.json`` say something else."""
        if mirrors != self.mirrors():
            self.changed_mirrors = mirrors

    def paths_left(self) -> set[str]:
        """Return the files that items named before the change and do not name after it."""
        before: set[str] = set()
        after: set[str] = set()
        for products in self._read.values():
            before |= paths_of(products)
        for name, products in (self._read | self.changed).items():
            if name in self.index.index:
                after |= paths_of(products)
        return before - after

    def remove(self, content_id: str) -> None:
        """Forget an entry; its products file stays for readers that know the index of before."""
        self.changed.pop(content_id, None)
        entries = {name: entry for name, entry in self.index.index.items() if name != content_id}
        self.index = replace(self.index, index=entries)


def _named_as_before(before: tuple[str, ...], products: Products) -> tuple[str, ...]:
    """Return the names of products: sorted, or in an order that somebody else chose with new ones at its end."""
    left = [name for name in dict.fromkeys(before) if name in products.products]
    if left == sorted(left):
        return tuple(sorted(products.products))
    return (*left, *sorted(products.products.keys() - set(left)))


def paths_of(products: Products | None) -> set[str]:
    """Return the files that the items of a products document name."""
    every = products.products.values() if products else ()
    items = (item for each in every for version in each.versions.values() for item in version.items.values())
    return {item.path for item in items if item.path is not None}


def read(tree: Tree) -> Feed:
    """Return a feed as it is; an empty one where there is none.

    Raises:
        MalformedDocument: Its index is none; the message names the file.
    """
    return Feed(tree, _indexes(tree)[0])


def edit(
    tree: Tree,
    change: Callable[[Feed], T],
    *,
    signer: SignsDocuments | None = None,
    also: Sequence[SignsDocuments] = (),
    keyrings: Keyrings | None = None,
    clock: Clock = now,
) -> T:
    """Change a feed, and return what ``change`` does; a change that changes nothing writes nothing.

    Args:
        change: Changes the feed that it is given; it is called again with the feed as it is then, if somebody
            else changed it meanwhile.
        signer: Signs all documents. A feed that is signed cannot be changed without.
        also: Sign all documents too; see ``signers.py`` for what readers think of that.
        keyrings: What readers have, by name: each has to vouch for every document, or nothing is replaced.

    Raises:
        FeedSigned, ReadersWouldRefuse, NoSignedName: As they say.
        PathChanged: Others changed the feed each time.
    """
    for last in (*[False] * (_TRIES - 1), True):
        index, tags = _indexes(tree)
        if signer is None:
            _require_unsigned(tree)
        feed = Feed(tree, index)
        result = change(feed)
        changes = feed.index != index or feed.changed or feed.changed_mirrors is not None
        if signer is None and not changes and tags[INDEX] and tags[INDEX2]:
            return result
        planned = _planned(feed, tags, clock)
        if signer is not None:
            _sign(feed, planned, [signer, *also], keyrings, clock)
        try:
            _carry_out(tree, planned)
        except PathChanged:
            if last:
                raise
        else:
            return result
    raise AssertionError


def _carry_out(tree: Tree, planned: PlannedTree) -> None:
    """Write what is planned, into a container or bucket that is made where there is none."""
    try:
        planned.carry_out()
    except TreeRefused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        tree.prepare()
        planned.carry_out()


def _planned(feed: Feed, tags: Mapping[str, str], clock: Clock) -> PlannedTree:
    """Return the tree with all that the feed changes, not signed yet."""
    planned, updated = PlannedTree(feed.tree), rfc2822(clock())
    entries = dict(feed.index.index)
    for content_id, products in feed.changed.items():
        entries[content_id] = replace(entries[content_id], updated=updated)
        body = replace(products, updated=updated, content_id=content_id, format=PRODUCTS_FORMAT).to_bytes()
        path = entries[content_id].path
        planned.write(path, body, expect=feed.tags.get(path, ABSENT))
    if feed.changed_mirrors is not None:
        planned.write(MIRRORS, feed.changed_mirrors.to_bytes(), expect=feed.tags[MIRRORS])
    elif not is_there(feed.tree, MIRRORS):
        planned.write(MIRRORS, Mirrors(mirrors={}).to_bytes())
    body = replace(feed.index, index=entries, updated=updated, format=INDEX_FORMAT).to_bytes()
    for path in UNSIGNED_INDEXES:
        planned.write(path, body, expect=tags[path])
    return planned


def _sign(
    feed: Feed,
    planned: PlannedTree,
    signers: Sequence[SignsDocuments],
    keyrings: Keyrings | None,
    clock: Clock,
) -> None:
    """Give every document the signed twin that says the same, and a signature beside where the feed has these.

    A twin of before stays only if it is by the same keys.
    """
    documents = (*UNSIGNED_INDEXES, *(entry.path for entry in feed.index.index.values()))
    beside = any(is_there(feed.tree, f"{path}.gpg") for path in documents)
    signed = twins(
        planned,
        signers,
        forms=(Form.INLINE, Form.DETACHED) if beside else (Form.INLINE,),
        keyrings=keyrings,
        allow_older=True,  # who writes has just read it
        clock=lambda: datetime.fromtimestamp(clock() / 1_000_000, UTC),
    )
    for twin in signed.twins:
        if twin.body is not None:
            planned.write(twin.path, twin.body, expect=twin.tag)


def _require_unsigned(tree: Tree) -> None:
    for path in (*SIGNED_INDEXES, f"{INDEX2}.gpg", f"{INDEX}.gpg"):
        try:
            tree.stat(path)
        except PathNotFound:
            continue
        raise FeedSigned(tree.place, path)


def _indexes(tree: Tree) -> tuple[Index, dict[str, str]]:
    """Return what both indexes say together, and the tag of each."""
    found = {path: _found(tree, path) for path in (INDEX2, INDEX)}
    read = [_parsed(Index.from_bytes, path, each.body) for path, each in found.items() if each is not None]
    read.reverse()  # of two of the same time the one that Juju asks for first counts
    newest_last = sorted(read, key=_updated)
    entries: dict[str, IndexEntry] = {}
    for each in newest_last:
        entries |= each.index
    index = replace(newest_last[-1], index=entries) if newest_last else Index(index={})
    return index, {path: ABSENT if each is None else each.tag for path, each in found.items()}


def _found(tree: Tree, path: str) -> Document | None:
    try:
        return tree.read(path)
    except PathNotFound:
        return None


def _updated(index: Index) -> float:
    """Return when an index was written; one that does not say so is older than any that does."""
    try:
        return parsedate_to_datetime(index.updated or "").timestamp()
    except ValueError:
        return 0.0


def _parsed(read: Callable[[bytes], T], path: str, body: bytes) -> T:
    try:
        return read(body)
    except MalformedDocument as error:
        raise MalformedDocument(f"{path}: {error.where}", error.problem) from error
