"""Let stores be admitted before the workers start, in a process of its own.

A store that hangs leaves a thread behind that waits for it, perhaps for ever. This process forks its workers, and what
is forked while threads run may hold locks that nobody opens. So the threads are another process's, which ends with
them; where even that waits for the kernel, nobody waits for it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import sys
import time
from dataclasses import asdict
from typing import Any, NoReturn

from headwater.database.engine import Database
from headwater.errors import HeadwaterError, SettingsError, Unavailable
from headwater.fetching.fetcher import Fetcher
from headwater.images.data.admission import WAIT_S, Admission, Admitted
from headwater.server.data_dir import tell_of_open
from headwater.server.settings import Settings
from headwater.stores.registry import open_stores
from headwater.stores.store_type import Surroundings

_ENDS_S = 60.0  # longer than the process takes whose stores do not answer: the database may be slow

_log = logging.getLogger(__name__)


def admitted(settings: Settings) -> Admitted:
    """Return the stores as they were found.

    Raises:
        SettingsError: See ``Admission.admit``.
        Unavailable: The catalogue does not work.
    """
    heard, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        _ask(settings, says)
    os.close(says)
    try:
        said = _hear(heard)
    finally:
        os.close(heard)
        _end(pid)
    match said:
        case {"identities": identities, "down": down}:
            return Admitted(identities, down)
        case {"refused": reason}:
            raise SettingsError(reason)
        case {"unavailable": reason}:
            raise Unavailable(reason)
    raise Unavailable("the stores could not be looked at; the log has more")


def _ask(settings: Settings, says: int) -> NoReturn:
    """Be the process that asks the stores."""
    said: dict[str, Any] = {}
    try:
        database = Database(settings.database_url)
        tell_of_open(settings.directories)
        stores = open_stores(settings.stores, Surroundings(settings.data_dir, Fetcher(settings.fetch)))
        said = asdict(Admission(database).admit(stores))
        database.close()
    except SettingsError as error:
        said = {"refused": str(error)}
    except HeadwaterError as error:
        said = {"unavailable": str(error)}
    except Exception:  # noqa: BLE001 - the process ends here; the log keeps why
        _log.exception("the stores could not be looked at")
    finally:
        with contextlib.suppress(OSError):  # who asked is gone
            os.write(says, f"{json.dumps(said)}\n".encode())
        sys.stderr.flush()
        os._exit(0)


def _hear(heard: int) -> Any:
    """Return what the process says in its one line: its end may never come."""
    line, until = b"", time.monotonic() + WAIT_S + _ENDS_S
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([heard], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(heard, 65536) if ready else b""
        if not piece:
            return None
        line += piece
    return json.loads(line)


def _end(pid: int) -> None:
    """End the process; one that waits for the kernel stays behind until that answers."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for _ in range(100):
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            return
        time.sleep(0.01)
