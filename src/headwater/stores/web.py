"""Objects of others, on web servers: the store of type ``http`` reads them, and never writes or deletes any.

The key of an object is its URL. Whatever is asked of it goes through ``fetching``, so what the operator lets
Headwater fetch is all that this store has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from headwater.errors import Forbidden
from headwater.fetching.fetcher import Fetched, Fetcher, RemoteFailed, RemoteTooLarge
from headwater.fetching.url_filter import UrlRefused, redacted
from headwater.stores.store import Abilities, ForeignUrl, ObjectNotFound, ObjectWriter, Stored, StoreUnavailable
from headwater.stores.store_type import StoreSettings, StoreType


class WebUnavailable(StoreUnavailable):
    """A web server of others does not give its data. Who may read the image may know which one."""

    @property
    def told(self) -> str:
        return str(self)


class WebRefused(WebUnavailable):
    """What others offer there is not taken: the URL may not be fetched, or gives too much."""

    may_pass = may_pass_later = False


class StoreReadOnly(Forbidden):
    """This store holds what others wrote."""

    def __init__(self, store: str) -> None:
        super().__init__(f"store {store} is read only: it holds what lies on the web servers of others")
        self.store = store


class HttpStoreSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "http"``; what may be fetched, section ``[fetch]`` says."""

    abilities: ClassVar[Abilities] = Abilities(
        shared_by_processes=True, gives_paths=False, writes=False, has_identity=False
    )

    type: Literal["http"]


class HttpStore:
    """What lies on web servers; safe to use from several threads."""

    abilities = HttpStoreSettings.abilities

    def __init__(self, name: str, fetcher: Fetcher) -> None:
        self.name = name
        self._fetcher = fetcher

    def identity(self) -> None:
        """Return ``None``: the web is nobody's store."""

    def mark(self, identity: str) -> str:
        raise StoreReadOnly(self.name)

    def expect(self, identity: str) -> None:
        """Do nothing; whether a server is there, each request finds out."""

    def begin(self, key: str, size: int | None = None) -> ObjectWriter:
        raise StoreReadOnly(self.name)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        try:
            return _Pieces(self.name, self._fetcher.open(key, start, length))
        except (RemoteFailed, RemoteTooLarge, UrlRefused) as error:
            raise _translated(self.name, key, error) from error

    def path(self, key: str) -> None:
        """Return ``None``: no file here holds it. Whether it is there is not asked."""

    def url_of(self, key: str) -> str:
        return key

    def key_of(self, url: str) -> str:
        if url.lower().startswith(("http://", "https://")):
            return url
        raise ForeignUrl(self.name, url)

    def presigned(self, key: str, expires_s: int) -> None:
        """Return ``None``: what may be fetched is for ``fetching`` to judge, each time."""

    def stat(self, key: str) -> Stored:
        try:
            size = self._fetcher.size(key)
        except (RemoteFailed, RemoteTooLarge, UrlRefused) as error:
            raise _translated(self.name, key, error) from error
        if size is None:
            raise WebUnavailable(self.name, f"{redacted(key)} does not say how large it is")
        return Stored(key, size)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Yield nothing: nobody knows what the web holds."""
        return iter(())

    def delete(self, key: str) -> None:
        """Do nothing: it belongs to others."""

    def ping(self) -> None:
        """The web is always there; whether one server is, each request finds out."""

    def close(self) -> None:
        """There is nothing to let go of."""


class _Pieces:
    """The bytes of one object, as they come; what breaks off is the store's failure."""

    def __init__(self, store: str, fetched: Fetched) -> None:
        self._store, self._fetched = store, fetched

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._fetched)
        except RemoteFailed as error:
            raise WebUnavailable(self._store, str(error)) from error
        except RemoteTooLarge as error:
            raise WebRefused(self._store, str(error)) from error

    def close(self) -> None:
        """End the connection."""
        self._fetched.close()

    def __del__(self) -> None:
        self._fetched.close()


def _translated(store: str, key: str, error: RemoteFailed | RemoteTooLarge | UrlRefused) -> Exception:
    if isinstance(error, RemoteFailed) and error.is_missing:
        return ObjectNotFound(store, redacted(key))
    failed = WebUnavailable if isinstance(error, RemoteFailed) else WebRefused
    return failed(store, str(error))


TYPE = StoreType("http", HttpStoreSettings, lambda name, _, around: HttpStore(name, around.fetcher))
