"""One image in a feed that lies in a tree: where it stands, who sees it there, and for who does not, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pysequoia import Cert

from headwater.findings import Level
from headwater.streams.format.layout import SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.lint.check import EVERYONE, Found, Report, lint
from headwater.streams.lint.consumers.consumer import Consumer
from headwater.streams.lint.reading import Texts
from headwater.streams.lint.rules import Finding
from headwater.streams.lint.shapes import objects, text
from headwater.streams.lint.verdict import Build, Verdict
from headwater.streams.trees.tree import Tree


@dataclass(frozen=True, slots=True)
class Match:
    """A version of a product that is the image, or holds it."""

    file: str  # the products document, by its unsigned name
    content_id: str
    product: str
    version: str
    items: tuple[str, ...]  # those that are meant

    def to_dict(self) -> dict[str, Any]:
        return {
            **{"file": self.file, "content_id": self.content_id, "product": self.product, "version": self.version},
            "items": list(self.items),
        }


@dataclass(frozen=True, slots=True)
class View:
    """What one consumer makes of it."""

    consumer: str
    reads: bool  # whether it looks at images of this kind
    sees: bool
    findings: tuple[Finding, ...]  # that concern the image, the worst first; of one that it does not look at: none

    def to_dict(self) -> dict[str, Any]:
        facts = {"consumer": self.consumer, "reads": self.reads, "sees": self.sees}
        return {**facts, "findings": [each.to_dict() for each in self.findings]}


@dataclass(frozen=True, slots=True)
class Explained:
    """How an image stands in a tree."""

    place: str
    matches: tuple[tuple[Match, tuple[View, ...]], ...]  # none: it is not in it
    of_feed: tuple[Finding, ...]  # without a match: what may hide it, such as a document that cannot be read

    def to_dict(self) -> dict[str, Any]:
        return {
            "tree": self.place,
            "found": [
                {**match.to_dict(), "consumers": [view.to_dict() for view in views]} for match, views in self.matches
            ],
            "findings": [each.to_dict() for each in self.of_feed],
        }


def explain(
    tree: Tree,
    image: str,
    consumers: Sequence[Consumer] = (),
    *,
    trusted: Sequence[Cert] | None = None,
    now: datetime | None = None,
) -> Explained:
    """Return where an image stands in a feed, and what each consumer makes of it.

    Args:
        image: Its id in the cloud, a path, hash or fingerprint, an alias, or the name of a product.
        consumers: Whose view is told. Default: all known.
        trusted: As ``lint`` takes them, with ``now``.
    """
    report = lint(tree, consumers, trusted=trusted, now=now)
    texts = Texts(tree)
    matches = list(_matches(texts, image))
    views = tuple((match, tuple(_view(report, verdict, match) for verdict in report.verdicts)) for match in matches)
    errors = [each.finding for each in report.findings if each.finding.level is Level.ERROR]
    return Explained(tree.place, views, () if matches else tuple(dict.fromkeys(errors)))


def _matches(texts: Texts, image: str) -> Iterator[Match]:
    known: set[tuple[str, str, str]] = set()
    for start in (*UNSIGNED_INDEXES, *SIGNED_INDEXES):
        for content_id, entry in objects(texts.get(start).value, "index"):
            path = text(entry, "path")
            document = texts.get(path).value if path else None
            for match in _in_document(document, _unsigned(path), content_id, image):
                if (key := (match.file, match.product, match.version)) not in known:
                    known.add(key)
                    yield match


def _in_document(document: Any, path: str, content_id: str, image: str) -> Iterator[Match]:
    for name, product in objects(document, "products"):
        aliases = [each.strip() for each in text(product, "aliases").split(",")]
        versions = list(objects(product, "versions"))
        newest = max((version for version, _ in versions), default="")
        for version, each in versions:
            items = list(objects(each, "items"))
            meant = [item_name for item_name, item in items if _is_meant(item, image)]
            is_named = image == name or (image in aliases and version == newest)
            if meant or is_named:
                chosen = meant or [item_name for item_name, _ in items]
                yield Match(path, content_id, name, version, tuple(chosen))


def _is_meant(item: Mapping[str, Any], image: str) -> bool:
    """Return whether an item's id, path, hash or combined hash is this."""
    return any(
        value == image for key, value in item.items() if key in ("id", "path") or key.endswith(("sha256", "sha512"))
    )


def _view(report: Report, verdict: Verdict, match: Match) -> View:
    def is_it(build: Build) -> bool:
        return (_unsigned(build[0]), *build[1:]) == (match.file, match.product, match.version)

    sees = any(map(is_it, verdict.sees))  # maybe not every image of the version: the findings say so
    mine = [each.finding for each in report.findings if _is_of(each, verdict.consumer)]
    # What spoils the document as a whole keeps even its images from being counted.
    spoilt = any(each.level is Level.ERROR and _unsigned(each.file) == match.file and not each.place for each in mine)
    reads = sees or spoilt or any(map(is_it, verdict.misses))
    concerning = [each for each in mine if reads and each.level > Level.NOTE]
    of_it = [each for each in concerning if _concerns(each, match)]
    if not of_it and not sees:  # another image of this version takes it along
        whole = replace(match, items=())
        of_it = [each for each in concerning if _concerns(each, whole)]
    return View(verdict.consumer, reads, sees, tuple(of_it))


def _is_of(found: Found, consumer: str) -> bool:
    return consumer in found.consumers or found.consumers == (EVERYONE,)


def _concerns(finding: Finding, match: Match) -> bool:
    """Return whether a finding is of the image, or of what the way to it leads through."""
    if _unsigned(finding.file) != match.file:
        is_of_entry = len(finding.place) < 2 or finding.place[:2] == ("index", match.content_id)
        return finding.file in (*UNSIGNED_INDEXES, *SIGNED_INDEXES) and is_of_entry
    place = finding.place
    if place[:1] != ("products",) or len(place) < 2:
        return True
    if place[1] != match.product:
        return False
    if len(place) < 4 or place[2] != "versions":
        return True
    return place[3] == match.version and (
        len(place) < 6 or place[4] != "items" or place[5] in match.items or not match.items
    )


def _unsigned(path: str) -> str:
    return f"{path.removesuffix('.sjson')}.json" if path.endswith(".sjson") else path
