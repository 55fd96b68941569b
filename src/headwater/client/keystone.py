"""How a command proves to a cloud who calls: by a token of Keystone.

In a file of its own, as what asks Keystone takes long to load.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from headwater import __version__
from headwater.client.proof import NotProved, needed
from headwater.errors import SettingsError


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


def keystone_session(environment: Mapping[str, str]) -> Session:
    """Return what gets tokens of Keystone, as ``OS_AUTH_URL`` and its like say; nothing is asked yet.

    Raises:
        SettingsError: Something is missing, or in a form that is not read here.
    """
    kind = environment.get("OS_AUTH_TYPE", "")
    auth_url = needed(environment, "OS_AUTH_URL").rstrip("/")
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
            application_credential_id=needed(environment, "OS_APPLICATION_CREDENTIAL_ID"),
            application_credential_secret=needed(environment, "OS_APPLICATION_CREDENTIAL_SECRET"),
        )
    elif kind in ("token", "v3token"):
        auth = v3.Token(auth_url=auth_url, token=needed(environment, "OS_TOKEN"), **project)
    elif kind in ("", "password", "v3password"):
        auth = v3.Password(
            auth_url=auth_url,
            username=needed(environment, "OS_USERNAME"),
            password=needed(environment, "OS_PASSWORD"),
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
