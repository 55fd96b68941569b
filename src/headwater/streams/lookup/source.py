"""One source, asked as Juju asks it: signed documents first, then unsigned ones.

At each of the two: ``index2``, and ``index`` only where ``index2`` is absent; then the document of mirrors, always;
then the entry that fits and its products. Absent is what is answered with 404 or 401, and nothing else: an index that
is there and holds nothing that fits hides the other one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

from pysequoia import Cert

from headwater.errors import SettingsError
from headwater.streams.format.json_objects import UnsafePath
from headwater.streams.lookup.documents import (
    Entry,
    MirrorEntry,
    Placed,
    ProductsFile,
    Unreadable,
    WrongFormat,
    index_entries,
    mirror_entries,
)
from headwater.streams.lookup.trace import DataNotFound, Kind, LookupFailed, Trace
from headwater.streams.lookup.wanted import CONTENT_DOWNLOAD, AgentsWanted, ImagesWanted
from headwater.streams.signing.reading import NoSignatureInside, NotSigned, NotVerified, clear_signed
from headwater.streams.trees.tree import PathNotFound, Tree, TreeRefused, TreeUnavailable

T = TypeVar("T")
_OF_MIRRORS = frozenset({"http", "https", "file"})  # what proves us to S3 or Swift is not for feeds to use
Pick = Callable[[ProductsFile, Trace], Sequence[Placed]]  # the items that are taken


class _NoMatchingProducts(Exception):
    """The source is in order and has nothing that was asked for: as the last word this is an empty success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place where Juju looks."""

    description: str  # as Juju names it
    url: str  # base of all paths
    open_tree: Callable[[str], Tree]  # by URL; also for mirrors that the source names
    keys: Sequence[Cert] = ()  # without any, nothing signed is ever good
    requires_signed: bool = False
    priority: int = 0  # kept with what is found; does not order the search

    @property
    def shown(self) -> str:
        """The URL without what proves who asks."""
        return shown(self.url)


@dataclass(slots=True)
class Resolved:
    """Where the answer of a source came from, or where the search in it ended."""

    source: str
    signed: bool = False
    index_url: str = ""
    products_url: str = ""
    mirror_url: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a source has of what was asked for; nothing, if it is in order and has nothing."""

    items: Sequence[Placed]
    resolved: Resolved
    base_url: str  # of the paths of the items


def look(source: Source, wanted: ImagesWanted | AgentsWanted, pick: Pick, trace: Trace, resolved: Resolved) -> Found:
    """Ask one source.

    Args:
        pick: Chooses items of the wanted products.
        resolved: Filled on the way; it says also where a search ended that failed.

    Raises:
        DataNotFound: There is no feed, or nothing in it of this kind or for this cloud.
        LookupFailed: It cannot be read.
    """
    trace.add(Kind.SOURCE, source.shown, "signatures are required" if source.requires_signed else "")
    with _opened(source, source.url, trace) as tree:
        try:
            try:
                return _Attempt(source, tree, wanted, trace, resolved, signed=True).run(pick)
            except (LookupFailed, _NoMatchingProducts) as error:
                if source.requires_signed:
                    raise
                nothing = isinstance(error, _NoMatchingProducts)
                why = "nothing that was asked for is in what is signed" if nothing else "what is signed cannot be used"
                trace.add(Kind.UNSIGNED, source.shown, why)
            return _Attempt(source, tree, wanted, trace, resolved, signed=False).run(pick)
        except _NoMatchingProducts:
            return Found((), resolved, source.url)


@contextmanager
def _opened(source: Source, url: str, trace: Trace) -> Iterator[Tree]:
    try:
        tree = source.open_tree(url)
    except SettingsError as error:
        trace.add(Kind.FAILED, shown(url), str(error))
        raise LookupFailed(f'cannot access URL "{shown(url)}": {error}') from error
    try:
        yield tree
    finally:
        tree.close()


def shown(url: str) -> str:
    """Return a URL without user and password."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url


def joined(base: str, path: str) -> str:
    """Return the URL of a path as Juju joins them, to be shown."""
    return shown(f"{base}{path}" if base.endswith("/") else f"{base}/{path}")


@dataclass(slots=True)
class _Attempt:
    """The documents of one source, either the signed or the unsigned ones."""

    source: Source
    tree: Tree
    wanted: ImagesWanted | AgentsWanted
    trace: Trace
    resolved: Resolved
    signed: bool
    base_url: str = field(init=False)

    def __post_init__(self) -> None:
        self.base_url = self.source.url
        self.resolved.signed, self.resolved.mirror_url, self.resolved.products_url = self.signed, "", ""

    def run(self, pick: Pick) -> Found:
        entries = self._index()
        mirror = self._mirror(self._mirrors())
        if mirror is None:
            return Found(self._products(self.tree, self._entry(entries).path, pick), self.resolved, self.source.url)
        self.base_url, self.resolved.mirror_url = mirror.mirror, shown(mirror.mirror)
        self.trace.add(Kind.TAKEN, self.resolved.mirror_url, "a mirror for this cloud")
        if mirror.mirror.partition("://")[0] not in _OF_MIRRORS:
            raise self._unreachable(self.resolved.mirror_url, None, "a mirror is at http://, https:// or file://")
        with _opened(self.source, mirror.mirror, self.trace) as tree:
            return Found(self._products(tree, mirror.path, pick), self.resolved, mirror.mirror)

    def _index(self) -> list[Entry]:
        for name in ("index2", "index"):
            path = f"streams/v1/{name}{self._suffix}"
            self.resolved.index_url = joined(self.source.url, path)
            try:
                body = self._read(self.tree, path, "index data")
            except DataNotFound:
                if name == "index":
                    raise
                continue
            return self._parsed(lambda body=body: index_entries(body), "index metadata")  # type: ignore[misc]
        raise AssertionError

    def _mirrors(self) -> dict[str, list[MirrorEntry]]:
        path = f"streams/v1/mirrors{self._suffix}"
        try:
            body = self._read(self.tree, path, "mirror data")
            return mirror_entries(body)
        except DataNotFound:
            return {}
        except (LookupFailed, Unreadable) as error:
            url = joined(self.source.url, path)
            self.trace.add(Kind.FAILED, url, str(error))
            raise LookupFailed(f'cannot load mirror metadata at URL "{url}": {error}') from error

    def _mirror(self, mirrors: dict[str, list[MirrorEntry]]) -> MirrorEntry | None:
        """Return the mirror that serves the cloud; whatever goes wrong on the way, the source itself does."""
        content_id, cloud = self.wanted.content_id(), self.wanted.cloud
        if content_id is None:
            return None
        listed = [each for each in mirrors.get(content_id, ()) if each.datatype == CONTENT_DOWNLOAD]
        named = next((each for each in listed if cloud.is_in(each.clouds)), None)
        named = named or next((each for each in listed if not each.clouds), None)
        if named is None:
            if listed:
                self.trace.add(Kind.PASSED_OVER, f"mirrors of {content_id}", f"none is for the cloud {cloud}")
            return None
        try:
            body = self._read(self.tree, named.path, "mirror data")
            found = mirror_entries(body, must_say_format=True).get(content_id, [])
        except (LookupFailed, Unreadable) as error:
            self.trace.add(Kind.PASSED_OVER, joined(self.source.url, named.path), f"no mirror: {error}")
            return None
        mirror = next((each for each in found if cloud.is_in(each.clouds)), None)
        if mirror is None:
            self.trace.add(Kind.PASSED_OVER, joined(self.source.url, named.path), f"no mirror for the cloud {cloud}")
        return mirror

    def _entry(self, entries: list[Entry]) -> Entry:
        wanted, datatype = self.wanted, self.wanted.datatype
        only = wanted.content_id()
        left = self._those(entries, lambda each: only in (None, each.key), lambda _: f"only {only} is looked at")
        left = self._those(
            left,
            lambda each: each.datatype == datatype,
            lambda each: f"its datatype is {each.datatype!r}, not {datatype!r}",
        )
        if not left:
            raise self._absent(f'"{datatype}" data not found')
        if wanted.cloud:
            left = self._those(
                left,
                lambda each: not each.clouds or wanted.cloud.is_in(each.clouds),
                lambda each: wanted.cloud.near_miss(each.clouds),
            )
        if not left:
            raise self._absent(f"index file has no data for cloud {wanted.cloud} not found")
        products = set(wanted.products())
        left = self._those(
            left,
            lambda each: not products.isdisjoint(each.products),
            lambda each: _near_products(wanted, each.products),
        )
        if not left:
            raise _NoMatchingProducts
        for each in left[1:]:
            self.trace.add(Kind.PASSED_OVER, each.key, "it fits too; which of several Juju takes is chance")
        self.trace.add(Kind.TAKEN, left[0].key)
        return left[0]

    def _those(self, entries: list[Entry], fits: Callable[[Entry], bool], why: Callable[[Entry], str]) -> list[Entry]:
        for each in entries:
            if not fits(each):
                self.trace.add(Kind.PASSED_OVER, each.key, why(each))
        return [each for each in entries if fits(each)]

    def _absent(self, cause: str) -> DataNotFound:
        self.trace.add(Kind.ABSENT, self.resolved.index_url, cause)
        return DataNotFound(cause)

    def _products(self, tree: Tree, path: str, pick: Pick) -> Sequence[Placed]:
        self.resolved.products_url = joined(self.base_url, path)
        body = self._read(tree, path, "product data")

        def read() -> ProductsFile:
            file = ProductsFile(body, agents=self.wanted.datatype == CONTENT_DOWNLOAD)
            file.require_format()
            return file

        file = self._parsed(read, "metadata", self.resolved.products_url)
        here = [name for name in self.wanted.products() if name in file]
        if not here:
            why = _near_products(self.wanted, file.names())
            self.trace.add(Kind.PASSED_OVER, self.resolved.products_url, why)
        found = pick(file, self.trace)
        if not found:
            raise _NoMatchingProducts
        return found

    def _parsed(self, read: Callable[[], T], kind: str, url: str | None = None) -> T:
        url = url or self.resolved.index_url
        try:
            return read()
        except Unreadable as error:
            self.trace.add(Kind.FAILED, url, str(error))
            raise LookupFailed(_unreadable(error, kind, url)) from error

    def _read(self, tree: Tree, path: str, kind: str) -> bytes:
        """Return what a document says; of a signed one, what is signed."""
        base = self.source.url if tree is self.tree else self.base_url
        url = joined(base, path)
        try:
            if self.signed and self.source.keys:
                text = clear_signed(tree, path, self.source.keys, datetime.now(UTC), may_begin_later=True).text
            else:
                text = tree.read(path).body
        except NoSignatureInside as error:
            raise self._not_signed(url, kind, "no PGP signature embedded in plain text data") from error
        except (NotSigned, NotVerified) as error:
            raise self._not_signed(url, kind, error.problem) from error
        except PathNotFound as error:
            if error.status == HTTPStatus.GONE:
                raise self._unreachable(url, error.status, "") from error
            self.trace.add(Kind.ABSENT, url)
            raise DataNotFound(f'"{url}" not found') from error
        except (TreeRefused, TreeUnavailable) as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                self.trace.add(Kind.ABSENT, url, "401, which counts as absent")
                raise DataNotFound(f'"{url}" not found') from error
            raise self._unreachable(url, error.status, error.reason.removeprefix(f"{path}: ")) from error
        except UnsafePath as error:
            raise self._unreachable(url, None, error.problem) from error
        if self.signed and not self.source.keys:
            raise self._not_signed(url, kind, "failed to parse public key: there is none for this source")
        self.trace.add(Kind.READ, url, "signed by a known key" if self.signed else "")
        return text

    def _unreachable(self, url: str, status: int | None, reason: str) -> LookupFailed:
        why = f', "{status} {_phrase(status)}"' if status is not None else f": {reason}"
        self.trace.add(Kind.FAILED, url, why.lstrip(",: ").strip('"'))
        return LookupFailed(f'attempt count exceeded: cannot access URL "{url}"{why}')

    def _not_signed(self, url: str, kind: str, problem: str) -> LookupFailed:
        self.trace.add(Kind.FAILED, url, problem)
        where = f'source "{self.source.description}" at URL {url}'
        return LookupFailed(f"cannot read {kind}, cannot read data for {where}: {problem}")

    @property
    def _suffix(self) -> str:
        return ".sjson" if self.signed else ".json"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _unreadable(error: Unreadable, kind: str, url: str) -> str:
    if isinstance(error, WrongFormat):
        return f'{error} at URL "{url}"'
    return f'cannot unmarshal JSON {kind} at URL "{url}": {error}'


def _near_products(wanted: ImagesWanted | AgentsWanted, there: Sequence[str]) -> str:
    """Say what products there are instead of the wanted ones."""
    asked = wanted.products()
    if not asked:
        return "no product is asked for: name an operating system and an architecture"
    if not there:
        return f"it lists no products; asked for {asked[0]}"
    tail = ":".join(asked[0].split(":")[-2:])
    near = [each for each in there if each.endswith(f":{tail}")] or list(there)
    more = f" and {len(near) - 3} more" if len(near) > 3 else ""
    return f"it has no {asked[0]}{' or the like' if len(asked) > 1 else ''}, but {', '.join(near[:3])}{more}"
