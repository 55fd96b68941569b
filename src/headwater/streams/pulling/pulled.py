"""A feed of others, served as ours.

Only what the feed names is ever fetched: its indexes, the documents that these name, their signed forms, and the files
that products name with a size and a hash. ``mirrors.json`` is not given: it sends readers elsewhere, and they are to
come here.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from headwater.caching.directory import CachedFile, CacheUnavailable, KeptFiles
from headwater.caching.fills import Fill, Fills
from headwater.caching.pieces import PIECE
from headwater.errors import HeadwaterError, NotFound
from headwater.streams.format.json_objects import as_object, parse_json
from headwater.streams.pulling.documents import Documents
from headwater.streams.pulling.documents import Tally as DocumentsTally
from headwater.streams.pulling.files import FileWrong, NamedFile, named_files
from headwater.streams.pulling.remote import RemoteFeed
from headwater.streams.pulling.served_documents import ServedDocuments, Signs
from headwater.streams.trees.served.file import NotInTree, ServedFile, Source, TreeDown
from headwater.streams.trees.served.stored import readable_path
from headwater.streams.trees.tree import media_type_of

_log = logging.getLogger(__name__)

_TABLES: Final = 64  # products documents whose files are in memory
_WRONG_S: Final = 60  # for how long a file that was wrong is not asked for again
_GRACE_S: Final = 2 * 3600  # for how long a file is given that is not named any more
_PRUNE_EVERY_S: Final = 60.0
_NO_FILES: Final = "image-ids"  # documents of this data type name no files


class Tally(DocumentsTally, Protocol):
    """Counts what a tree does that is pulled, for the operator."""

    def pulled_bytes(self, tree: str, count: int) -> None:
        """Note that so many bytes of files were fetched."""

    def pulled_size(self, tree: str, size: int) -> None:
        """Note how many bytes of files are kept."""


@dataclass(frozen=True, slots=True)
class _Counts:
    tree: str
    tally: Tally

    def cache_fetched(self, count: int) -> None:
        self.tally.pulled_bytes(self.tree, count)


class PulledTree:
    """One feed of others; used by several threads."""

    is_far = True

    def __init__(
        self,
        name: str,
        remote: RemoteFeed,
        documents: Documents,
        kept: KeptFiles,
        fills: Callable[[_Counts], Fills],
        *,
        signer: Signs | None,
        clock: Callable[[], float],
        tally: Tally,
    ) -> None:
        """Take where all comes from and where it is kept.

        Args:
            signer: Signs the documents anew; ``None``: they keep their signatures.
        """
        self.name, self.documents, self.kept = name, documents, kept
        self._served = ServedDocuments(name, documents, signer)
        self._remote, self._clock, self._tally = remote, clock, tally
        self._fills = fills(_Counts(name, tally))
        self._lock = threading.Lock()
        self._tables: OrderedDict[str, Mapping[str, NamedFile]] = OrderedDict()
        self._wrong: dict[str, float] = {}

    def find(self, path: str) -> ServedFile:
        """As ``ServedTree.find``."""
        readable_path(self.name, path)
        try:
            found = self._served.find(path)
            return found if found is not None else self._file(path)
        except (NotInTree, TreeDown):
            raise
        except NotFound as error:
            raise NotInTree(self.name, path) from error
        except HeadwaterError as error:
            raise TreeDown(self.name, path, str(error)) from error

    def look_after(self) -> None:
        """Remove what is too much or was left; count what is kept."""
        if self.kept.takes_turn("pruned", _PRUNE_EVERY_S):
            self.kept.clean()
            self.kept.prune(lambda _: True)
        self._tally.pulled_size(self.name, sum(each.size for each in self.kept.files()))

    def close(self) -> None:
        """Let go of everything."""
        self._remote.close()
        self.documents.close()
        self._fills.close()
        self._served.close()

    def named(self, path: str) -> tuple[NamedFile, str] | None:
        """Return a file that the feed names, and the path of the document that does; ``None``: it names no such file.

        Documents that are kept are looked into first.
        """
        waiting = []
        for document in self._products():
            record = self.documents.records.get(document)
            if record is None or record.is_absent:
                waiting.append(document)
                continue
            found = self._table(document).get(path)
            if found is not None:
                return found, document
        for document in waiting:
            found = self._table(document).get(path)
            if found is not None:
                return found, document
        return self._named_before(path)

    def _named_before(self, path: str) -> tuple[NamedFile, str] | None:
        """Return a file that is kept and was named a while ago: clients keep an index for an hour."""
        for document in self._products():
            record = self.documents.plain(document)
            at = None if record is None else self.documents.replaced_at(record, _GRACE_S)
            if record is None or at is None:
                continue
            found = self._files_of(f"{document} {at}", document, partial(self.documents.text_before, record)).get(path)
            if found is not None and self.kept.find(found.name) is not None:
                return found, document
        return None

    def files(self) -> Iterator[NamedFile]:
        """Yield all files that the feed names, each once."""
        known: set[str] = set()
        for document in self._products():
            for path, file in self._table(document).items():
                if path not in known:
                    known.add(path)
                    yield file

    def kept_files(self) -> list[tuple[CachedFile, list[str]]]:
        """Return what is kept, what was read last at the end, with the paths by which documents that are kept name it.

        No server is asked.
        """
        paths: dict[str, list[str]] = {}
        for record in self.documents.records.known():
            if not record.is_absent:
                document = as_object(parse_json(self.documents.text(record)), record.path)
                for file in named_files(document).values():
                    if file.path not in paths.setdefault(file.name, []):
                        paths[file.name].append(file.path)
        return [(each, paths.get(each.name, [])) for each in self.kept.files()]

    def fetch(self, file: NamedFile) -> Fill | Path | None:
        """Begin to fetch a file, or follow who does; ``None``: it cannot be kept.

        Raises:
            CacheUnavailable: The directory does not work.
            TreeDown: It was found wrong a moment ago.
        """
        whole = self.kept.find(file.name)
        if whole is not None:
            return whole
        wrong_at = self._wrong.get(file.name)
        if wrong_at is not None and 0 <= self._clock() - wrong_at < _WRONG_S:
            raise TreeDown(self.name, file.path, "its server gave something else a moment ago")
        return self._fills.join(file.name, lambda fill: self._data(file, fill), lambda error: self._failed(file, error))

    def verified(self, file: NamedFile) -> Iterator[bytes]:
        """Yield a file without keeping it; the last piece comes only if all is right."""
        return self._data(file, None)

    def _file(self, path: str) -> ServedFile:
        found = self.named(path)
        if found is None:
            raise NotInTree(self.name, path)
        file, _ = found
        return ServedFile(
            path=path,
            size=file.size,
            etag=f'"{file.value[:64]}"',
            modified=None,
            media_type=media_type_of(path),
            begin=lambda _: self._begun(file),
            gives_parts=file.size <= self.kept.max_size,
        )

    def _begun(self, file: NamedFile) -> Source:
        try:
            known = self._fills.running(file.name)
            source = self.fetch(file)
        except CacheUnavailable as error:
            _log.warning("a file is not kept", extra={"tree": self.name, "path": file.path, "error": str(error)})
            source, known = None, None
        if source is None:
            self._tally.pulled(self.name, "miss")
            return self.verified(file)
        if isinstance(source, Path):
            self.kept.hit(file.name)
        is_shared = not isinstance(source, Path) and (source is known or not source.is_ours)
        self._tally.pulled(self.name, "hit" if isinstance(source, Path) else "shared" if is_shared else "miss")
        return source

    def _data(self, file: NamedFile, fill: Fill | None) -> Iterator[bytes]:
        hasher, at = file.hasher(), 0
        while fill is not None and at < fill.arrived:
            piece = fill.read(at, PIECE)
            hasher.update(piece)
            at += len(piece)
        held = b""
        for piece in self._remote.pieces(file.path, at) if at < file.size else ():
            hasher.update(piece)
            at += len(piece)
            if at > file.size:
                raise FileWrong(self._remote.place, file.path, f"has more than the {file.size} bytes of the feed")
            if held:
                yield held
            held = piece
        if at < file.size:
            raise FileWrong(self._remote.place, file.path, f"has {at} bytes, and {file.size} in the feed")
        if hasher.hexdigest() != file.value:
            raise FileWrong(self._remote.place, file.path, f"has another {file.algorithm} than in the feed")
        if held:
            yield held

    def _failed(self, file: NamedFile, error: HeadwaterError) -> None:
        self._tally.pulled(self.name, "refused" if isinstance(error, FileWrong) else "failed")
        _log.warning("a file is not pulled", extra={"tree": self.name, "path": file.path, "error": str(error)})
        if not isinstance(error, FileWrong):
            return
        self._wrong = {name: at for name, at in self._wrong.items() if 0 <= self._clock() - at < _WRONG_S}
        self._wrong[file.name] = self._clock()
        for document in self._tables_of(file):
            self.documents.expire(document)  # the file may be a newer one than the document says

    def _tables_of(self, file: NamedFile) -> list[str]:
        try:
            return [each for each in self._products() if self._table(each).get(file.path) == file]
        except HeadwaterError:
            return []

    def _products(self) -> list[str]:
        """Return the paths of the documents that may name files."""
        found: dict[str, None] = {}
        for _, named in self.documents.indexes():
            found |= {path: None for path, kind in named if kind != _NO_FILES}
        return list(found)

    def _table(self, document: str) -> Mapping[str, NamedFile]:
        record = self.documents.plain(document)
        if record is None:
            return {}
        return self._files_of(record.sha256, document, partial(self.documents.text, record))

    def _files_of(self, key: str, document: str, text: Callable[[], bytes]) -> Mapping[str, NamedFile]:
        """Return the files that a text names, which is read once for its key."""
        with self._lock:
            known = self._tables.get(key)
            if known is not None:
                self._tables.move_to_end(key)
                return known
        table = named_files(as_object(parse_json(text()), document))
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > _TABLES:
                self._tables.popitem(last=False)
        return table
