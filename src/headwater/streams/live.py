"""The feed that is always as new as the catalogue: nobody generates it.

Each request asks the source for its revision, which is cheap. When it is another than that of the documents at hand,
one thread takes over what has changed, and the others that ask for the feed wait for it, a few milliseconds; so a
request that begins after a change sees the change. The revision is read before the images: images newer than their
revision only are read once more.

The catalogue is the truth, and what is kept here only spares reading it all: it is read at the start, and whenever the
source cannot say what has changed.

Documents are made when they are first asked for, the signed twins too. A key that can not sign any more therefore stops
these, and the unsigned documents stay.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from headwater.errors import NotFound
from headwater.images.catalogue.public import Revision
from headwater.images.model import Image
from headwater.streams.documents import signed_name
from headwater.streams.image_ids import NO_MIRRORS, ListedProducts
from headwater.streams.kept_products import KeptProducts
from headwater.streams.listing import Listing
from headwater.streams.placement import Omission, place
from headwater.streams.settings import StreamsSettings
from headwater.streams.signing import Signer

T = TypeVar("T")

JSON_TYPE: Final = "application/json"
SIGNED_TYPE: Final = "text/plain; charset=utf-8"


class StreamNotFound(NotFound):
    """The feed has no document of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no simplestreams document {name!r} here; the feed begins at streams/v1/index.json")
        self.name = name


class ImageSource(Protocol):
    """Where the feed takes its images from; called from several threads."""

    def revision(self) -> Revision:
        """Return a value that is another one after any change of the public images. Called for each request."""
        ...

    def everything(self) -> Iterable[Image]:
        """Return at least the images that are public and active, in any order; the feed leaves out the rest."""
        ...

    def changed(self, since: Revision, until: Revision) -> Collection[str] | None:
        """Return the ids of at least the images that have changed in between; ``None``: nobody knows which."""
        ...

    def get(self, image_ids: Collection[str]) -> Iterable[Image]:
        """Return those of these images that are there, in any order; the feed leaves out who is not public."""
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

    def close(self) -> None: ...


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
        self._lock = threading.Lock()  # held by who brings the two below up to date
        self._products = KeptProducts(settings)
        self._edition: _Edition | None = None

    def document(self, name: str) -> Document:
        """Return the document of a file name, such as ``index.json``, as the catalogue is now.

        Raises:
            StreamNotFound: The feed has no such file; signed ones exist with a signing key only.
            SigningKeyExpired: ``name`` is a signed file, and the key can not sign it any more.
            SigningProcessLost: ``name`` is a large signed file, and what signs it does not answer.
        """
        return self._current().document(name)

    def listing(self, image: Image) -> Listing:
        """Return where ``image`` stands in the feed, or why it does not."""
        at = place(image, self._settings.virt_types)
        if isinstance(at, Omission):
            return Listing(image, at)
        product = self._current().products.products.get(at.product_id)
        return Listing(image, at, None if product is None else product.newest.get(at.virt))

    def close(self) -> None:
        """Let go of what signs, after the last request."""
        if self._signer is not None:
            self._signer.close()

    def _current(self) -> _Edition:
        edition = self._edition
        if edition is not None and edition.revision == self._source.revision():
            return edition
        with self._lock:
            # Another thread may have made it meanwhile, and the catalogue may have changed again.
            revision = self._source.revision()
            if self._edition is None or self._edition.revision != revision:
                listed = self._products_at(revision).listed()
                self._edition = _Edition(revision, listed, self._signer, int(self._clock()))
            return self._edition

    def _products_at(self, revision: Revision) -> KeptProducts:
        """Return the products with all changes up to ``revision``; what fails half-way is done again."""
        changed = None if self._edition is None else self._source.changed(self._edition.revision, revision)
        if changed is None:
            self._products = KeptProducts(self._settings, self._source.everything())
        else:
            for image_id in changed:
                self._products.drop(image_id)
            for image in self._source.get(changed):
                self._products.put(image)
        return self._products


class _Edition:
    """All documents of one revision, each made when it is first asked for."""

    def __init__(self, revision: Revision, products: ListedProducts, signer: Signs | None, modified_at: int) -> None:
        self.revision, self.products = revision, products
        index = _Once(products.index_text)
        texts = {
            "index.json": index,
            "index2.json": index,
            "mirrors.json": _Once(NO_MIRRORS.to_bytes),
            products.settings.products_name: _Once(products.products_text),
        }
        self._documents = {name: _document(text, JSON_TYPE, modified_at) for name, text in texts.items()}
        if signer is not None:
            index = _Once(lambda: products.index_text(signed=True))
            for name, text in {**texts, "index.json": index, "index2.json": index}.items():
                self._documents[signed_name(name)] = _document(_signed(text, signer), SIGNED_TYPE, modified_at)

    def document(self, name: str) -> Document:
        if name not in self._documents:
            raise StreamNotFound(name)
        return self._documents[name]()


class _Once(Generic[T]):
    """What is made when it is first asked for, by one thread; the others that ask for it wait."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: T | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


def _document(text: Callable[[], bytes], content_type: str, modified_at: int) -> _Once[Document]:
    return _Once(lambda: Document(text(), content_type, modified_at))


def _signed(text: Callable[[], bytes], signer: Signs) -> Callable[[], bytes]:
    return lambda: signer.sign(text())


def live_feed(source: ImageSource, settings: StreamsSettings, clock: Callable[[], float] = time.time) -> LiveFeed:
    """Return the feed as the settings ask for it, with its signing key loaded.

    Raises:
        SigningKeyUnusable: The settings name a key that can not sign.
    """
    key = settings.signing_key
    signer = None if key is None else Signer.load(key, settings.signing_key_password)
    return LiveFeed(source, settings, signer, clock)
