"""Run the worker processes and stop them.

The supervisor prepares what all workers share (ports, schema, leftovers of a crash), forks the workers
and watches them. Each worker listens on both ports (the kernel spreads the connections), so any number
of equal workers serve one catalogue. A worker that dies is replaced.

A stop (SIGTERM, SIGINT): workers take no new connection, finish the requests in flight, and end. They do
the same when the supervisor is gone, however it went: each watches a pipe that only the supervisor holds
open, so that no worker is left holding the ports.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType

from headwater.database import schema
from headwater.database.engine import Database
from headwater.errors import SettingsError
from headwater.identity.registry import open_authenticator, open_rules
from headwater.images.access import Access
from headwater.images.admission import Admission
from headwater.images.books import Books
from headwater.images.catalogue import ImageCatalogue
from headwater.images.metadefs import loading
from headwater.images.metadefs.catalogue import MetadefCatalogue
from headwater.images.property_guard import open_guard
from headwater.images.service import now
from headwater.images.signatures.certificates.registry import open_signatures
from headwater.images.uploads import Pools, Uploads
from headwater.jobs.queue import Jobs
from headwater.server import data_dir, log, metrics, worker
from headwater.server.settings import Settings, address
from headwater.stores.fetch import Fetcher
from headwater.stores.registry import open_stores
from headwater.streams.live import live_feed
from headwater.threads import Pool

_log = logging.getLogger(__name__)

_CRASH_LOOP_S = 2.0  # a worker that ends sooner than this after its start has no future
_STARTS_IN_A_ROW = 5


class PortTaken(SettingsError):
    """Something else listens there."""

    def __init__(self, key: str, bind: str, reason: str) -> None:
        super().__init__(
            f"section [server], key '{key}': cannot listen on {bind}: {reason}; "
            "stop what listens there or give another HOST:PORT"
        )


def serve(settings: Settings, on_ready: Callable[[], None]) -> int:
    """Serve until a signal says to stop; return the exit code.

    Args:
        on_ready: Called once, when every worker listens.

    Raises:
        SettingsError: Something stands in the way of the start.
    """
    log.configure(settings.log.format, settings.log.level, settings.audit.file)
    with contextlib.ExitStack() as held:  # both at once, so that the two are also told from each other
        for key, bind in (("bind", settings.server.bind), ("metadata_bind", settings.server.metadata_bind)):
            held.enter_context(_free(key, bind))
    identities = _prepare(settings)
    with metrics.shared_between_processes():
        return _Workers(settings, identities, on_ready).run()


def _free(key: str, bind: str) -> socket.socket:
    """Return a socket that listens there, unshared: only where nothing else does."""
    host, port = address(bind)
    probe = None
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        probe = socket.socket(family, socket.SOCK_STREAM)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)
        return probe
    except OSError as error:
        if probe is not None:
            probe.close()
        raise PortTaken(key, bind, (error.strerror or str(error)).lower()) from error


def _prepare(settings: Settings) -> dict[str, str]:
    """Put in order what all workers share; return what each store is to be known by."""
    os.umask(0o077)  # what we make is its owner's only
    data_dir.prepare(settings.data_dir)
    data_dir.close_directories(settings.data_dir, settings.directories)
    policy = open_rules(settings.auth, settings.policy)
    open_authenticator(settings.auth).close()
    open_guard(settings.images, policy)
    open_signatures(settings.signatures, settings.auth.keystone)
    database = Database(settings.database_url)
    data_dir.close_database(database.file)
    live_feed(ImageCatalogue(database), settings.streams)  # a key that cannot sign stops the start
    try:
        schema.upgrade(database)
        loading.load_base(MetadefCatalogue(database), now)
        stores = open_stores(settings.stores, settings.data_dir, Fetcher(settings.fetch))
        identities = Admission(database).admit(stores)
        idle = Pool("none", 1)
        access = Access(ImageCatalogue(database), policy)
        uploads = Uploads(Books(database), access, stores, settings.images, Pools(idle, idle))
        Jobs(database).release_dead(now())
        cleared = uploads.clear_leftovers()
        if cleared:
            _log.info("cleared what an earlier process left", extra={"count": cleared})
        return identities
    finally:
        database.close()


class _Workers:
    """The worker processes of one service."""

    def __init__(self, settings: Settings, identities: Mapping[str, str], on_ready: Callable[[], None]) -> None:
        self._settings = settings
        self._identities = identities
        self._on_ready = on_ready
        self._started: dict[int, float] = {}  # by process id
        self._short_lives = 0
        self._stopping = False
        self._supervisor_lives, self._held_open = os.pipe()  # ends for a worker when the supervisor does

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        ready, says_ready = os.pipe()
        for _ in range(self._settings.workers):
            self._start(says_ready)
        os.close(says_ready)
        waiting = len(self._started)
        while waiting and not self._stopping:
            try:
                word = os.read(ready, waiting)
            except InterruptedError:
                continue
            if not word:
                break  # every worker has ended or is ready
            waiting -= len(word)
        os.close(ready)
        if not waiting:
            self._on_ready()
        return self._watch()

    def _start(self, says_ready: int | None) -> None:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(self._held_open)
                code = worker.work(self._settings, self._identities, says_ready, self._supervisor_lives)
            except SettingsError as error:
                _log.error("a worker cannot start", extra={"error": str(error)})
            except Exception:  # noqa: BLE001 - the process ends here; the log keeps why
                _log.exception("a worker failed")
            finally:
                sys.stderr.flush()
                os._exit(code)
        self._started[pid] = time.monotonic()
        if self._stopping:  # the signal came while it was forked: the handler did not know of it
            os.kill(pid, signal.SIGTERM)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            return
        self._stopping = True
        for pid in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        # A margin over the workers' own limit, after which they have no excuse.
        signal.signal(signal.SIGALRM, self._kill)
        signal.alarm(self._settings.server.stop_timeout_s + 5)

    def _kill(self, _number: int, _frame: FrameType | None) -> None:
        for pid in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _watch(self) -> int:
        while self._started:
            try:
                pid, status = os.wait()
            except InterruptedError:
                continue
            except ChildProcessError:
                break
            began = self._started.pop(pid, None)
            metrics.forget_process(pid)
            if self._stopping or began is None:
                continue
            _log.error("a worker ended and is replaced", extra={"pid": pid, "code": os.waitstatus_to_exitcode(status)})
            self._short_lives = self._short_lives + 1 if time.monotonic() - began < _CRASH_LOOP_S else 0
            if self._short_lives >= _STARTS_IN_A_ROW:
                _log.error("workers end as soon as they start; giving up")
                self._stop(0, None)
                return 1
            time.sleep(0.2 * self._short_lives)
            self._start(None)
        return 0
