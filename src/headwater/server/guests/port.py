"""What answers guests, put together: for the metadata port, and for one machine on a channel of its own."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from headwater.clock import now
from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.http.threads import InThread
from headwater.identity.settings import KeystoneSettings
from headwater.instances import http as instances_http
from headwater.instances.answering import Elsewhere
from headwater.instances.boot_log.recording import BootLog, Recorded
from headwater.instances.boot_log.rows import VisitRows
from headwater.instances.callers.signed import Signed
from headwater.instances.identity.keys import KeyRows, Keys
from headwater.instances.identity.tokens import IdentityTokens
from headwater.instances.password.rows import PasswordRows
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sealing import seal_of
from headwater.instances.serving.faults import Faulty
from headwater.instances.serving.limits import Limits
from headwater.instances.serving.waiting import TURN_S, Changes
from headwater.instances.settings import MetadataSettings
from headwater.instances.snapshots.kept import Snapshots
from headwater.instances.tokens.secrets import SecretRows, Secrets
from headwater.instances.tokens.tokens import Tokens
from headwater.instances.vendor_data import opening, static
from headwater.instances.vendor_data.static import Static
from headwater.loops import Loop
from headwater.server.guests.hosts import KnownHosts
from headwater.server.metrics import Metrics

_log = logging.getLogger(__name__)

_WRITES_EVERY_S = 1.0


def require_open_secrets(settings: MetadataSettings, database: Database) -> None:
    """Return when what signs for guests can be used; the key that seals it is made, if it is to be.

    Raises:
        SettingsError: The file of keys is no good.
        SealUnknown: The catalogue keeps something that another key has sealed.
    """
    seal = seal_of(settings.key_file, database.file)
    KeyRows(database, seal=seal).require_open()
    SecretRows(database, seal=seal).require_open()


class Port:
    """An ASGI application, ``app``, and the work beside it."""

    def __init__(
        self,
        database: Database,
        settings: MetadataSettings,
        in_thread: InThread,
        *,
        issuer: str,
        keystone: KeystoneSettings,
        metrics: Metrics,
        only: str | None = None,
        signed: Signed | None = None,
        elsewhere: Callable[[MetadataSettings, Callable[[], Static]], Elsewhere | None] = lambda _, _told: None,
        drained: Callable[[], object] = lambda: None,
    ) -> None:
        """Put it together.

        Args:
            issuer: The URL of the image API, below which the keys of identities are, where the settings name no other.
            keystone: As whom services are asked about instances, where they want to know.
            metrics: Count what these answer.
            only, signed: As of ``http.application``.
            elsewhere: Returns who knows of instances that are not registered, if somebody does; it is given what
                returns the vendor data of instances that have none of their own.
            drained: Says, with anything that is true, that nobody should wait for a change any more.

        Raises:
            SettingsError: The file of vendor data, that of keys, or one of certificates, is no good.
        """
        seal = seal_of(settings.key_file, database.file)
        file = static.opened(settings.vendor_data.file)
        told = file.value if file else lambda: static.NOTHING
        self._vendor_data = opening.answers(settings.vendor_data, keystone, metrics)
        instances = InstanceRows(database)
        self._changes = Changes(instances.editions.revisions, drained)
        self._boot_log = BootLog(VisitRows(database))
        issued_by = (settings.identity.issuer or issuer).rstrip("/")
        self.identity = IdentityTokens(Keys(KeyRows(database, seal=seal)), issued_by, lambda: now() // 1_000_000)
        documents = instances_http.application(
            Snapshots(instances, region=settings.region, static=told),
            in_thread,
            tokens=Tokens(Secrets(SecretRows(database, seal=seal)), lambda: now() // 1_000_000),
            passwords=PasswordRows(database),
            only=only,
            signed=signed,
            elsewhere=elsewhere(settings, told),
            identity=self.identity,
            limits=Limits(settings.rate, settings.burst, time.monotonic),
            changes=self._changes,
            vendor_data=self._vendor_data,
        )
        if settings.hosts and only is None:
            documents = KnownHosts(documents, settings.hosts, agents_ask=signed is not None)
        if settings.faults:
            _log.warning("guests get faults on purpose, as section [metadata], key 'faults' says")
            documents = Faulty(documents, list(settings.faults.values()))
        self.app = Recorded(documents, self._boot_log, now)
        self.loops = (
            Loop("who waits for a change was not told of one", self._changes.look, TURN_S),
            Loop("what guests fetched was not written down", self._boot_log.write, _WRITES_EVERY_S),
        )

    def stop(self) -> None:
        """Let no request wait for a change any more."""
        self._changes.stop()

    def close(self) -> None:
        """Write what was noted, after the last request, and ask no more."""
        if self._vendor_data is not None:
            self._vendor_data.close()
        with contextlib.suppress(Unavailable):
            self._boot_log.write()
