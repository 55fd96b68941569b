"""A tree in a container of OpenStack Swift, or in what of it begins with a prefix.

Swift knows the condition that nothing is there; another file than the one expected is looked for before each put, which
leaves a moment between. A large file is made of parts (``parts.py``), which lie beside it: whoever may read the
container may read them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO
from urllib.parse import quote

from keystoneauth1.exceptions import ClientException as KeystoneFailed
from keystoneauth1.session import Session
from swiftclient.client import ClientException, Connection
from urllib3.exceptions import HTTPError

from headwater.clock import microseconds
from headwater.errors import HeadwaterError
from headwater.stores.swift.account import DirectConnection
from headwater.streams.format.json_objects import safe_path
from headwater.streams.trees.arriving import Arriving
from headwater.streams.trees.lease import leased
from headwater.streams.trees.parts import Parts, comes_in_parts
from headwater.streams.trees.tree import (
    ABSENT,
    ATTEMPTS,
    DOCUMENT_LIMIT,
    HIDDEN,
    PAUSES_S,
    PIECE,
    Document,
    Entry,
    PathChanged,
    PathNotFound,
    TreeRefused,
    TreeUnavailable,
    cache_control,
    media_type_of,
)

_AT_ONCE = 1 << 30  # bytes of a file that nobody would go on with; Swift takes 5 GiB
PUBLIC = ".r:*,.rlistings"  # Source: what glance-simplestreams-sync sets
_PAGE = 10_000
_PASSING = frozenset({408, 409, 429, 498, 499})
_FAILURES = (HTTPError, OSError, KeystoneFailed)


class SwiftTree:
    """Files as objects; safe to use from several threads."""

    def __init__(
        self,
        session: Session,
        container: str,
        prefix: str = "",
        *,
        region: str | None = None,
        interface: str = "public",
        storage_url: str | None = None,
        cafile: str | None = None,
        timeout_s: float = 60,
    ) -> None:
        """Name the container; nothing is asked yet.

        Args:
            prefix: What stands before each path, without slashes around it.
            storage_url: Of the account. Default: what Keystone's catalogue says.
        """
        self.container, self._before = container, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.place = f"swift://{container}/{self._before}".rstrip("/")
        self._options = {"object_storage_url": storage_url, "endpoint_type": interface, "region_name": region}
        self._session, self._cafile, self._timeout_s = session, cafile, timeout_s
        self._lock = threading.Lock()
        self._free: list[Connection] = []
        self._parts = Parts(self, self._joined, parts_stay=True)

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        with self.open(path) as file:
            return file.whole(limit)

    def open(self, path: str, start: int = 0, *, tag: str | None = None) -> Arriving:
        headers = {"Range": f"bytes={start}-"} if start else {}
        if tag:
            headers["If-Match"] = tag
        connection = self._taken()
        try:
            with self._translated(path):
                said, body = connection.get_object(
                    self.container, self._name(path), resp_chunk_size=PIECE, headers=headers
                )
        except BaseException:
            connection.close()
            raise
        return Arriving(
            self,
            path,
            self._pieces(path, body),
            tag=_tag(said),
            size=start + int(said["content-length"]),
            start=start,
            close=connection.close,
            media_type=said.get("content-type"),
        )

    def _pieces(self, path: str, body: Any) -> Iterator[bytes]:
        with self._translated(path):
            yield from body

    def stat(self, path: str) -> Entry:
        with self._connection(path) as connection:
            said = connection.head_object(self.container, self._name(path))
        return Entry(path, int(said["content-length"]), _date(said.get("last-modified")), _tag(said))

    def list(self, prefix: str = "") -> Iterator[Entry]:
        return (entry for entry in self.every(prefix) if not entry.path.startswith(HIDDEN))

    def every(self, prefix: str) -> Iterator[Entry]:
        """Yield what ``list`` yields, with the parts of large files."""
        marker = ""
        while True:
            with self._connection(prefix) as connection:
                try:
                    _, page = connection.get_container(
                        self.container, prefix=f"{self._before}{prefix}", marker=marker, limit=_PAGE
                    )
                except ClientException as error:
                    if error.http_status != 404:
                        raise
                    return
            for each in page:
                path = each["name"].removeprefix(self._before)
                if path and each.get("content_type") != "application/directory":
                    modified = microseconds(datetime.fromisoformat(each["last_modified"]).replace(tzinfo=UTC))
                    # A list tells the tag of a large object's manifest, which is another one.
                    yield Entry(path, each["bytes"], modified, None if "slo_etag" in each else each["hash"])
            if len(page) < _PAGE:
                return
            marker = page[-1]["name"]

    def write(
        self,
        path: str,
        body: bytes | BinaryIO,
        *,
        size: int | None = None,
        media_type: str | None = None,
        expect: str | None = None,
        max_age_s: int | None = None,
        mark: str | None = None,
    ) -> str:
        headers = {"Content-Type": media_type or media_type_of(path)}
        if max_age_s is not None:
            headers["Cache-Control"] = cache_control(max_age_s)
        if expect == ABSENT:
            headers["If-None-Match"] = "*"
        elif expect is not None and self._tag_of(path) != expect:
            raise PathChanged(self.place, path)
        in_parts = size is None or size > _AT_ONCE or (mark is not None and comes_in_parts(size))
        if in_parts and not isinstance(body, bytes):
            return self._parts.put(path, body, headers, size=size, mark=mark)
        with self._connection(path, writes=True) as connection:
            name = self._name(path)
            if isinstance(body, bytes):
                tag = hashlib.md5(body, usedforsecurity=False).hexdigest()
                connection.put_object(self.container, name, body, etag=tag, headers=headers)
                return tag
            connection.retries = 0  # what was read of a file is not there a second time
            put: str = connection.put_object(self.container, name, _Once(body), size, chunk_size=PIECE, headers=headers)
            return put

    def _joined(self, path: str, parts: Sequence[Entry], headers: Mapping[str, str]) -> str:
        """Put what makes one object of parts, and return its tag; what it was made of before is removed."""
        name, before = self._name(path), self._segments(path)
        segments = [f"/{self.container}/{self._name(part.path)}" for part in parts]
        manifest = [
            {"path": segment, "etag": part.tag, "size_bytes": part.size}
            for segment, part in zip(segments, parts, strict=True)
        ]
        with self._connection(path, writes=True) as connection:
            if parts:
                query = "multipart-manifest=put"
                connection.put_object(self.container, name, json.dumps(manifest), headers=headers, query_string=query)
            else:
                connection.put_object(self.container, name, b"", headers=headers)
            for segment in {*before} - {*segments}:
                container, _, gone = segment.removeprefix("/").partition("/")
                with contextlib.suppress(ClientException):
                    connection.delete_object(container, gone)
        return self._tag_of(path)

    def _segments(self, path: str) -> tuple[str, ...]:
        """Return of what a large file is made, as ``/CONTAINER/OBJECT``; nothing: it is no large file, or not there."""
        name = self._name(path)
        try:
            with self._connection(path) as connection:
                if "x-static-large-object" not in connection.head_object(self.container, name):
                    return ()
                _, found = connection.get_object(self.container, name, query_string="multipart-manifest=get")
        except PathNotFound:
            return ()
        return tuple(str(each["name"]) for each in json.loads(found))

    def is_made_of(self, path: str, parts: Sequence[str]) -> bool:
        """Return whether readers of a file read these parts of it."""
        return not {f"/{self.container}/{self._name(part)}" for part in parts}.isdisjoint(self._segments(path))

    def begun(self, path: str, mark: str) -> Arriving | None:
        return self._parts.begun(path, mark)

    def delete(self, path: str) -> None:
        with contextlib.suppress(PathNotFound), self._connection(path) as connection:
            name = self._name(path)
            is_segmented = "x-static-large-object" in connection.head_object(self.container, name)
            query = "multipart-manifest=delete" if is_segmented else None
            connection.delete_object(self.container, name, query_string=query)

    def prepare(self, *, public: bool = False) -> None:
        with self._connection("", writes=True) as connection:
            headers = {"X-Container-Read": PUBLIC} if public else {}
            connection.put_container(self.container, headers=headers)

    @contextlib.contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        with leased(self, purpose):
            with contextlib.suppress(HeadwaterError):  # what somebody left disturbs nobody
                self._parts.tidy()
            yield

    def public_url(self) -> str:
        with self._connection("") as connection:
            account, _ = connection.get_auth()
        if not self._options["object_storage_url"]:
            with self._translated(""):
                found = self._session.get_endpoint(
                    service_type="object-store", interface="public", region_name=self._options["region_name"]
                )
            account = found or account
        return f"{str(account).rstrip('/')}/{quote(f'{self.container}/{self._before}')}".rstrip("/")

    def close(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for each in free:
            each.close()

    def _name(self, path: str) -> str:
        return f"{self._before}{safe_path(path)}"

    def _tag_of(self, path: str) -> str:
        try:
            return self.stat(path).tag or ""
        except PathNotFound:
            return ABSENT

    def _taken(self) -> Connection:
        with self._lock:
            if self._free:
                connection = self._free.pop()
                connection.retries = ATTEMPTS - 1
                return connection
        return DirectConnection(
            session=self._session,
            os_options=self._options,
            retries=ATTEMPTS - 1,
            starting_backoff=PAUSES_S[0],  # and twice as long each time
            cacert=self._cafile,
            timeout=self._timeout_s,
        )

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            self._free.append(connection)

    @contextlib.contextmanager
    def _connection(self, path: str, *, writes: bool = False) -> Iterator[Connection]:
        """Give a connection for one call; one in the middle of something is not used again."""
        connection = self._taken()
        try:
            with self._translated(path, writes=writes):
                yield connection
        except (PathNotFound, PathChanged):
            self._give_back(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)

    @contextlib.contextmanager
    def _translated(self, path: str, *, writes: bool = False) -> Iterator[None]:
        """Turn what Swift, Keystone or a library says into the errors of a tree."""
        try:
            yield
        except ClientException as error:
            status = error.http_status or 0
            if status == 404 and writes:
                reason = f"there is no container {self.container}"
                raise TreeRefused(self.place, reason, status) from error
            if status == 404:
                raise PathNotFound(self.place, path) from error
            if status in (412, 416):
                raise PathChanged(self.place, path) from error
            reason = f"{path or 'it'}: Swift answered {status} {error.http_reason}" if status else "Swift is not there"
            passes = not status or status >= 500 or status in _PASSING
            raise (TreeUnavailable if passes else TreeRefused)(self.place, reason, status or None) from error
        except _FAILURES as error:
            raise TreeUnavailable(self.place, f"{path or 'it'}: {' '.join(str(error).split())[:200]}") from error


class _Once:
    """A file on its way; what has no ``seek`` is not read again."""

    def __init__(self, body: BinaryIO) -> None:
        self.read = body.read


def _tag(said: dict[str, str]) -> str:
    return said.get("etag", "").strip('"')


def _date(text: str | None) -> int | None:
    try:
        return None if text is None else microseconds(parsedate_to_datetime(text))
    except ValueError:
        return None
