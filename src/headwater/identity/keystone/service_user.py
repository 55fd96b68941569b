"""Headwater's own user in Keystone, as which it asks other services."""

from __future__ import annotations

from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from pydantic import SecretStr

from headwater import __version__
from headwater.errors import SettingsError
from headwater.identity.settings import KeystoneUser


def service_session(settings: KeystoneUser, *, system: bool = False, with_catalogue: bool = False) -> Session:
    """Return a session that gets itself a new token when its own has expired; nothing is asked yet.

    Args:
        system: Work with the user's roles on the system, not with those in its project. An application credential is
            good for its project alone, and works with the roles there.
        with_catalogue: Have Keystone tell where other services are.

    Raises:
        SettingsError: ``cafile`` cannot be read.
    """
    if settings.cafile is not None and not settings.cafile.is_file():
        raise SettingsError(f"section [auth.keystone], key 'cafile': there is no file {settings.cafile}")
    return Session(
        auth=_proof(settings, system=system, with_catalogue=with_catalogue),
        verify=str(settings.cafile) if settings.cafile is not None else not settings.insecure,
        timeout=settings.timeout_s,
        app_name="headwater",
        app_version=__version__,
    )


def _proof(settings: KeystoneUser, *, system: bool, with_catalogue: bool) -> v3.Auth:
    if settings.has_application_credential:
        by_name = settings.application_credential_name is not None
        return v3.ApplicationCredential(
            auth_url=settings.v3_url,
            application_credential_id=settings.application_credential_id,
            application_credential_name=settings.application_credential_name,
            application_credential_secret=_secret(settings.application_credential_secret),
            username=settings.username,
            user_domain_name=settings.user_domain_name if by_name else None,
            include_catalog=with_catalogue,
        )
    return v3.Password(
        auth_url=settings.v3_url,
        username=settings.username,
        password=_secret(settings.password),
        user_domain_name=settings.user_domain_name,
        project_name=None if system else settings.project_name,
        project_domain_name=None if system else settings.project_domain_name,
        system_scope="all" if system else None,
        include_catalog=with_catalogue,
    )


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""
