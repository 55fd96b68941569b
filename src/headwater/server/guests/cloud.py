"""The instances of a cloud, put together: what answers their guests, and the work beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.http.threads import InThread
from headwater.instances.password.rows import OF_CLOUD, PasswordRows
from headwater.instances.sealing import seal_of
from headwater.instances.settings import MetadataSettings
from headwater.instances.sources.openstack.cloud import Cloud
from headwater.instances.sources.openstack.guests import CloudGuests
from headwater.instances.sources.openstack.house import CloudHouse
from headwater.instances.sources.openstack.machines import Machines
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.vendor_data.static import Static
from headwater.loops import Loop
from headwater.server.metrics import Metrics

_WRITES_EVERY_S: Final = 0.2  # others wait for it
_HOUSE_EVERY_S: Final = 60.0
_MINUTE_S: Final = 60.0


class KnownByCloud:
    """Who knows of the instances of a cloud, ``guests``, for one worker, and what is kept of them, ``rows``."""

    def __init__(
        self,
        database: Database,
        settings: MetadataSettings,
        in_thread: InThread,
        recall_in: InThread,
        metrics: Metrics,
        *,
        static: Callable[[], Static],
    ) -> None:
        """Put it together; the cloud is not asked yet.

        Args:
            in_thread, recall_in, static: As of ``CloudGuests``.
            metrics: Count how answers were had.

        Raises:
            SettingsError: ``cafile``, or the file of keys, cannot be read.
        """
        cloud = Cloud(settings.openstack)
        self.rows = rows = CloudRows(database, seal=seal_of(settings.key_file, database.file))
        passwords = PasswordRows(database, of=OF_CLOUD)
        self._machines = Machines(cloud, rows, passwords, fresh_s=settings.openstack.refresh_s)
        self.guests = CloudGuests(
            self._machines,
            settings.openstack,
            in_thread,
            metrics,
            recall_in=recall_in,
            region=settings.region,
            static=static,
        )
        self.keeping = Loop("what the cloud said was not kept", self._machines.write, _WRITES_EVERY_S)
        self.loops = (
            self.keeping,
            Loop("machines that the cloud lost were not looked for", CloudHouse(cloud, rows).keep, _HOUSE_EVERY_S),
            Loop("ages of answers were not reset", metrics.begin_minute, _MINUTE_S, asks_database=False),
        )

    def close(self) -> None:
        """Write what the cloud has said, after the last request."""
        with contextlib.suppress(Unavailable):
            self._machines.write()
