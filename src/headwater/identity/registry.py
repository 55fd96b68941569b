"""Who proves and who judges: settings in, the authenticator and the rules that they name out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headwater.errors import SettingsError
from headwater.identity.authenticator import Authenticator
from headwater.identity.none import NoProof, NoRules
from headwater.identity.policy.rules import Rule
from headwater.identity.settings import AuthSettings, PolicySettings

if TYPE_CHECKING:
    from headwater.identity.policy.engine import Policy


def open_authenticator(settings: AuthSettings) -> Authenticator:
    """Return what proves who calls.

    Raises:
        SettingsError: It cannot work with these settings. Keystone is not asked yet: it may start later.
    """
    # Their libraries take a while to import, and each mode needs only its own.
    if settings.mode == "keystone":
        from headwater.identity.keystone.tokens import KeystoneTokens  # noqa: PLC0415 - only what is used

        return KeystoneTokens(settings.keystone)
    if settings.mode == "basic":
        from headwater.identity.basic import HtpasswdUsers  # noqa: PLC0415 - only what is used

        if settings.htpasswd_file is None:
            raise SettingsError("section [auth], key 'htpasswd_file' is missing: mode \"basic\" reads its users there")
        return HtpasswdUsers(settings.htpasswd_file)
    return NoProof()


def with_passwords(tokens: Authenticator, settings: AuthSettings) -> Authenticator:
    """Return what proves who calls on paths whose clients know passwords only: ``tokens`` itself, unless it takes none.

    Raises:
        SettingsError: It cannot work with these settings.
    """
    if settings.mode != "keystone":
        return tokens
    from headwater.identity.keystone.passwords import KeystonePasswords  # noqa: PLC0415 - only what is used

    return KeystonePasswords(tokens, settings.keystone)


def open_rules(auth: AuthSettings, policy: PolicySettings, builtin: Mapping[str, Rule]) -> Policy | NoRules:
    """Return what decides on what callers may do.

    Args:
        builtin: The rules of all capabilities, by name.

    Raises:
        SettingsError: The policy file cannot be used.
    """
    if auth.mode == "none" and policy.file is None:
        # As the built-in rules would have it; loading what judges them takes a third of the start.
        return NoRules(builtin)
    from headwater.identity.policy.engine import Policy  # noqa: PLC0415 - only what is used

    return Policy(policy, builtin)
