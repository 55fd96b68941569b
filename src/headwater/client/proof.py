"""How a command proves who calls: as OpenStack's own clients do, from the variables that begin with ``OS_``."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from headwater import __version__
from headwater.errors import HeadwaterError, SettingsError

DEFAULT_URL = "http://127.0.0.1:9292"


class NotProved(HeadwaterError):
    """Keystone gives no token, or does not know the image service."""

    def __init__(self, auth_url: str, reason: str) -> None:
        super().__init__(f"Keystone at {auth_url}: {reason}")
        self.auth_url = auth_url


class Proof(Protocol):
    """Says who calls, in the head of each request."""

    def headers(self) -> Mapping[str, str]:
        """Return the fields that prove it."""

    def renew(self) -> bool:
        """Forget what was refused; return whether ``headers`` may have something else now."""

    def project(self) -> str | None:
        """Return the id of the project that calls, if anything tells it."""


class Fixed:
    """The same fields for each request."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def headers(self) -> Mapping[str, str]:
        return self._headers

    def renew(self) -> bool:
        return False

    def project(self) -> None:
        """Return ``None``: nobody tells."""


class Keystone:
    """A token of Keystone, and another one when it has expired."""

    def __init__(self, session: Session, auth_url: str) -> None:
        self._session, self._auth_url = session, auth_url

    def headers(self) -> Mapping[str, str]:
        try:
            return {"X-Auth-Token": self._session.get_token() or ""}
        except exceptions.ClientException as error:
            raise NotProved(self._auth_url, str(error)) from error

    def renew(self) -> bool:
        self._session.invalidate()
        return True  # also where another thread was first to forget it, which `invalidate` does not tell

    def project(self) -> str | None:
        try:
            found = self._session.get_project_id()
        except exceptions.ClientException as error:
            raise NotProved(self._auth_url, str(error)) from error
        return None if found is None else str(found)

    def endpoint(self, interface: str, region: str | None) -> str:
        """Return the URL of the image service that Keystone knows."""
        try:
            found = self._session.get_endpoint(service_type="image", interface=interface, region_name=region)
        except exceptions.ClientException as error:
            raise NotProved(self._auth_url, str(error)) from error
        if not found:
            raise NotProved(self._auth_url, f"it knows no image service for {interface} use; name its --url")
        return str(found)

    def document_of(self, service_type: str, path: str, interface: str, region: str | None) -> Any:
        """Return the JSON document that another service of the cloud answers with.

        Raises:
            NotProved: There is no such service, or it does not answer this.
        """
        where = {"service_type": service_type, "interface": interface, "region_name": region}
        try:
            return self._session.get(path, endpoint_filter=where, headers={"Accept": "application/json"}).json()
        except (exceptions.ClientException, ValueError) as error:
            raise NotProved(self._auth_url, f"the {service_type} service: {error}") from error


def proof_from(environment: Mapping[str, str], url: str | None) -> tuple[str, Proof]:
    """Return where the service is, and how to prove who calls.

    Args:
        environment: ``OS_AUTH_URL`` and its like for Keystone; ``OS_AUTH_TYPE=http_basic`` with a name and a password;
            nothing where nobody has to prove anything.
        url: Of the service, if it was said.

    Raises:
        SettingsError: Something is missing, or in a form that is not read here.
        NotProved: Keystone does not know where the service is.
    """
    kind = environment.get("OS_AUTH_TYPE", "")
    url = url or environment.get("OS_IMAGE_ENDPOINT_OVERRIDE") or environment.get("OS_ENDPOINT")
    if kind == "http_basic":
        user, password = _needed(environment, "OS_USERNAME"), _needed(environment, "OS_PASSWORD")
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        return url or DEFAULT_URL, Fixed({"Authorization": f"Basic {word}"})
    if kind == "admin_token":
        return url or DEFAULT_URL, Fixed({"X-Auth-Token": _needed(environment, "OS_TOKEN")})
    if "OS_AUTH_URL" in environment and kind != "none":
        keystone = Keystone(keystone_session(environment), environment["OS_AUTH_URL"])
        interface = environment.get("OS_INTERFACE", "public")
        return url or keystone.endpoint(interface, environment.get("OS_REGION_NAME")), keystone
    return url or DEFAULT_URL, Fixed({})


def keystone_session(environment: Mapping[str, str]) -> Session:
    """Return what gets tokens of Keystone, as ``OS_AUTH_URL`` and its like say; nothing is asked yet.

    Raises:
        SettingsError: Something is missing, or in a form that is not read here.
    """
    kind = environment.get("OS_AUTH_TYPE", "")
    auth_url = _needed(environment, "OS_AUTH_URL").rstrip("/")
    auth_url = auth_url if auth_url.endswith("/v3") else f"{auth_url}/v3"
    get = environment.get
    project: dict[str, Any] = {
        name: get(f"OS_{name.upper()}")
        for name in ("project_id", "project_name", "project_domain_id", "project_domain_name")
    }
    auth: v3.Auth
    if kind == "v3applicationcredential" or "OS_APPLICATION_CREDENTIAL_ID" in environment:
        auth = v3.ApplicationCredential(
            auth_url=auth_url,
            application_credential_id=_needed(environment, "OS_APPLICATION_CREDENTIAL_ID"),
            application_credential_secret=_needed(environment, "OS_APPLICATION_CREDENTIAL_SECRET"),
        )
    elif kind in ("token", "v3token"):
        auth = v3.Token(auth_url=auth_url, token=_needed(environment, "OS_TOKEN"), **project)
    elif kind in ("", "password", "v3password"):
        auth = v3.Password(
            auth_url=auth_url,
            username=_needed(environment, "OS_USERNAME"),
            password=_needed(environment, "OS_PASSWORD"),
            user_domain_id=get("OS_USER_DOMAIN_ID"),
            user_domain_name=get("OS_USER_DOMAIN_NAME"),
            **project,
        )
    else:
        raise SettingsError(
            f"OS_AUTH_TYPE is {kind[:40]!r}; "
            "it may be none, http_basic, password, token, admin_token or v3applicationcredential"
        )
    verify = get("OS_CACERT") or True
    return Session(auth=auth, verify=verify, timeout=60, app_name="headwater", app_version=__version__)


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise SettingsError(f"{name} is not set: it is needed to prove who calls")
    return value
