"""The feed that is always as new as the catalogue: nobody generates it.

Each request asks the source for its revision, which is cheap. When it is another than that of the documents at hand,
one thread makes new ones and the others wait for it; so a request that begins after a change sees the change. The
revision is read before the images: images newer than their revision only cost one more rebuild.

Signed twins are made when they are first asked for. A key that can not sign any more therefore stops these, and the
unsigned documents stay.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from headwater.errors import NotFound
from headwater.images.model import Image
from headwater.streams.documents import signed_name
from headwater.streams.image_ids import NO_MIRRORS, index_of, newest_of, products_of
from headwater.streams.listing import Listing
from headwater.streams.placement import Omission, place
from headwater.streams.settings import StreamsSettings
from headwater.streams.signing import Signer

JSON_TYPE: Final = "application/json"
SIGNED_TYPE: Final = "text/plain; charset=utf-8"


class StreamNotFound(NotFound):
    """The feed has no document of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no simplestreams document {name!r} here; the feed begins at streams/v1/index.json")
        self.name = name


class ImageSource(Protocol):
    """Where the feed takes its images from; called from several threads."""

    def revision(self) -> Hashable:
        """Return a value that is another one after any change of the public images. Called for each request."""
        ...

    def public_images(self) -> Iterable[Image]:
        """Return at least the images that are public and active, in any order; the feed leaves out the rest."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the feed, ready to be sent."""

    body: bytes
    content_type: str
    modified_at: int  # second since 1970 in which this process first had it in this form
    etag: str = field(init=False)  # strong, with its quotes

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", f'"{hashlib.sha256(self.body).hexdigest()[:32]}"')


class Signs(Protocol):
    """What signs: see ``signing.Signer``."""

    def sign(self, text: bytes) -> bytes: ...


class LiveFeed:
    """The documents below ``streams/v1/``; safe to use from several threads."""

    def __init__(
        self,
        source: ImageSource,
        settings: StreamsSettings,
        signer: Signs | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._settings, self._signer, self._clock = source, settings, signer, clock
        self._lock = threading.Lock()
        self._edition: _Edition | None = None

    def document(self, name: str) -> Document:
        """Return the document of a file name, such as ``index.json``, as the catalogue is now.

        Raises:
            StreamNotFound: The feed has no such file; signed ones exist with a signing key only.
            SigningKeyExpired: ``name`` is a signed file, and the key can not sign it any more.
        """
        edition = self._current()
        document = edition.documents.get(name)
        return document if document is not None else edition.signed(name)

    def listing(self, image: Image) -> Listing:
        """Return where ``image`` stands in the feed, or why it does not."""
        at = place(image, self._settings.virt_types)
        if isinstance(at, Omission):
            return Listing(image, at)
        return Listing(image, at, self._current().newest.get((at.product_id, at.virt)))

    def _current(self) -> _Edition:
        edition = self._edition
        if edition is not None and edition.revision == self._source.revision():
            return edition
        with self._lock:
            # Another thread may have made it meanwhile, and the catalogue may have changed again.
            revision = self._source.revision()
            if self._edition is None or self._edition.revision != revision:
                self._edition = self._make(revision)
            return self._edition

    def _make(self, revision: Hashable) -> _Edition:
        products = products_of(self._source.public_images(), self._settings)
        index = index_of(products, self._settings)
        contents = {
            "index.json": index.to_bytes(),
            "index2.json": index.to_bytes(),
            "mirrors.json": NO_MIRRORS.to_bytes(),
            self._settings.products_name: products.to_bytes(),
        }
        signed_index = index.with_signed_paths().to_bytes()
        texts = {**contents, "index.json": signed_index, "index2.json": signed_index}
        modified_at = int(self._clock())
        return _Edition(
            revision,
            {name: Document(body, JSON_TYPE, modified_at) for name, body in contents.items()},
            {signed_name(name): text for name, text in texts.items()},
            self._signer,
            modified_at,
            newest=newest_of(products),
        )


class _Edition:
    """All documents of one revision."""

    def __init__(
        self,
        revision: Hashable,
        documents: Mapping[str, Document],
        texts: Mapping[str, bytes],
        signer: Signs | None,
        modified_at: int,
        *,
        newest: Mapping[tuple[str, str], str],
    ) -> None:
        self.revision, self.documents, self.newest = revision, documents, newest
        self._texts, self._signer, self._modified_at = texts, signer, modified_at
        self._lock = threading.Lock()
        self._signed: dict[str, Document] = {}

    def signed(self, name: str) -> Document:
        if self._signer is None or name not in self._texts:
            raise StreamNotFound(name)
        with self._lock:
            if name not in self._signed:
                body = self._signer.sign(self._texts[name])
                self._signed[name] = Document(body, SIGNED_TYPE, self._modified_at)
            return self._signed[name]


def live_feed(source: ImageSource, settings: StreamsSettings, clock: Callable[[], float] = time.time) -> LiveFeed:
    """Return the feed as the settings ask for it, with its signing key loaded.

    Raises:
        SigningKeyUnusable: The settings name a key that can not sign.
    """
    key = settings.signing_key
    signer = None if key is None else Signer.load(key, settings.signing_key_password)
    return LiveFeed(source, settings, signer, clock)
