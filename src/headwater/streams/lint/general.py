"""What is wrong with a feed whoever reads it, or may be read in two ways."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.format.json_objects import UnsafePath, safe_path
from headwater.streams.format.layout import SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.lint.dates import date_problem
from headwater.streams.lint.reading import Text, Texts
from headwater.streams.lint.rules import Place, Reach, Rule
from headwater.streams.lint.shapes import objects, text
from headwater.streams.lint.verdict import Verdict
from headwater.streams.trees.tree import PathNotFound

PRIVATE: Final = Rule(
    id="feed-private-file",
    level=Level.ERROR,
    reach=Reach.FEED,
    says=(
        "its mode is {mode}: a web server of another user cannot read it, answers 403, and readers "
        "take that for a failure"
    ),
    fix="chmod 0644 {name} (juju metadata writes its files with 0600)",
    source="juju metadata generate-image: files keep the mode of the temporary file, 0600; 403 is not absent for Juju",
)
TWICE: Final = Rule(
    id="feed-duplicate-key",
    level=Level.WARNING,
    says="the object has the key {key!r} twice: readers keep one of the two values, and not all the same one",
    fix="keep one of them",
    source="RFC 8259 section 4: names should be unique; what a reader makes of others is not foreseeable",
)
UNSAFE: Final = Rule(
    id="feed-unsafe-path",
    level=Level.ERROR,
    says="{problem}: readers refuse it, or fetch something that is not of the feed",
    fix="write it relative to the root of the tree, without a scheme, without / before it and without ..",
    source=(
        "the format's README: paths are relative to the mirror's root; readers refuse others or join them to the root"
    ),
)
NO_PATH: Final = Rule(
    id="feed-entry-without-path",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the entry has no path: nobody can fetch its document",
    fix='set "path" on the entry, such as streams/v1/NAME.json',
    source="path is the one key of an entry that the format's README asks for",
)
DATATYPE: Final = Rule(
    id="feed-unknown-datatype",
    level=Level.WARNING,
    reach=Reach.PRODUCTS,
    says="no consumer knows the datatype {found!r}",
    fix="use image-ids, image-downloads or content-download",
    source="the datatypes of all known feeds",
)
DEAD: Final = Rule(
    id="feed-dead-format",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="nobody reads the format {found!r} any more",
    fix="write index:1.0 and products:1.0",
    source="stream:1.0 and stream-collection:1.0 are from before 2013",
)
EMPTY: Final = Rule(
    id="feed-no-products",
    level=Level.WARNING,
    reach=Reach.PRODUCTS,
    says="the document has no products",
    fix="add products, or remove its entry from the index",
    source="an entry without products is passed over by Juju, LXD and Incus",
)
NESTED: Final = Rule(
    id="feed-index-of-indexes",
    level=Level.WARNING,
    reach=Reach.PRODUCTS,
    says="the entry names a further index: only the simplestreams tools follow it",
    fix="name the products documents in this index itself",
    source="the reference tool recurses; Juju, LXD, Incus, MAAS and multipass look for products there",
)
LISTS_ABSENT: Final = Rule(
    id="feed-lists-absent-product",
    level=Level.WARNING,
    says="the entry lists {name!r}, which its document does not have",
    fix="make the list in the index from the document",
    source="Juju chooses an entry by this list, and finds nothing then",
)
UNLISTED: Final = Rule(
    id="feed-unlisted-product",
    level=Level.WARNING,
    says="the entry of the index does not list {name!r}",
    fix="make the list in the index from the document",
    source="Juju chooses an entry by this list; others take every product of a document whose entry lists any",
)
CONTENT_ID: Final = Rule(
    id="feed-content-id",
    level=Level.WARNING,
    says="its content_id is {found!r}, and the index names it {wanted!r}",
    fix="write the same content id in both; mirrors keep what they have by it",
    source="sstream-mirror keeps its state under the content_id of the document",
)
ORDER: Final = Rule(
    id="feed-version-order",
    level=Level.WARNING,
    says="as text {text_newest!r} comes last, as a number {newest!r}: readers take the wrong one for the newest",
    fix="name versions so that they sort as text: YYYYMMDD, YYYYMMDD.N with as many digits in each",
    source="names of versions sort as strings; of 1, 2, 3 and 10, sstream-query --max 2 keeps 3 and 2 (run)",
)
UPDATED: Final = Rule(
    id="feed-updated",
    level=Level.WARNING,
    says="updated {problem}",
    fix='write it such as "Thu, 01 Jan 2026 00:00:00 +0000"',
    source="RFC 2822 with a numeric zone is what all known readers take",
)
DIFFERS: Final = Rule(
    id="feed-twins-differ",
    level=Level.WARNING,
    reach=Reach.FEED,
    says="it does not say the same as {other}: readers see another feed by which of the two they ask for first",
    fix="write both from one text, products first",
    source="Juju asks index2 before index, others index alone; who has a key prefers the signed twins",
)
FILE_GONE: Final = Rule(
    id="feed-file-missing",
    level=Level.ERROR,
    says="the file {path} is not there",
    fix="publish the file before the document that names it, and remove it an hour after the document no longer does",
    source="mirrors out of step: the index is newer than the files (lxc/lxc#3489), clients keep an index for an hour",
)
FILE_SIZE: Final = Rule(
    id="feed-file-size",
    level=Level.ERROR,
    says="the file {path} has {found} bytes, and the item says {wanted}",
    fix="publish the file again, or write its right size and hashes",
    source="a mirror refuses such a file; LXD cuts the download off at the size told",
)
RULES: Final = (
    *(PRIVATE, TWICE, UNSAFE, NO_PATH, DATATYPE, DEAD, EMPTY, NESTED, LISTS_ABSENT, UNLISTED, CONTENT_ID, ORDER),
    *(UPDATED, DIFFERS, FILE_GONE, FILE_SIZE),
)

_DATATYPES: Final = ("image-ids", "image-downloads", "content-download")
_DEAD: Final = ("stream:1.0", "stream-collection:1.0")
_NUMBERS: Final = re.compile(r"[0-9]+")


class General:
    """The feed as such; ``verdict`` keeps what is found, once for each document."""

    def __init__(self, texts: Texts, verdict: Verdict, *, files: bool = False) -> None:
        self._texts, self._verdict, self._files = texts, verdict, files
        self._judged: set[str] = set()

    def judge(self) -> None:
        indexes = [self._texts.get(path) for path in (*UNSIGNED_INDEXES, *SIGNED_INDEXES)]
        for index in indexes:
            if index.is_json and isinstance(index.value, dict):
                self._judge_index(index)
        self._compare(indexes)
        for each in self._texts.read():
            if each.is_private:
                mode = f"{(each.mode or 0) & 0o7777:04o}"
                self._verdict.add(PRIVATE, each.path, mode=mode, name=each.path)
            for place in each.twice:
                self._verdict.add(TWICE, each.path, place, key=place[-1])

    def _compare(self, indexes: Sequence[Text]) -> None:
        readable = [each for each in indexes if each.is_json]
        for first, other in ((a, b) for n, a in enumerate(readable) for b in readable[n + 1 :]):
            if _unsigned(first.value) != _unsigned(other.value):
                self._verdict.add(DIFFERS, first.path, other=other.path)

    def _judge_index(self, index: Text) -> None:
        self._judge_date(index, index.value.get("updated"), ())
        for name, entry in objects(index.value, "index"):
            at: Place = ("index", name)
            path, datatype, form = text(entry, "path"), entry.get("datatype"), entry.get("format")
            self._judge_date(index, entry.get("updated"), at)
            if isinstance(datatype, str) and datatype not in _DATATYPES:
                self._verdict.add(DATATYPE, index.path, (*at, "datatype"), found=datatype)
            if form in _DEAD:
                self._verdict.add(DEAD, index.path, (*at, "format"), found=form)
            if not path:
                self._verdict.add(NO_PATH, index.path, (*at, "path"))
                continue
            if not self._is_safe(index.path, path, (*at, "path"), Reach.PRODUCTS):
                continue
            document = self._texts.get(path)
            if not document.is_json or not isinstance(document.value, dict):
                continue
            if form == "index:1.0" or document.value.get("format") == "index:1.0":
                self._verdict.add(NESTED, index.path, (*at, "path"))
                continue
            self._judge_entry(index, at, entry, document)
            if path not in self._judged:
                self._judged.add(path)
                self._judge_products(document)

    def _judge_entry(self, index: Text, at: Place, entry: Mapping[str, Any], document: Text) -> None:
        content_id = document.value.get("content_id")
        if isinstance(content_id, str) and content_id != at[-1]:
            self._verdict.add(CONTENT_ID, document.path, ("content_id",), found=content_id, wanted=at[-1])
        listed = entry.get("products")
        there = document.value.get("products")
        if not isinstance(listed, list) or not isinstance(there, dict) or not listed:
            return
        names = {each for each in listed if isinstance(each, str)}
        for number, each in enumerate(listed):
            if isinstance(each, str) and each not in there:
                self._verdict.add(LISTS_ABSENT, index.path, (*at, "products", number), name=each)
        for each in there:
            if each not in names:
                self._verdict.add(UNLISTED, index.path, (*at, "products"), name=each)

    def _judge_products(self, document: Text) -> None:
        value = document.value
        if value.get("format") in _DEAD:
            self._verdict.add(DEAD, document.path, ("format",), found=value["format"])
        self._judge_date(document, value.get("updated"), ())
        if not value.get("products"):
            self._verdict.add(EMPTY, document.path, ("products",))
        for name, product in objects(value, "products"):
            at: Place = ("products", name)
            self._judge_order(document, at, product)
            for version_name, version in objects(product, "versions"):
                for item_name, item in objects(version, "items"):
                    path = item.get("path")
                    if not isinstance(path, str):
                        continue
                    place = (*at, "versions", version_name, "items", item_name)
                    if self._is_safe(document.path, path, (*place, "path"), Reach.IMAGE) and self._files:
                        self._judge_file(document, place, path, item)

    def _judge_order(self, document: Text, at: Place, product: Mapping[str, Any]) -> None:
        versions = product.get("versions")
        if not isinstance(versions, dict) or len(versions) < 2:
            return
        last = max(versions)
        newest = max(versions, key=lambda name: ([int(each) for each in _NUMBERS.findall(name)[:8]], name))
        # Names of days and of minutes beside each other are no numbers of one kind.
        if newest != last and all(_NUMBERS.sub("", name) == _NUMBERS.sub("", last) for name in (newest, last)):
            self._verdict.add(ORDER, document.path, (*at, "versions"), text_newest=last, newest=newest)

    def _judge_date(self, document: Text, value: object, at: Place) -> None:
        if not isinstance(value, str):
            return
        problem = date_problem(value)
        if problem:
            self._verdict.add(UPDATED, document.path, (*at, "updated"), problem=problem)

    def _is_safe(self, file: str, path: str, at: Place, reach: Reach) -> bool:
        try:
            safe_path(path)
        except UnsafePath as error:
            self._verdict.add(UNSAFE, file, at, reach=reach, problem=error.problem)
            return False
        return True

    def _judge_file(self, document: Text, at: Place, path: str, item: Mapping[str, Any]) -> None:
        try:
            size = self._texts.tree.stat(path).size
        except PathNotFound:
            self._verdict.add(FILE_GONE, document.path, (*at, "path"), path=path)
            return
        wanted = item.get("size")
        if wanted is not None and str(wanted) != str(size):
            self._verdict.add(FILE_SIZE, document.path, (*at, "size"), path=path, found=size, wanted=wanted)


def _unsigned(index: Any) -> Any:
    """Return an index with the paths of an unsigned one."""
    if not isinstance(index, dict):
        return index
    entries = {
        name: {**entry, "path": _plain_path(entry["path"])} if isinstance(entry.get("path"), str) else entry
        for name, entry in objects(index, "index")
    }
    return {**index, "index": entries}


def _plain_path(path: str) -> str:
    return f"{path.removesuffix('.sjson')}.json" if path.endswith(".sjson") else path
