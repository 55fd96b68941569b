"""A container as Swift knows it: names of objects, single requests, and what Swift's refusals mean."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from keystoneauth1 import exceptions as keystone
from swiftclient.client import ClientException, Connection
from swiftclient.utils import generate_temp_url
from urllib3.exceptions import HTTPError

from headwater.clock import microseconds
from headwater.errors import HeadwaterError
from headwater.stores.remote import AnotherIsThere, PastTheEnd, sentence
from headwater.stores.store import ObjectNotFound, Stored, StoreFull, StoreRefusesWrites, StoreUnavailable
from headwater.stores.swift.account import Account, SwiftRefused
from headwater.stores.swift.settings import SwiftStoreSettings

# Before every key in Swift's order, which is that of bytes: a list of what comes after it has keys only.
BEFORE_KEYS = "/"
_PAGE = 10_000  # how many names Swift lists at once, if it is asked for so many

_SEGMENTS_GONE = re.compile("404 Not Found|Mismatch")
# What else than 5xx may be different a moment later; 498 is Swift's own "too many requests".
_MAY_PASS = frozenset({408, 409, 422, 429, 498, 499})


class NoContainer(SwiftRefused):
    """Swift is there, and the container is not."""

    def __init__(self, store: str, settings: SwiftStoreSettings) -> None:
        super().__init__(
            store,
            f"there is no container {settings.container} in the account of {settings.who}: make it, or set "
            "create_container = true",
        )


class SegmentsGone(Exception):
    """Swift does not have the segments that an object was to be made of."""


class Container:
    """One container, or what in it begins with the prefix; safe to use from several threads.

    What is called a name here is an object's name in the container without the prefix: a key, or the name of a
    segment or the mark, which are none.
    """

    def __init__(self, store: str, settings: SwiftStoreSettings) -> None:
        """Name the container; nothing is asked yet."""
        self.store, self.settings = store, settings
        self._account = Account(store, settings)
        self._prefix = settings.prefix or ""

    def name_of(self, name: str) -> str:
        """Return the object's whole name."""
        return f"{self._prefix}{name}"

    def room(self, connection: Connection) -> int | None:
        """Return how many bytes the container's quota leaves, ``None`` if it has none; proves the token, too."""
        with self.translated():
            said = connection.head_container(self.settings.container)
            quota = said.get("x-container-meta-quota-bytes", "")
            return max(0, int(quota) - int(said["x-container-bytes-used"])) if quota.isdecimal() else None

    def put(self, name: str, body: bytes | bytearray, *, only_if_absent: bool = False) -> None:
        """Make ``body`` an object, at once; Swift refuses it if it came as something else.

        Raises:
            AnotherIsThere: One is there.
        """
        # The type is given, as Swift would guess one by the name.
        headers = {"Content-Type": "application/octet-stream"} | ({"If-None-Match": "*"} if only_if_absent else {})
        self._put(name, bytes(body), etag=hashlib.md5(body, usedforsecurity=False).hexdigest(), headers=headers)

    def put_stream(self, connection: Connection, name: str, pieces: Iterable[bytes]) -> str:
        """Make what ``pieces`` gives an object, and return the tag that Swift gives it."""
        headers = {"Content-Type": "application/octet-stream"}
        with self.translated(writes=True):
            tag: str = connection.put_object(self.settings.container, self.name_of(name), iter(pieces), headers=headers)
        return tag

    def put_manifest(self, name: str, segments: Iterable[tuple[str, str, int]]) -> None:
        """Make an object of segments, given by name, tag and size; Swift compares all three with what it has.

        Raises:
            SegmentsGone: It does not have them, or has others.
        """
        manifest = [
            {"path": f"/{self.settings.container}/{self.name_of(each)}", "etag": tag, "size_bytes": size}
            for each, tag, size in segments
        ]
        headers = {"Content-Type": "application/octet-stream"}
        try:
            self._put(name, json.dumps(manifest).encode(), headers=headers, query_string="multipart-manifest=put")
        except SwiftRefused as error:
            # Source: Swift's middleware slo answers 400 with a list of segments and what it found of each.
            if isinstance(error.__cause__, ClientException) and _SEGMENTS_GONE.search(_body(error.__cause__)):
                raise SegmentsGone from error
            raise

    def get(self, key: str, headers: dict[str, str]) -> tuple[Connection, Any]:
        """Return the body of an object, to be read through a connection that is the caller's from now on.

        Raises:
            PastTheEnd: The range begins past the object's end.
        """
        connection = self._account_connection()
        try:
            with self.translated(key):
                _, body = connection.get_object(
                    self.settings.container,
                    self.name_of(key),
                    resp_chunk_size=self.settings.chunk_size,
                    headers=headers,
                )
        except (ObjectNotFound, PastTheEnd):
            self.give_back(connection)
            raise
        except BaseException:
            connection.close()
            raise
        return connection, body

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose body was read to its end."""
        self._account.give_back(connection)

    def head(self, key: str) -> Stored:
        """Return what is stored under ``key``."""
        with self.connection(key) as connection:
            said = connection.head_object(self.settings.container, self.name_of(key))
            written_at = int(float(said["x-timestamp"]) * 1_000_000) if "x-timestamp" in said else None
            return Stored(key, int(said["content-length"]), written_at)

    def remove(self, name: str) -> None:
        """Remove one object, of a large one the manifest only; nothing there is fine."""
        with contextlib.suppress(ObjectNotFound), self.connection(name, writes=True) as connection:
            connection.delete_object(self.settings.container, self.name_of(name))

    def names(self, prefix: str, after: str = "") -> Iterator[Stored]:
        """Yield what has a name that begins with ``prefix`` and comes after ``after``, page after page."""
        marker = self.name_of(after) if after else ""
        while True:
            with self.connection() as connection:
                _, page = connection.get_container(
                    self.settings.container, prefix=self.name_of(prefix), marker=marker, limit=_PAGE
                )
            if not page:
                return
            for each in page:
                written_at = datetime.fromisoformat(each["last_modified"]).replace(tzinfo=UTC)
                yield Stored(each["name"].removeprefix(self._prefix), each["bytes"], microseconds(written_at))
            marker = page[-1]["name"]

    def require(self) -> None:
        """Raise ``NoContainer`` unless the container is there."""
        with self.connection() as connection:
            connection.head_container(self.settings.container)

    def create(self) -> None:
        """Make the container, if it is not there, with the key that signs addresses."""
        key = self.settings.temp_url_key
        headers = {} if key is None else {"X-Container-Meta-Temp-URL-Key": key.get_secret_value()}
        with self.connection(writes=True) as connection:
            connection.put_container(self.settings.container, headers=headers)

    def temp_url(self, key: str, expires_s: int) -> str | None:
        """Return a URL by which anybody may read the object for so long; ``None`` without a key that signs it."""
        if self.settings.temp_url_key is None:
            return None
        with self.translated():
            account = urlsplit(self._account.url())
        path = f"{account.path}/{self.settings.container}/{self.name_of(key)}"
        signed: str = generate_temp_url(path, expires_s, self.settings.temp_url_key.get_secret_value(), "GET")
        return f"{self.settings.public_endpoint or f'{account.scheme}://{account.netloc}'}{signed}"

    def close(self) -> None:
        """Let go of the connections."""
        self._account.close()

    @contextlib.contextmanager
    def connection(self, key: str | None = None, *, writes: bool = False) -> Iterator[Connection]:
        """Give a connection, with what goes wrong on it as in ``translated``."""
        with self.translated(key, writes=writes), self._account.connection() as connection:
            yield connection

    @contextlib.contextmanager
    def translated(self, key: str | None = None, *, writes: bool = False) -> Iterator[None]:
        """Turn what Swift, Keystone or their libraries say into the errors of a store.

        Args:
            key: Which object it is about; ``None``: the container, or an object that is made in it.
            writes: Whoever is denied this may still read.
        """
        try:
            yield
        except ClientException as error:
            raise self._meaning(error, key, writes=writes) from error
        except keystone.ClientException as error:
            raise self._keystone_meaning(error) from error
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(self.store, sentence(error)) from error
        except (KeyError, ValueError) as error:
            reason = f"what answers is not Swift ({sentence(error)}): see 'storage_url' and Keystone's catalogue"
            raise SwiftRefused(self.store, reason) from error

    def _put(self, name: str, body: bytes, **how: Any) -> None:
        with self.connection(writes=True) as connection:
            for _ in range(2):
                try:
                    connection.put_object(self.settings.container, self.name_of(name), body, **how)
                except ClientException as error:
                    # swiftclient gives up a token that was refused, but repeats no body with a new one.
                    if error.http_status is not None or connection.token is not None:
                        raise
                else:
                    return
            raise ClientException("a new token was refused", http_status=401)

    def _account_connection(self) -> Connection:
        with self.translated():
            return self._account.taken()

    def _meaning(
        self, error: ClientException, key: str | None, *, writes: bool
    ) -> HeadwaterError | AnotherIsThere | PastTheEnd:
        settings, status = self.settings, error.http_status
        if status == 404:
            return NoContainer(self.store, settings) if key is None else ObjectNotFound(self.store, key)
        if status == 416:
            return PastTheEnd()
        if status == 412:
            return AnotherIsThere()
        if status in (413, 507):
            return StoreFull(self.store)
        if status == 401:
            reason = f"Swift does not take the token of {settings.who}: do Swift and 'auth_url' belong together?"
            return SwiftRefused(self.store, reason)
        if status == 403 and writes:
            return StoreRefusesWrites(self.store, is_full=False)
        if status == 403:
            reason = f"{settings.who} may not read the container {settings.container}: let its project or role do it"
            return SwiftRefused(self.store, reason)
        if not status:
            return StoreUnavailable(self.store, sentence(error))
        reason = f"Swift answers {status} {error.http_reason}: {sentence(_body(error))}"
        passes = status >= 500 or status in _MAY_PASS
        return StoreUnavailable(self.store, reason) if passes else SwiftRefused(self.store, reason)

    def _keystone_meaning(self, error: keystone.ClientException) -> StoreUnavailable:
        settings = self.settings
        if isinstance(error, (keystone.Unauthorized, keystone.Forbidden)):
            return SwiftRefused(
                self.store,
                f"{settings.auth_url} does not know {settings.who} with this secret: see the keys of section "
                f"[stores.{self.store}] that name it",
            )
        reason = f"{settings.auth_url} gives no token: {sentence(error)}"
        if isinstance(error, keystone.HttpError) and error.http_status < 500 and error.http_status not in _MAY_PASS:
            return SwiftRefused(self.store, reason)
        return StoreUnavailable(self.store, reason)


def _body(error: ClientException) -> str:
    body = error.http_response_content or b""
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
