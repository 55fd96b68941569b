"""A feed of others without a network, and what is pulled of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from headwater.caching.directory import KeptFiles
from headwater.caching.fills import Fills
from headwater.caching.pieces import pieces_of
from headwater.errors import HeadwaterError
from headwater.streams.pulling.documents import Documents
from headwater.streams.pulling.pulled import PulledTree
from headwater.streams.pulling.records import Records
from headwater.streams.pulling.remote import RemoteFeed
from headwater.streams.trees.tree import Document, PathNotFound, TreeUnavailable
from headwater.threads import Pool
from unit.streams.keys import OpenKey

INDEX = "streams/v1/index.json"
PRODUCTS = "streams/v1/images.json"
FIRST = "Thu, 01 Jan 2026 00:00:00 +0000"
LATER = "Fri, 02 Jan 2026 00:00:00 +0000"
MAX_AGE_S = 100


def index(path: str = PRODUCTS, updated: str = FIRST, datatype: str = "image-downloads") -> bytes:
    entry = {"format": "products:1.0", "datatype": datatype, "path": path, "products": ["p"]}
    return json.dumps({"format": "index:1.0", "updated": updated, "index": {"images": entry}}).encode()


def products(updated: str = FIRST, **files: bytes) -> bytes:
    items = {
        name: {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
    versions = {"20260101": {"items": items}}
    return json.dumps(
        {"format": "products:1.0", "updated": updated, "products": {"p": {"versions": versions}}}
    ).encode()


class Far:
    """Files by path, and how often each was asked for."""

    place = "https://far.example/feed"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.error: HeadwaterError | None = None

    def document(self, path: str, tag: str = "", limit: int = 1 << 30) -> Document | None:
        self.asked[path] += 1
        if self.error is not None:
            raise self.error
        if path not in self.files:
            raise PathNotFound(self.place, path, 404)
        found = f'"{hashlib.md5(self.files[path]).hexdigest()}"'
        assert len(self.files[path]) <= limit
        return None if found == tag else Document(self.files[path], found)

    def close(self) -> None:
        """Do nothing."""

    def pieces(self, path: str, start: int) -> Iterator[bytes]:
        self.asked[path] += 1
        if self.error is not None:
            raise self.error
        if path not in self.files:
            raise PathNotFound(self.place, path, 404)
        yield self.files[path][start:]

    def sign(self, path: str, key: OpenKey, text: bytes, *, inline: bool = False) -> None:
        """Put a document there, signed beside it or in itself."""
        if inline:
            self.files[f"{path.removesuffix('.json')}.sjson"] = key.signer.sign(text)
        else:
            self.files |= {path: text, f"{path}.gpg": key.signer.sign_detached(text)}

    def die(self) -> None:
        self.error = TreeUnavailable(self.place, "the server cannot be reached")


class Tally:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def pulled(self, tree: str, what: str) -> None:
        assert tree == "far"
        self.counts[what] += 1

    def pulled_bytes(self, tree: str, count: int) -> None:
        assert tree == "far"
        self.counts["bytes"] += count

    def pulled_size(self, tree: str, size: int) -> None:
        assert tree == "far"
        self.counts["size"] = size


class House:
    """A tree that is pulled from a far feed, and a clock to move."""

    def __init__(
        self, directory: Path, far: Far | None = None, trusted: Sequence[OpenKey] | None = None, signer: Any = None
    ) -> None:
        self.now = 1_800_000_000.0
        self.far, self.tally = far or Far(), Tally()
        kept = KeptFiles(directory, 1 << 20, setting="directory", resumes=True)
        self.documents = Documents(
            "far",
            cast(RemoteFeed, self.far),
            Records(directory / "documents", "directory"),
            trusted=None if trusted is None else [key.certificate for key in trusted],
            max_age_s=MAX_AGE_S,
            clock=lambda: self.now,
            tally=self.tally,
        )
        self.pool = Pool("pulling", 2)
        self.tree = PulledTree(
            "far",
            cast(RemoteFeed, self.far),
            self.documents,
            kept,
            lambda counts: Fills(kept, self.pool, counts, queues=True),
            signer=signer,
            clock=lambda: self.now,
            tally=self.tally,
        )

    def get(self, path: str) -> bytes:
        """Return a document, or a file that is whole or fetched without being kept."""
        found = self.tree.find(path)
        source = found.begin(range(found.size))
        assert isinstance(source, Path | Iterator)
        pieces = pieces_of(source, range(found.size), follows=True) if isinstance(source, Path) else source
        return b"".join(pieces)

    def headers(self, path: str) -> dict[str, str]:
        return dict(self.tree.find(path).headers)

    def close(self) -> None:
        self.tree.close()
        self.pool.close()
