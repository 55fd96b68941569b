"""Answer one machine on its channel, until that ends."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from headwater.database.engine import Database
from headwater.instances.answering import Elsewhere
from headwater.instances.http import refusal
from headwater.instances.settings import MetadataSettings
from headwater.instances.vendor_data.static import Static
from headwater.server.edge.listener import Connections, Listener
from headwater.server.guests.port import Port
from headwater.server.metrics import Metrics
from headwater.server.middleware.observe import Observed
from headwater.server.middleware.whole_bodies import WholeBodies
from headwater.server.settings import Settings
from headwater.threads import Pool

if TYPE_CHECKING:
    from headwater.server.guests.cloud import KnownByCloud

_THREADS = 4  # a guest that boots asks for one document after another
_CONNECTIONS = 64


def serve_one(
    database: Database, settings: Settings, instance_id: str, channel: socket.socket, *, listens: bool
) -> None:
    """Answer an instance as the metadata port would; return on SIGTERM or SIGINT, or when the connection has ended.

    Args:
        channel: A connection, or a socket that listens.
    """
    asyncio.run(_serve(database, settings, instance_id, channel, listens=listens))


async def _serve(
    database: Database, settings: Settings, instance_id: str, channel: socket.socket, *, listens: bool
) -> None:
    guests, asking, files = Pool("guests", _THREADS), Pool("cloud", _THREADS), Pool("files", 1)
    metrics = Metrics()
    of_cloud: list[KnownByCloud] = []

    def elsewhere(told_by: MetadataSettings, told: Callable[[], Static]) -> Elsewhere | None:
        if told_by.openstack.auth_url is None:
            return None
        from headwater.server.guests.cloud import KnownByCloud  # noqa: PLC0415 - only what is used

        of_cloud.append(KnownByCloud(database, told_by, asking.run, guests.run, metrics, static=told))
        return of_cloud[0].guests

    port = Port(
        database,
        settings.metadata,
        guests.run,
        issuer=settings.image_url,
        keystone=settings.auth.keystone,
        metrics=metrics,
        only=instance_id,
        elsewhere=elsewhere,
    )
    loops = [*port.loops, *(each.keeping for each in of_cloud)]
    app = Observed(WholeBodies(port.app), "metadata", metrics, refusal)
    beside = [asyncio.create_task(each.run()) for each in loops]
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, end.set)
    connections: Connections
    if listens:
        connections = listener = Listener(app, channel, files, limit=_CONNECTIONS)
        listener.start()
        await end.wait()
    else:
        connections = Connections(app, files)
        connections.serve(channel)
        over = asyncio.create_task(connections.stopped())
        asked = asyncio.create_task(end.wait())
        await asyncio.wait([over, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
    port.stop()
    connections.stop()
    await connections.stopped()
    for task in beside:
        task.cancel()
    for each in loops:
        each.pool.close()
    for pool in (guests, asking, files):
        pool.close()
    for known in of_cloud:
        known.close()
    port.close()
