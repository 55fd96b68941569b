"""The feed that is always as new as the catalogue: nobody generates it.

Each request asks the source for its revision, which is cheap. When it is another than that of the documents at hand,
one thread takes over what has changed, and the others that ask for the feed wait for it, a few milliseconds; so a
request that begins after a change sees the change. The revision is read before the images: images newer than their
revision only are read once more.

The catalogue is the truth, and what is kept here only spares reading it all: it is read at the start, and whenever the
source cannot say what has changed.

An index names its products by what they say (``NAME-TAG.json``), so that a reader finds those that fit it, whatever
changes between its two requests; under the name without a tag stand the newest.

Documents are made when they are first asked for, the signed twins too. A key that can not sign any more therefore stops
these, and the unsigned documents stay.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final, Protocol

from headwater.clock import rfc2822
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.catalogue.public import Revision
from headwater.images.model import Image
from headwater.streams.format.documents import signed_name
from headwater.streams.live.document import Document, Once, StreamNotFound
from headwater.streams.live.files.documents import DOCUMENT as FILES_DOCUMENT
from headwater.streams.live.files.documents import ListedFiles
from headwater.streams.live.files.kept_files import KeptFiles
from headwater.streams.live.files.listing import FileListing, file_listing
from headwater.streams.live.image_ids import NO_MIRRORS, ListedProducts
from headwater.streams.live.index import TAG_DIGITS, index_text, naming_tagged, without_tag
from headwater.streams.live.kept_products import KeptProducts
from headwater.streams.live.listing import Listing
from headwater.streams.live.past_editions import PastEditions
from headwater.streams.live.placement import Omission, place
from headwater.streams.live.sources import FingerprintSource, ImageSource
from headwater.streams.settings import StreamsSettings
from headwater.streams.signing.signer import Signer

JSON_TYPE: Final = "application/json"
SIGNED_TYPE: Final = "text/plain; charset=utf-8"
_ASKED: Final = 4  # past editions whose documents are kept
_INDEXES: Final = ("index.json", "index2.json", "index.sjson", "index2.sjson")


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
        fingerprints: FingerprintSource | None = None,
    ) -> None:
        """Take what the feed is made of.

        Args:
            fingerprints: Of image files; ``None``: the feed has none.
        """
        self._source, self._settings, self._signer, self._clock = source, settings, signer, clock
        self._fingerprints = fingerprints
        self._lock = threading.Lock()  # held by who brings those below up to date
        self._products, self._files = KeptProducts(settings), KeptFiles()
        self._edition: Edition | None = None
        self._past = PastEditions[Edition](settings.grace_s, clock)
        self._asked_past: OrderedDict[str, Edition] = OrderedDict()  # by tag, with their documents; asked last, last

    def document(self, name: str) -> Document:
        """Return the document of a file name, such as ``index.json``, as the catalogue is now.

        Raises:
            StreamNotFound: The feed has no such file; signed ones exist with a signing key only.
            SigningKeyExpired: ``name`` is a signed file, and the key can not sign it any more.
            SigningProcessLost: ``name`` is a large signed file, and what signs it does not answer.
        """
        return self.document_of(self.edition(), name)

    def document_of(self, edition: Edition, name: str) -> Document:
        """Return a document as ``document`` does, of the newest edition.

        Products that are named by what they say are those of that name, while they are kept. Others than the newest may
        be known to another process only, whose index the reader has; then the newest are what the reader can use.
        """
        plain, tag = edition.untagged(name)
        past = None if tag is None or tag == edition.tag else self._past.find(tag)
        return (edition if past is None else self._with_documents(past)).document(plain)

    def _with_documents(self, past: Edition) -> Edition:
        """Return a past edition whose documents stay made while few others are asked for."""
        with self._lock:
            found = self._asked_past.setdefault(past.tag, past.anew())
            self._asked_past.move_to_end(past.tag)
            if len(self._asked_past) > _ASKED:
                self._asked_past.popitem(last=False)
            return found

    def listing(self, image: Image) -> Listing:
        """Return where ``image`` stands in the feed, or why it does not."""
        at = place(image, self._settings.virt_types)
        if isinstance(at, Omission):
            return Listing(image, at)
        product = self.edition().products.products.get(at.product_id)
        return Listing(image, at, None if product is None else product.newest.get(at.virt))

    def file_listing(self, image: Image) -> FileListing:
        """Return where the files of ``image`` stand in the feed, or why they do not."""
        if self._fingerprints is None:
            return file_listing(image, None, {}, is_on=False)
        files = self.edition().files
        products = {} if files is None else files.products
        return file_listing(image, self._fingerprints.of([image.id]).get(image.id), products)

    def close(self) -> None:
        """Let go of what signs, after the last request."""
        if self._signer is not None:
            self._signer.close()

    def edition(self) -> Edition:
        """Return what the feed says now."""
        edition = self._edition
        if edition is not None and edition.revision == self._source.revision():
            return edition
        with self._lock:
            # Another thread may have made it meanwhile, and the catalogue may have changed again.
            revision = self._source.revision()
            if self._edition is None or self._edition.revision != revision:
                self._take_over(revision)
                files = None if self._fingerprints is None else self._files.listed()
                new = Edition(revision, self._products.listed(), files, self._signer, int(self._clock()))
                if self._edition is not None and self._edition.was_read and self._edition.tag != new.tag:
                    self._past.put(self._edition.anew())
                self._edition = new
            return self._edition

    def _take_over(self, revision: Revision) -> None:
        """Take over all changes up to ``revision``; what fails half-way is done again."""
        changed = None if self._edition is None else self._source.changed(self._edition.revision, revision)
        found: Mapping[str, Fingerprint] = {}
        if changed is None:
            if self._fingerprints is not None:
                found = {each.image_id: each for each in self._fingerprints.everything()}
            self._products, self._files = KeptProducts(self._settings), KeptFiles()
            images = self._source.everything()
        else:
            if self._fingerprints is not None:
                found = self._fingerprints.of(changed)
            for image_id in changed:
                self._products.drop(image_id)
                self._files.drop(image_id)
            images = self._source.get(changed)
        for image in images:
            self._products.put(image)
            if image.id in found:
                self._files.put(image, found[image.id])


class Edition:
    """All documents of one revision, each made when it is first asked for."""

    def __init__(
        self,
        revision: Revision,
        products: ListedProducts,
        files: ListedFiles | None,
        signer: Signs | None,
        modified_at: int,
    ) -> None:
        self.revision, self.products, self.files = revision, products, files
        self._signer, self._modified_at = signer, modified_at
        texts_of = {**products.documents, **({} if files is None else files.documents)}
        self._tagged = tuple(texts_of)
        index = Once(self._index)
        texts = {
            "index.json": index,
            "index2.json": index,
            "mirrors.json": Once(NO_MIRRORS.to_bytes),
            **{name: Once(text) for name, text in texts_of.items()},
        }
        tags = {} if files is None else {FILES_DOCUMENT: files.tag}
        self._documents = {
            name: _document(text, JSON_TYPE, modified_at, tags.get(name)) for name, text in texts.items()
        }
        if signer is not None:
            index = Once(lambda: self._index(signed=True))
            for name, text in {**texts, "index.json": index, "index2.json": index}.items():
                self._documents[signed_name(name)] = _document(_signed(text, signer), SIGNED_TYPE, modified_at)

    def _index(self, *, signed: bool = False) -> bytes:
        entries, updated_at = [*self.products.entries(signed=signed)], self.products.updated_at
        if self.files is not None:
            entries += self.files.entries(signed=signed)
            updated_at = max(updated_at, self.files.updated_at)
        return naming_tagged(index_text(entries, rfc2822(updated_at)), self._tagged, self.tag)

    @cached_property
    def tag(self) -> str:
        """What tells this edition's products from others."""
        files = "" if self.files is None else self.files.tag()
        return hashlib.sha256(f"{self.products.tag}\n{files}".encode("ascii")).hexdigest()[:TAG_DIGITS]

    def untagged(self, name: str) -> tuple[str, str | None]:
        """Return the name of a document without the tag in it, if it is one of those that have tags, and that tag."""
        plain, tag = without_tag(name)
        return (plain, tag) if plain in map(signed_name, self._tagged) or plain in self._tagged else (name, None)

    @property
    def was_read(self) -> bool:
        """Whether somebody may have an index of this edition."""
        indexes = (self._documents.get(name) for name in _INDEXES)
        return any(index is not None and index.at_hand is not None for index in indexes)

    def anew(self) -> Edition:
        """Return this edition with no document made yet."""
        return Edition(self.revision, self.products, self.files, self._signer, self._modified_at)

    def at_hand(self, name: str) -> Document | None:
        """Return a document that is made already; ``None`` for any other name. Never waits."""
        plain, tag = self.untagged(name)
        made = self._documents.get(plain) if tag in (None, self.tag) else None
        return None if made is None else made.at_hand

    def document(self, name: str) -> Document:
        """Return the document of a file name without a tag.

        Raises:
            StreamNotFound, SigningKeyExpired, SigningProcessLost: As ``LiveFeed.document`` says.
        """
        if name not in self._documents:
            raise StreamNotFound(name)
        return self._documents[name]()


def _document(
    text: Callable[[], bytes], content_type: str, modified_at: int, tag: Callable[[], str] | None = None
) -> Once[Document]:
    return Once(lambda: Document(text(), content_type, modified_at, None if tag is None else tag()))


def _signed(text: Callable[[], bytes], signer: Signs) -> Callable[[], bytes]:
    return lambda: signer.sign(text())


def live_feed(
    source: ImageSource,
    settings: StreamsSettings,
    clock: Callable[[], float] = time.time,
    fingerprints: FingerprintSource | None = None,
) -> LiveFeed:
    """Return the feed as the settings ask for it, with its signing key loaded.

    Args:
        fingerprints: Of image files; ``None``: the feed has none.

    Raises:
        SigningKeyUnusable: The settings name a key that can not sign.
    """
    return LiveFeed(source, settings, loaded_signer(settings), clock, fingerprints)


def loaded_signer(settings: StreamsSettings) -> Signer | None:
    """Return what signs feeds, as the settings ask for it; ``None``: nothing.

    Raises:
        SigningKeyUnusable: The settings name a key that can not sign.
    """
    key = settings.signing_key
    return None if key is None else Signer.load(key, settings.signing_key_password)
