"""The connection of one store to its Ceph cluster, and what goes wrong with it in the words of the contract.

It is made by the first call that needs it, one for the process: the libraries answer many threads at once, let go of
Python's lock while they wait, and find a cluster that comes back by themselves. A connection that the cluster has cut
off for good (blocklisted) is dropped, and the next call makes another.
"""

from __future__ import annotations

import contextlib
import errno
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from headwater.stores.rbd.bindings import CephBindings
from headwater.stores.rbd.settings import RbdStoreSettings
from headwater.stores.store import StoreFull, StoreUnavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM})
_CUT_OFF = frozenset({errno.ESHUTDOWN, errno.ENOTCONN})
_NO_FSID = frozenset({"", "00000000-0000-0000-0000-000000000000"})


class CephRefused(StoreUnavailable):
    """The cluster, or what the settings say of it, does not let us; that does not pass by itself."""

    may_pass = may_pass_later = False


class Cluster:
    """A cluster as one user sees it, and one pool of it; safe to use from several threads."""

    def __init__(self, store: str, settings: RbdStoreSettings, bindings: CephBindings) -> None:
        self._store, self._settings = store, settings
        self._rados = bindings.rados
        self.errors = (bindings.rados.Error, bindings.rbd.Error)
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._failure: StoreUnavailable | None = None
        self._fsid = ""

    @property
    def fsid(self) -> str:
        """What the cluster is known by; the configuration mostly tells it, else the cluster is asked.

        Raises:
            StoreUnavailable: Neither does.
        """
        if not self._fsid:
            with self.translated():
                self._fsid = self._handle().conf_get("fsid") or ""
                if self._fsid in _NO_FSID:
                    with self._connected().used() as connection:
                        self._fsid = connection.get_fsid()
        return self._fsid

    @contextmanager
    def pool(self) -> Iterator[Any]:
        """Give the pool, until all that was opened of it is closed.

        Raises:
            StoreUnavailable: It cannot be reached, or a call of the libraries within says so.
            StoreFull: A call within says so.
        """
        with self.translated(), contextlib.ExitStack() as stack:
            connection = stack.enter_context(self._connected().used())
            try:
                pool = connection.open_ioctx(self._settings.pool)
            except self._rados.ObjectNotFound as error:
                raise CephRefused(self._store, f"the cluster has no pool {self._settings.pool!r}") from error
            # Else whoever writes into a full pool waits for room instead of being told.
            pool.set_osdmap_full_try()
            stack.callback(pool.close)
            yield pool

    def room(self) -> int | None:
        """Return how many more bytes the pool takes, as far as the cluster has counted; ``None``: it does not tell."""
        command = {"prefix": "df", "detail": "detail", "format": "json"}
        with self.translated(), self._connected().used() as connection:
            code, answer, _ = connection.mon_command(json.dumps(command), b"")
        return None if code else room_in(json.loads(answer), self._settings.pool)

    def close(self) -> None:
        """Let go of the connection; it ends when the last one who uses it is done."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of the libraries into those of the contract."""
        try:
            yield
        except self.errors as error:
            raise self.error(getattr(error, "errno", None), str(error)) from error

    def error(self, number: int | None, text: str) -> StoreUnavailable | StoreFull:
        """Return what to raise for an error of the libraries, by its number."""
        settings = self._settings
        if number in _FULL:
            return StoreFull(self._store)
        if number == errno.ETIMEDOUT:
            return StoreUnavailable(
                self._store, f"Ceph does not answer within {settings.operation_timeout_s:g} s: look at `ceph -s`"
            )
        if number in _REFUSED:
            return CephRefused(
                self._store,
                f"Ceph does not let client.{settings.user} do this: look at its key and at `ceph auth get`",
            )
        if number in _CUT_OFF:
            self.close()
        return StoreUnavailable(self._store, text)

    def _connected(self) -> _Connection:
        """Return the connection; of those who wait for one that cannot be made, each waits for one try only."""
        connection = self._connection
        if connection is not None:
            return connection
        seen = self._failure
        with self._lock:
            if self._connection is None:
                if self._failure is not None and self._failure is not seen:
                    raise self._failure
                try:
                    self._connection = _Connection(self._connect())
                except StoreUnavailable as error:
                    self._failure = error
                    raise
            return self._connection

    def _connect(self) -> Any:
        settings, rados = self._settings, self._rados
        handle = self._handle()
        try:
            handle.connect()
        except rados.Error as error:
            handle.shutdown()
            number = getattr(error, "errno", None)
            if number == errno.ETIMEDOUT:
                reason = f"no monitor of Ceph answers within {settings.connect_timeout_s:g} s"
                raise StoreUnavailable(self._store, f"{reason}; {settings.conf} names them") from error
            if number == errno.ENOENT:
                keyring = settings.keyring or f"a keyring that {settings.conf} names"
                raise CephRefused(self._store, f"there is no key of client.{settings.user} in {keyring}") from error
            raise self.error(number, str(error)) from error
        return handle

    def _handle(self) -> Any:
        """Return a connection that is not made yet: the configuration is read."""
        settings = self._settings
        options = {
            "client_mount_timeout": f"{settings.connect_timeout_s:g}",
            "rados_mon_op_timeout": f"{settings.operation_timeout_s:g}",
            "rados_osd_op_timeout": f"{settings.operation_timeout_s:g}",
            # What is written is in the pool when that is said, and nothing is kept twice.
            "rbd_cache": "false",
            # What goes wrong is told by errors; the libraries would write beside our log.
            "log_to_stderr": "false",
            "err_to_stderr": "false",
            **({"keyring": str(settings.keyring)} if settings.keyring else {}),
        }
        try:
            return self._rados.Rados(conffile=str(settings.conf), rados_id=settings.user, conf=options)
        except self._rados.Error as error:
            raise CephRefused(self._store, f"the configuration {settings.conf} cannot be read: {error}") from error


def room_in(told: Mapping[str, Any], pool: str) -> int | None:
    """Return how many more bytes a pool takes by what ``ceph df detail`` tells; ``None``: it does not tell.

    A pool of which nothing was counted yet is told to have no room at all. One that is really full refuses what is
    written.
    """
    for each in told["pools"]:
        if each["name"] == pool:
            stats = each["stats"]
            rooms = [stats["max_avail"]] if stats["max_avail"] else []
            if stats.get("quota_bytes"):
                rooms.append(stats["quota_bytes"] - stats["stored"])
            return max(0, int(min(rooms))) if rooms else None
    return None


class _Connection:
    """A connection that ends when it shall and nobody uses it any more.

    The library ends none by itself, and one that ends under an open image waits for ever.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._lock = threading.Lock()
        self._users = 0
        self._shall_end = False

    @contextmanager
    def used(self) -> Iterator[Any]:
        """Give it, for as long as it is used."""
        with self._lock:
            self._users += 1
        try:
            yield self._handle
        finally:
            self._let_go(-1)

    def end(self) -> None:
        """Let it end as soon as nobody uses it."""
        self._shall_end = True
        self._let_go(0)

    def _let_go(self, users: int) -> None:
        with self._lock:
            self._users += users
            ends = self._shall_end and not self._users
        if ends:
            self._handle.shutdown()
