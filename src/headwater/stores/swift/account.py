"""Who asks Swift: a session that gets itself tokens, and connections, each used by one thread at a time."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from keystoneauth1.exceptions import CatalogException
from keystoneauth1.identity import v3
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session
from pydantic import SecretStr
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as RequestsConnectionError
from swiftclient.authv1 import PasswordPlugin
from swiftclient.client import ClientException, Connection
from urllib3.exceptions import ProtocolError

from headwater import __version__
from headwater.stores.store import StoreUnavailable
from headwater.stores.swift.settings import SwiftStoreSettings

_CONNECTIONS = 64  # kept open for the next call; more may be open at the same time


class SwiftRefused(StoreUnavailable):
    """Swift or Keystone refuses what it is asked, and will until a setting changes, here or there."""

    may_pass = may_pass_later = False


class Account:
    """The account that the settings name; safe to use from several threads."""

    def __init__(self, store: str, settings: SwiftStoreSettings) -> None:
        """Prepare; nothing is asked yet."""
        self._store, self._settings = store, settings
        self._lock = threading.Lock()
        self._process = 0
        self._session: Session | None = None
        self._free: list[Connection] = []

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a connection for one call; one in the middle of something is not used again."""
        connection = self.taken()
        try:
            yield connection
        except ClientException as error:
            # After these Swift may take what still comes for the next request.
            if error.http_status is None or error.http_status in (408, 413, 499) or error.http_status >= 500:
                connection.close()
            else:
                self.give_back(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self.give_back(connection)

    def taken(self) -> Connection:
        """Return a connection for the caller alone, who gives it back, or closes it."""
        with self._lock:
            self._begin_anew_after_a_fork()
            if self._free:
                return self._free.pop()
        session = self._begun()
        settings = self._settings
        self.url()  # what the catalogue lacks is told here
        return DirectConnection(
            session=session,
            os_options={
                "object_storage_url": settings.storage_url,
                "endpoint_type": settings.interface,
                "region_name": settings.region,
            },
            retries=0,  # layers repeat calls; a token that is refused is replaced once all the same
            starting_backoff=0,
            cacert=None if settings.cafile is None else str(settings.cafile),
            timeout=settings.timeout_s,
        )

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next call."""
        with self._lock:
            if self._process == os.getpid() and len(self._free) < _CONNECTIONS:
                self._free.append(connection)
                return
        connection.close()

    def url(self) -> str:
        """Return the address of the account.

        Raises:
            SwiftRefused: Keystone's catalogue has none.
        """
        settings = self._settings
        if settings.storage_url is not None:
            return settings.storage_url
        url: str | None = None
        with contextlib.suppress(CatalogException):
            url = self._begun().get_endpoint(
                service_type="object-store", interface=settings.interface, region_name=settings.region
            )
        if not url:
            where = f"the region {settings.region}" if settings.region else "any region"
            reason = f"Keystone's catalogue has no {settings.interface} address of an object-store in {where}"
            raise SwiftRefused(self._store, f"{reason}: see 'region', 'interface' and 'storage_url'")
        return url.rstrip("/")

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            self._begin_anew_after_a_fork()
            free, self._free = self._free, []
        for each in free:
            each.close()

    def _begin_anew_after_a_fork(self) -> None:
        """Leave what another process opened to it."""
        if self._process != os.getpid():
            self._process, self._session, self._free = os.getpid(), None, []

    def _begun(self) -> Session:
        settings = self._settings
        with self._lock:
            self._begin_anew_after_a_fork()
            if self._session is None:
                if settings.cafile is not None and not settings.cafile.is_file():
                    reason = f"there is no file {settings.cafile}, which 'cafile' names"
                    raise SwiftRefused(self._store, reason)
                self._session = Session(
                    auth=_proof(settings),
                    verify=True if settings.cafile is None else str(settings.cafile),
                    timeout=settings.timeout_s,
                    app_name="headwater",
                    app_version=__version__,
                )
            return self._session


class DirectConnection(Connection):  # type: ignore[misc]  # swiftclient has no types
    """A connection that follows no redirect: it would carry the token along to wherever it leads."""

    def http_connection(self) -> tuple[Any, Any]:
        url, connection = super().http_connection()
        connection.requests_args["allow_redirects"] = False
        for scheme in ("http://", "https://"):
            connection.request_session.mount(scheme, _OnceMore())
        return url, connection


class _OnceMore(HTTPAdapter):
    """Makes a request once more whose connection was given up by the server, as idle ones are when one is used again.

    Not one whose body is streamed, of which a part is gone: before each segment the container is asked for, so what
    would fail so has failed already.
    """

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        try:
            return super().send(request, *args, **kwargs)
        except RequestsConnectionError as error:
            is_whole = request.body is None or isinstance(request.body, (bytes, str))
            if not is_whole or not any(isinstance(each, ProtocolError) for each in error.args):
                raise
            return super().send(request, *args, **kwargs)


def _proof(settings: SwiftStoreSettings) -> BaseIdentityPlugin:
    if settings.auth == "v1":
        v1: BaseIdentityPlugin = PasswordPlugin(settings.auth_url, settings.username, _secret(settings.password))
        return v1
    auth_url = settings.auth_url if settings.auth_url.endswith("/v3") else f"{settings.auth_url}/v3"
    if settings.application_credential_id is not None:
        return v3.ApplicationCredential(
            auth_url=auth_url,
            application_credential_id=settings.application_credential_id,
            application_credential_secret=_secret(settings.application_credential_secret),
        )
    return v3.Password(
        auth_url=auth_url,
        username=settings.username,
        password=_secret(settings.password),
        user_domain_name=settings.user_domain_name,
        project_name=settings.project_name,
        project_domain_name=settings.project_domain_name,
    )


def _secret(value: SecretStr | None) -> str:
    return "" if value is None else value.get_secret_value()
