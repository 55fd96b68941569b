"""Which authenticators there are: settings in, the one that they name out."""

from __future__ import annotations

from headwater.errors import SettingsError
from headwater.identity.authenticator import Authenticator
from headwater.identity.none import NoProof
from headwater.identity.settings import AuthSettings


def open_authenticator(settings: AuthSettings) -> Authenticator:
    """Return what proves who calls.

    Raises:
        SettingsError: It cannot work with these settings. Keystone is not asked yet: it may start later.
    """
    # Their libraries take a while to import, and each mode needs only its own.
    if settings.mode == "keystone":
        from headwater.identity.keystone import KeystoneTokens  # noqa: PLC0415

        return KeystoneTokens(settings.keystone)
    if settings.mode == "basic":
        from headwater.identity.basic import HtpasswdUsers  # noqa: PLC0415

        if settings.htpasswd_file is None:
            raise SettingsError("section [auth], key 'htpasswd_file' is missing: mode \"basic\" reads its users there")
        return HtpasswdUsers(settings.htpasswd_file)
    return NoProof()
