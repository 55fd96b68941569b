"""Run the worker processes and stop them.

The supervisor prepares what all workers share (ports, schema, leftovers of a crash), forks the workers
and watches them (``workers.py``). Each worker listens on all ports (the kernel spreads the connections), so any number
of equal workers serve one catalogue. A worker that dies is replaced.

A stop (SIGTERM, SIGINT): load balancers are told for ``drain_s``, where that is set; then workers take no new
connection, finish the requests in flight, and end. They do the same when the supervisor is gone, however it went:
each watches a pipe that only the supervisor holds open, so that no worker is left holding the ports.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable

from headwater.activity.notifications.notifier import Notifications
from headwater.clock import now
from headwater.database import schema
from headwater.database.engine import Database
from headwater.errors import SettingsError
from headwater.fetching.fetcher import Fetcher
from headwater.identity.policy.rules import NamedRules
from headwater.identity.registry import open_rules
from headwater.images.access import Access
from headwater.images.assembly.parts import open_changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.upload_records import UploadRows
from headwater.images.data.admission import Admitted
from headwater.images.data.leftovers import Leftovers, Running
from headwater.images.data.scrubber import Scrubber
from headwater.images.metadefs import loading
from headwater.images.metadefs.catalogue import MetadefRows
from headwater.jobs.queue import Jobs
from headwater.server import data_dir, log
from headwater.server.apis import policies
from headwater.server.drain import Drain
from headwater.server.edge.listener import held
from headwater.server.edge.open_files import raise_limit
from headwater.server.guests import networks
from headwater.server.guests.networks import PortTaken
from headwater.server.guests.port import require_open_secrets
from headwater.server.metrics import processes
from headwater.server.named_files import looks
from headwater.server.settings import Settings, address
from headwater.server.stores.admitting import admitted
from headwater.server.workers import Workers
from headwater.stores.registry import open_stores
from headwater.stores.store_type import Surroundings
from headwater.streams.pulling.opening import check_trees

_log = logging.getLogger(__name__)


class StoreOfOneProcess(SettingsError):
    """Jobs cannot run beside the service whose store this is."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f'a store of type "{kind}" lives in one process, that of the service: its jobs cannot run in another'
        )
        self.type = kind


def serve(settings: Settings, on_ready: Callable[[], None]) -> int:
    """Serve until a signal says to stop; return the exit code.

    Args:
        on_ready: Called once, when every worker listens.

    Raises:
        SettingsError: Something stands in the way of the start.
    """
    raise_limit(2 + len(settings.metadata.networks))
    log.configure(settings.log.format, settings.log.level, settings.audit.file)
    drain = Drain(settings.server.drain_file)
    drain.follow_signals()
    with contextlib.ExitStack() as ports:  # all at once, so that they are also told from each other
        for key, bind in (("bind", settings.server.bind), ("metadata_bind", settings.server.metadata_bind)):
            ports.enter_context(_held(key, bind))
        for name, each in settings.metadata.networks.items():
            if (port := networks.kept(name, each)) is not None:
                ports.enter_context(port)
        found = _prepare(settings)
        with processes.shared_between_processes():
            return Workers(settings, found, drain, on_ready).run()


def run_jobs(settings: Settings, on_ready: Callable[[], None]) -> int:
    """Run jobs and serve nothing, until a signal says to stop; return the exit code.

    Args:
        on_ready: Called once, when every worker looks for jobs.

    Raises:
        SettingsError: Something stands in the way of the start.
    """
    if settings.alone is not None:
        raise StoreOfOneProcess(settings.alone)
    raise_limit(0)
    log.configure(settings.log.format, settings.log.level, settings.audit.file)
    drain = Drain()
    drain.follow_signals()
    found = _prepare(settings, serves=False)
    with processes.shared_between_processes():
        return Workers(settings, found, drain, on_ready, serves=False).run()


def _held(key: str, bind: str) -> socket.socket:
    """Return a socket that keeps the port for our workers; raise ``PortTaken`` when something else has it."""
    try:
        return held(*address(bind))
    except OSError as error:
        raise PortTaken("server", key, bind, error) from error


def _prepare(settings: Settings, *, serves: bool = True) -> Admitted:
    """Put in order what all workers share; return the stores as they were found."""
    os.umask(0o077)  # what we make is its owner's only
    data_dir.prepare(settings.data_dir)
    data_dir.close_directories(settings.data_dir)
    policy = open_rules(settings.auth, settings.policy, policies.BY_NAME)
    for look in looks(settings, policy, serves=serves):
        look()
    database = Database(settings.database_url)
    data_dir.close_database(database.file)
    if serves:
        check_trees(settings.streams, settings.data_dir)
    try:
        schema.upgrade(database)
        loading.load_base(MetadefRows(database), now)
        if serves:
            require_open_secrets(settings.metadata, database)
    finally:
        database.close()
    found = admitted(settings)
    _clear(settings, found, policy)
    return found


def _clear(settings: Settings, found: Admitted, policy: NamedRules) -> None:
    """Clear what an earlier process left, where the stores are there; what lies in others stays noted."""
    database = Database(settings.database_url)
    stores = {
        name: store
        for name, store in open_stores(
            settings.stores, Surroundings(settings.data_dir, Fetcher(settings.fetch)), found.identities
        ).items()
        if name not in found.down
    }
    try:
        scrubber = Scrubber(DiscardedObjectRows(database), stores)
        notifications = Notifications(settings.notifications, database)
        changes = open_changes(database, Access(ImageRows(database), policy), notifications)
        leftovers = Leftovers(changes, UploadRows(database), scrubber, Running())
        Jobs(database).release_dead(now())
        cleared = leftovers.clear_all()
        if cleared:
            _log.info("cleared what an earlier process left", extra={"count": cleared})
    finally:
        for store in stores.values():
            store.close()  # a fork would copy its connections without the threads that serve them
        database.close()
