"""All settings of Headwater: the sections, put together."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from headwater.activity.audit_file import AuditSettings
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.config import Section
from headwater.database import connecting
from headwater.fetching.fetcher import FetchSettings
from headwater.identity.settings import AuthSettings, PolicySettings
from headwater.images.cache.settings import CacheSettings
from headwater.images.imports.plugins.settings import ImportPluginsSettings
from headwater.images.quotas.limits import QuotasSettings
from headwater.images.retention.settings import RetentionSettings
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.settings import SignaturesSettings
from headwater.instances.callers.settings import NetworkSettings
from headwater.instances.settings import MetadataSettings
from headwater.instances.user_data.cloud_config.settings import UserDataSettings
from headwater.jobs.settings import JobsSettings
from headwater.server.edge.certificates import TlsSettings
from headwater.server.middleware.cors import CorsSettings
from headwater.server.middleware.forwarded import trusting
from headwater.stores.file import FileStoreSettings
from headwater.stores.registry import StoreSection
from headwater.streams.settings import StreamsSettings


class ServerSettings(Section):
    """Section ``[server]``."""

    bind: Annotated[str, Field(description="HOST:PORT of the image API and the streams.")] = "127.0.0.1:9292"
    metadata_bind: Annotated[str, Field(description="HOST:PORT of the instance metadata.")] = "127.0.0.1:8775"
    tls: TlsSettings = TlsSettings()
    metadata_tls: TlsSettings = TlsSettings()
    public_endpoint: Annotated[
        str | None,
        Field(
            description="URL of the image API as clients see it, where a proxy stands before it. "
            "Default: what each request names.",
            pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Field(
            description="Addresses and networks of proxies before the image API. Their Forwarded and X-Forwarded "
            "headers say what clients asked for and where they are; those of all others are ignored."
        ),
    ] = ()
    metadata_trusted_proxies: Annotated[
        tuple[str, ...],
        Field(
            description="The same for the instance metadata, where they say which instance asks: no guest may have "
            "one of these addresses."
        ),
    ] = ()
    workers: Annotated[
        int | None, Field(description="Worker processes. Default: one for each processor, 4 at most.", ge=1, le=256)
    ] = None
    guest_workers: Annotated[
        int,
        Field(
            description="Worker processes that answer guests and do nothing else, so that no work on images delays a "
            "guest. 0: each worker does both.",
            ge=0,
            le=256,
        ),
    ] = 0
    stop_timeout_s: Annotated[
        int, Field(description="How long a stop waits for requests in flight, in seconds.", ge=0, le=86400)
    ] = 60
    drain_file: Annotated[
        Path | None,
        Field(
            description="While there is a file of this name, /healthcheck/ready is 503, so that load balancers send "
            "nothing more; all that comes is served."
        ),
    ] = None
    drain_s: Annotated[
        int,
        Field(
            description="For how long /healthcheck/ready is 503 before a stop begins, in seconds: time enough for load "
            "balancers to notice.",
            ge=0,
            le=3600,
        ),
    ] = 0
    worker_timeout_s: Annotated[
        int,
        Field(
            description="A worker that stands still for so long is killed and replaced, in seconds; 0: none is.",
            ge=0,
            le=86400,
        ),
    ] = 30
    catalogue_threads: Annotated[
        int,
        Field(
            description="Threads of one worker that call the catalogue for images, and as many for instance metadata.",
            ge=1,
            le=256,
        ),
    ] = 8
    transfer_threads: Annotated[
        int, Field(description="Threads of one worker that move image data.", ge=2, le=1024)
    ] = 32
    identity_threads: Annotated[
        int, Field(description="Threads of one worker that wait for Keystone or check passwords.", ge=1, le=256)
    ] = 8

    web_threads: Annotated[
        int,
        Field(
            description="Threads of one worker that wait for web servers of others in requests.",
            ge=1,
            le=1024,
        ),
    ] = 16

    @property
    def metadata_url(self) -> str:
        """Where the instance metadata is, without a slash at the end."""
        return f"{self.metadata_tls.scheme}://{self.metadata_bind}"

    @field_validator("bind", "metadata_bind")
    @classmethod
    def _address(cls, value: str) -> str:
        address(value)
        return value

    @field_validator("trusted_proxies", "metadata_trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                trusting([each])
            except ValueError as error:
                raise ValueError(
                    f"{each!r} is neither an address nor a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8: {error}"
                ) from None
        return value


class DatabaseSettings(Section):
    """Section ``[database]``."""

    url: Annotated[
        str | None,
        Field(
            description="sqlite:///FILE, postgresql://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME. "
            "Default: DATA_DIR/headwater.db.",
            json_schema_extra={"secret": True},
        ),
    ] = None

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: str | None) -> str | None:
        if url is not None:
            connecting.read(url)
        return url


class LogSettings(Section):
    """Section ``[log]``."""

    format: Annotated[Literal["json", "text"], Field(description='"json": one object a line; "text": for people.')] = (
        "json"
    )
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least level that is written.")
    ] = "info"


class Settings(Section):
    """Everything that can be set; each section stands beside the code that it configures."""

    data_dir: Annotated[
        Path, Field(description="Directory of what Headwater keeps itself: the SQLite catalogue, file stores.")
    ] = Path("data")
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    stores: Annotated[
        dict[str, StoreSection], Field(description="Where image bytes lie: one table for each store.", min_length=1)
    ] = {"file": FileStoreSettings()}  # noqa: RUF012 - pydantic copies it for each Settings
    fetch: FetchSettings = FetchSettings()
    images: ImagesSettings = ImagesSettings()
    cache: CacheSettings = CacheSettings()
    import_plugins: ImportPluginsSettings = ImportPluginsSettings()
    jobs: JobsSettings = JobsSettings()
    signatures: SignaturesSettings = SignaturesSettings()
    quotas: QuotasSettings = QuotasSettings()
    retention: RetentionSettings = RetentionSettings()
    streams: StreamsSettings = StreamsSettings()
    metadata: MetadataSettings = MetadataSettings()
    user_data: UserDataSettings = UserDataSettings()
    auth: AuthSettings = AuthSettings()
    policy: PolicySettings = PolicySettings()
    cors: CorsSettings = CorsSettings()
    log: LogSettings = LogSettings()
    audit: AuditSettings = AuditSettings()
    notifications: NotificationsSettings = NotificationsSettings()

    @field_validator("stores", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        for name in value if isinstance(value, dict) else ():
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", str(name)):
                raise ValueError(f"a store's name is letters, digits, '-' and '_', not {name!r}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        for key, name in (("store", self.images.store), ("staging_store", self.images.staging_store)):
            if name is not None and name not in self.stores:
                raise ValueError(
                    f"section [images], key {key!r}: there is no store {name!r}; [stores] has {', '.join(self.stores)}"
                )
        self._require_askable_barbican()
        self._require_writing_store()
        self._require_converted_uploads()
        self._require_one_who_tells()
        self._require_token_to_send()
        alone = self.alone
        if alone is not None and self.workers > 1:
            raise ValueError(
                f"a store of type \"{alone}\" lives in one process: set section [server], key 'workers' to 1"
            )
        if alone is not None and not self.jobs.in_service:
            raise ValueError(
                f"a store of type \"{alone}\" lives in one process: set section [jobs], key 'in_service' to true"
            )
        if self.metadata.faults and (self.server.guest_workers or self.workers) > 1:
            raise ValueError(
                "section [metadata], key 'faults': faults are counted in one process: set section [server], "
                "key 'guest_workers' or 'workers' to 1"
            )
        if self.auth.mode == "none" and not self.auth.allow_none_beyond_loopback and not _is_loopback(self.server.bind):
            raise ValueError(
                f"section [server], key 'bind' is {self.server.bind}, where others reach it, and section [auth], "
                "key 'mode' is \"none\": whoever reaches it could do everything. "
                'Set mode to "basic" or "keystone", or allow_none_beyond_loopback to true'
            )
        if self.quotas.use_keystone_limits and self.auth.mode != "keystone":
            raise ValueError(
                "section [quotas], key 'use_keystone_limits' is true, and section [auth], key 'mode' is not "
                '"keystone": only Keystone\'s projects have limits there'
            )
        if "glance-download" in self.images.import_methods and self.auth.mode != "keystone":
            raise ValueError(
                "section [images], key 'import_methods' has glance-download, and section [auth], key 'mode' is not "
                "\"keystone\": other regions are asked with the caller's token, and found in Keystone's catalogue"
            )
        return self

    def _require_askable_barbican(self) -> None:
        if self.signatures.certificates != "barbican":
            return
        absent = ", ".join(self.auth.keystone.lacks)
        if absent and self.signatures.barbican.endpoint is None:
            raise ValueError(
                f"section [auth.keystone] lacks {absent}, and section [signatures.barbican] has no 'endpoint': "
                "give that, or let Barbican be found in Keystone's catalogue"
            )
        if self.signatures.barbican.ask_as == "caller" and self.auth.mode != "keystone":
            raise ValueError(
                "section [signatures.barbican], key 'ask_as' is \"caller\", and no caller has a token, as section "
                '[auth], key \'mode\' is not "keystone"; set ask_as to "service"'
            )
        if absent and self.signatures.barbican.ask_as == "service":
            raise ValueError(
                f"section [auth.keystone] lacks {absent}: section [signatures.barbican], "
                "key 'ask_as' is \"service\", so that Barbican is asked as that user"
            )

    def _require_converted_uploads(self) -> None:
        if not self.import_plugins.image_conversion.uploads:
            return
        if "image_conversion" not in self.import_plugins.use:
            raise ValueError(
                "section [import_plugins.image_conversion], key 'uploads' is true, and section [import_plugins], "
                "key 'use' lacks image_conversion: add it there"
            )
        if "glance-direct" not in self.images.import_methods:
            raise ValueError(
                "section [import_plugins.image_conversion], key 'uploads' is true, and section [images], "
                "key 'import_methods' lacks glance-direct, by which uploads are imported: add it there"
            )

    def _require_one_who_tells(self) -> None:
        try:
            trusting(self.metadata.neutron.agents)
        except ValueError as error:
            raise ValueError(f"section [metadata.neutron], key 'agents': {error}") from None
        for name, network in self.metadata.networks.items():
            self._require_network(name, network)
        if self.metadata.neutron.providers and not self.metadata.neutron.shared_secrets:
            raise ValueError(
                "section [metadata.neutron], key 'providers' has load balancers, and key 'shared_secrets' is empty: "
                "anybody could speak for them; give the secret that they sign with"
            )
        if self.metadata.neutron.shared_secrets and self.server.metadata_trusted_proxies:
            raise ValueError(
                "section [metadata.neutron], key 'shared_secrets' lets agents say who asks, and section [server], key "
                "'metadata_trusted_proxies' lets proxies say it; leave one of them out"
            )

    def _require_token_to_send(self) -> None:
        absent = ", ".join(self.auth.keystone.lacks)
        if absent and self.metadata.vendor_data.send_token:
            raise ValueError(
                f"section [auth.keystone] lacks {absent}: section [metadata.vendor_data], key 'send_token' is true, so "
                "that services are shown a token of that user"
            )

    @staticmethod
    def _require_network(name: str, network: NetworkSettings) -> None:
        section = f"section [metadata.networks.{name}]"
        try:
            host, _ = address(network.bind)
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(
                f"{section}, key 'bind': {network.bind!r} is not ADDRESS:PORT, such as 10.0.0.1:80 or [fe80::1%br0]:80"
            ) from None
        try:
            trusting(network.trusted_proxies)
        except ValueError as error:
            raise ValueError(f"{section}, key 'trusted_proxies': {error}") from None

    def _require_writing_store(self) -> None:
        writing = [name for name, store in self.stores.items() if store.abilities.writes]
        if not writing:
            raise ValueError('section [stores]: no store takes uploads; add one with type = "file"')
        for key, name in (("store", self.images.store), ("staging_store", self.images.staging_store)):
            if name is not None and name not in writing:
                raise ValueError(
                    f"section [images], key {key!r}: the store {name!r} takes no uploads; "
                    f"give one of {', '.join(writing)}"
                )

    @property
    def alone(self) -> str | None:
        """The type of a store that lives in one process, if there is one."""
        return next((store.type for store in self.stores.values() if not store.abilities.shared_by_processes), None)

    @property
    def workers(self) -> int:
        """How many worker processes to run."""
        return self.server.workers or _processors()

    @property
    def image_url(self) -> str:
        """The URL of the image API, as it is known without a request."""
        return self.server.public_endpoint or f"{self.server.tls.scheme}://{self.server.bind}"

    @property
    def database_url(self) -> str:
        """The catalogue's URL."""
        return self.database.url or f"sqlite:///{self.data_dir / 'headwater.db'}"

    @property
    def directories(self) -> tuple[Path, ...]:
        """The directories that are given for stores."""
        return tuple(store.directory for store in self.stores.values() if store.directory is not None)


def address(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT`` (``[HOST]:PORT`` for IPv6).

    Raises:
        ValueError: It is not of this form.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+(?:%[^\s/\]]{1,15})?)\]|([^:\[\]]+)):([0-9]{1,5})", text)
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:9292 or [::1]:9292")
    return match[1] or match[2], int(match[3])


def _is_loopback(bind: str) -> bool:
    host, _ = address(bind)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _processors() -> int:
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
