"""The documents that a run writes: copies of those of the source, or new ones with less in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.errors import Invalid
from headwater.streams.format.documents import Mirrors
from headwater.streams.format.json_objects import parse_json, to_bytes
from headwater.streams.format.layout import MIRRORS
from headwater.streams.mirroring.documents import rewriting
from headwater.streams.mirroring.documents.choosing import Chosen, Version, choose, files_of
from headwater.streams.mirroring.documents.rewriting import Entry, Old
from headwater.streams.mirroring.source import Kind, SourceDocument, SourceFeed
from headwater.streams.mirroring.wanted import Wanted


@dataclass(slots=True)
class Written:
    """What is to be written."""

    documents: dict[str, tuple[Kind, Mapping[str, bytes]]] = field(default_factory=dict)  # all forms, by path
    named: set[str] = field(default_factory=set)  # the files that they name, by ``File.key``
    left_out: list[Version] = field(default_factory=list)  # versions whose files did not come


def copies(feed: SourceFeed, chosen: Mapping[str, Chosen]) -> Written:
    """Return the documents as they lie in the source."""
    documents = {path: (each.kind, each.copies) for path, each in feed.documents.items()}
    return Written(documents, {key for each in chosen.values() for key in each.files})


class Rewriter:
    """Makes documents of what is chosen and came."""

    def __init__(
        self,
        wanted: Wanted,
        chosen: Mapping[str, Chosen],
        bad: Collection[str],
        held: Callable[[str], dict[str, Any] | None],
        is_there: Callable[[str], bool],
    ) -> None:
        """Say what becomes of them.

        Args:
            chosen: By the path of the document.
            bad: Keys of the files that did not come.
            held: Returns what the target says in a document.
            is_there: Whether the target has a file, by its key.
        """
        self._wanted, self._chosen, self._bad, self._held, self._is_there = wanted, chosen, bad, held, is_there
        self._entries: dict[str, Entry] = {}

    def written(self, feed: SourceFeed, *, as_they_are: bool) -> Written:
        """Return the documents; none when they would name nothing.

        Args:
            as_they_are: Documents that name everything that the source names stay as they lie there; else those alone
                are written that can be signed anew.
        """
        written = Written()
        for path, document in feed.documents.items():
            body = self._body(document, feed, written, as_they_are=as_they_are)
            if body is not None:
                forms = document.copies if as_they_are and body is document.text else {path: body}
                written.documents[path] = (document.kind, forms)
        names_some = any(kind in (Kind.PRODUCTS, Kind.OTHER) for kind, _ in written.documents.values())
        if not names_some and self._chosen:
            return Written(left_out=written.left_out)
        if not as_they_are:
            # Juju asks for it, and takes 403, which some object stores say of what is absent, for an error. What the
            # source's names is not filtered.
            written.documents[MIRRORS] = (Kind.MIRRORS, {MIRRORS: Mirrors(mirrors={}).to_bytes()})
        written.documents = dict(sorted(written.documents.items(), key=lambda pair: pair[1][0]))
        return written

    def _body(self, document: SourceDocument, feed: SourceFeed, written: Written, *, as_they_are: bool) -> bytes | None:
        if document.kind is Kind.PRODUCTS:
            return self._products(document, written)
        if document.kind is not Kind.INDEX:
            if not as_they_are:
                return None
            self._entries[document.path] = Entry()
            return document.text
        before = parse_json(document.text)
        after = rewriting.index(before, self._entries)
        if not after["index"] and document.path not in feed.starts:
            return None
        self._entries[document.path] = Entry()
        return document.text if after == before else to_bytes(after)

    def _products(self, document: SourceDocument, written: Written) -> bytes | None:
        chosen, wanted = self._chosen[document.path], self._wanted
        left_out = {version for key in chosen.users.keys() & self._bad for version in chosen.users[key]}
        written.left_out += sorted(left_out)
        before = parse_json(document.text)
        after = rewriting.products(before, chosen, left_out, self._old(document.path), wanted.keep)
        if not after["products"] and (wanted.chooses or left_out):
            return None
        is_same = after == before
        written.named |= chosen.files.keys() if is_same else files_of(after).keys()
        regions = chosen.regions if chosen.regions and not wanted.keep else None
        self._entries[document.path] = Entry(tuple(after["products"]), regions)
        return document.text if is_same else to_bytes(after)

    def _old(self, path: str) -> Old:
        """Return the good versions of what the target says in a document, as far as they pass the filters now."""
        document = self._held(path)
        try:
            if document is None:
                return Old()
            chosen = choose(document, "", self._wanted.filters)
        except Invalid:
            return Old()
        absent = {key for key in chosen.files if key in self._bad or not self._is_there(key)}
        spoiled = {version for key in absent for version in chosen.users[key]}
        versions: dict[str, dict[str, Any]] = {}
        for name, product in document["products"].items():
            for at, found in _versions(product):
                version = None if (name, at) in spoiled else rewriting.chosen_of(found, name, at, chosen)
                if version is not None:
                    versions.setdefault(name, {})[at] = version
        return Old(document["products"], versions)


def _versions(product: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from (product.get("versions") or {}).items()
