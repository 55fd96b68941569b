"""Be one worker process: listen on the ports of its part or run jobs only, until told to stop; end in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Mapping
from enum import Enum
from functools import partial

from starlette.types import ASGIApp

from headwater.images.data.admission import Admitted
from headwater.server.application import Application, Background
from headwater.server.drain import Drain
from headwater.server.edge.certificates import Certificate, open_certificate
from headwater.server.edge.listener import Listener, listening
from headwater.server.edge.open_files import connections_limit
from headwater.server.guests.apart import GuestsApart
from headwater.server.guests.listeners import GuestListeners
from headwater.server.guests.networks import NetworkListener, PortTaken
from headwater.server.settings import Settings, address
from headwater.threads import Pool

_log = logging.getLogger(__name__)


class Part(Enum):
    """What one worker process does for the service."""

    ALL = "all"
    IMAGES = "images"  # all but answering guests
    GUESTS = "guests"
    JOBS = "jobs"  # it listens nowhere


READY, TURNS = b"r", b"."  # what a worker says to its supervisor
BEAT_S = 1.0


def work(part: Part, settings: Settings, found: Admitted, drain: Drain, *, says: int, supervisor_lives: int) -> int:
    """Be a worker process, until SIGTERM or the end of the pipe ``supervisor_lives``.

    Args:
        found: The stores, as the start found them.
        drain: What the supervisor says of it.
        says: Where it says that it is ready, and then every ``BEAT_S`` that its event loop turns.

    Raises:
        SettingsError: Something stands in the way of its start.
        Unavailable: So does the database.
    """
    import uvloop  # noqa: PLC0415 - loaded after the fork: a loop belongs to one process

    return uvloop.run(_listen(part, settings, found, drain, says=says, supervisor_lives=supervisor_lives))


async def _listen(
    part: Part, settings: Settings, found: Admitted, drain: Drain, *, says: int, supervisor_lives: int
) -> int:
    files = Pool("sendfile", settings.server.transfer_threads)
    background: Background | GuestsApart
    images, guests = None, None
    if part is Part.JOBS:
        background = Background(settings, found, runs_jobs=True)
    elif part is Part.GUESTS:
        background = apart = GuestsApart(settings, lambda: drain.reason)
        guests = apart.guests
    else:
        background = application = Application(settings, found, lambda: drain.reason)
        images = application.image_listener
        guests = application.guests if part is Part.ALL else None
    certificates: dict[str, Certificate | None] = {}
    if images is not None:
        certificates["images"] = open_certificate(settings.server.tls, "server.tls")
    if guests is not None:
        certificates["metadata"] = open_certificate(settings.server.metadata_tls, "server.metadata_tls")
    listeners = _listeners(images, guests, settings, certificates, files)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(supervisor_lives, stop.set)
    house = asyncio.create_task(background.work())
    beating = asyncio.create_task(_beat(says))
    looking = Pool("certificates", 1)
    watching = [
        asyncio.create_task(each.watch(looking, partial(background.metrics.days_left, name)))
        for name, each in certificates.items()
        if each is not None
    ]
    # What is there now stays: no search for garbage has to look through it, with all requests standing still.
    gc.freeze()
    for listener in listeners:
        listener.start()
    _say(says, READY)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, house, beating], return_when=asyncio.FIRST_COMPLETED)
    failed = not stop.is_set()
    if house.done():
        _log.error("the work beside the requests has ended: this worker ends too", exc_info=house.exception())
    background.stop()
    loop.remove_reader(supervisor_lives)
    for listener in listeners:
        listener.stop()
    ending = [asyncio.create_task(listener.stopped()) for listener in listeners]
    cut_off = (await asyncio.wait(ending, timeout=settings.server.stop_timeout_s))[1] if ending else set()
    house.cancel()  # not before: uploads in flight need their leases renewed
    for task in (beating, *watching):
        task.cancel()
    if cut_off:
        # The end of the loop would wait for these requests, and so for their clients. What they leave is cleared later.
        _log.warning("stopped before all requests had ended", extra={"timeout_s": settings.server.stop_timeout_s})
        sys.stderr.flush()
        os._exit(1 if failed else 0)
    background.close()
    files.close()
    looking.close()
    return 1 if failed else 0


def _listeners(
    images: ASGIApp | None,
    guests: GuestListeners | None,
    settings: Settings,
    certificates: Mapping[str, Certificate | None],
    files: Pool,
) -> list[Listener | NetworkListener]:
    tls = {name: None if each is None else each.context for name, each in certificates.items()}
    server = settings.server
    places: list[tuple[ASGIApp, str, str, str]] = []
    if images is not None:
        places.append((images, "images", "bind", server.bind))
    if guests is not None:
        places.append((guests.metadata, "metadata", "metadata_bind", server.metadata_bind))
    networks = {} if guests is None else guests.networks
    limit = connections_limit(max(1, len(places) + len(networks)))
    listeners: list[Listener | NetworkListener] = []
    for app, name, key, bind in places:
        try:
            listeners.append(Listener(app, listening(*address(bind)), files, limit=limit, tls=tls[name]))
        except OSError as error:
            raise PortTaken("server", key, bind, error) from error
    return listeners + [
        NetworkListener(app, name, settings.metadata.networks[name], files, limit=limit, tls=tls["metadata"])
        for name, app in networks.items()
    ]


async def _beat(says: int) -> None:
    while True:
        _say(says, TURNS)
        await asyncio.sleep(BEAT_S)


def _say(says: int, word: bytes) -> None:
    with contextlib.suppress(OSError):  # the supervisor is gone, or stands still and has not read for long
        os.write(says, word)
