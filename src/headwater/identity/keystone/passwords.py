"""Callers whose clients send HTTP Basic or a bearer token and nothing else: curl, systemd, mirrors, web browsers.

What they send becomes a token of Keystone, and the token says who they are (``tokens.py``):

- ``Authorization: Bearer TOKEN``, or the user ``token`` with the token as the password;
- else the id of an application credential with its secret. It is good for one project and can be revoked alone, which a
  user's password is not, and which Keystone therefore is not asked with.

Keystone is asked once for each credential, and its token kept, under a keyed digest of the credential, as long as an
answer for a token is. What it refuses is remembered for a few seconds.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from cachetools import TTLCache
from keystoneauth1 import exceptions

from headwater.errors import Unauthenticated
from headwater.identity.authenticator import Authenticator
from headwater.identity.basic import CHALLENGE, credentials
from headwater.identity.caller import Caller
from headwater.identity.keystone.service_user import service_session
from headwater.identity.keystone.tokens import KEPT, REFUSED_KEPT, REFUSED_S, KeystoneUnavailable
from headwater.identity.settings import KeystoneSettings

_TOKEN_USER = "token"  # noqa: S105 - a name
_OURS = frozenset({"authorization", "x-auth-token", "x-storage-token"})

_log = logging.getLogger(__name__)


class Exchange(Protocol):
    """Asks Keystone for a token; ``None`` when it knows no such credential."""

    def __call__(self, credential_id: str, secret: str) -> str | None: ...


class KeystonePasswords:
    """An authenticator around that of tokens, for the paths whose clients know passwords only."""

    def __init__(
        self,
        tokens: Authenticator,
        settings: KeystoneSettings,
        exchange: Exchange | None = None,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; Keystone is not asked yet.

        Args:
            exchange: Asks Keystone; by default as the settings say.

        Raises:
            SettingsError: ``cafile`` cannot be read.
        """
        self._tokens, self._exchange = tokens, exchange or Credentials(settings)
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()  # of the two below
        self._good: TTLCache[bytes, str] = TTLCache(KEPT, settings.cache_s, steady)
        self._refused: TTLCache[bytes, None] = TTLCache(REFUSED_KEPT, min(REFUSED_S, settings.cache_s), steady)

    def cached(self, headers: Mapping[str, str]) -> Caller | None:
        """Return the caller when all that tells it is kept and good."""
        token = _said(headers)
        if token is None:
            given = credentials(headers)
            with self._lock:
                token = None if given is None else self._good.get(self._digest(given))
        return None if token is None else self._tokens.cached(_with(headers, token))

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return whose token or credential the request has.

        Raises:
            Unauthenticated: It has none that is good.
            KeystoneUnavailable: Keystone cannot be asked.
        """
        try:
            token = _said(headers)
            if token is not None:
                return self._tokens.caller(_with(headers, token))
            given = credentials(headers)
            if given is None:
                return self._tokens.caller(headers)
            return self._of_credential(headers, given)
        except Unauthenticated as error:
            # Clients that wait to be asked for a password send it after this only.
            both = f"{error.headers['WWW-Authenticate']}, {CHALLENGE}"
            raise Unauthenticated(str(error), both) from error

    def close(self) -> None:
        """Let go of what is kept."""
        with self._lock:
            self._good.clear()
            self._refused.clear()

    def _of_credential(self, headers: Mapping[str, str], given: tuple[str, bytes]) -> Caller:
        digest = self._digest(given)
        with self._lock:
            kept, is_refused = self._good.get(digest), digest in self._refused
        if kept is not None:
            try:
                return self._tokens.caller(_with(headers, kept))
            except Unauthenticated:  # it ended before its time
                with self._lock:
                    self._good.pop(digest, None)
        token = None if is_refused else self._exchange(given[0], given[1].decode("utf-8", "replace"))
        with self._lock:
            if token is None:
                self._refused[digest] = None
            else:
                self._good[digest] = token
        if token is None:
            raise Unauthenticated(
                "This is no application credential of the Identity service: send its id and its secret, or the user "
                f"{_TOKEN_USER!r} and a token.",
                CHALLENGE,
            )
        return self._tokens.caller(_with(headers, token))

    def _digest(self, given: tuple[str, bytes]) -> bytes:
        return hmac.digest(self._key, given[0].encode() + b"\0" + given[1], hashlib.sha256)


class Credentials:
    """Asks a real Keystone for the tokens of application credentials."""

    def __init__(self, settings: KeystoneSettings) -> None:
        """Prepare; nothing is asked yet.

        Raises:
            SettingsError: ``cafile`` cannot be read.
        """
        self._url = f"{settings.v3_url}/auth/tokens?nocatalog=1"
        self._session = service_session(settings)

    def __call__(self, credential_id: str, secret: str) -> str | None:
        """Return a token; ``None`` when Keystone knows no such credential.

        Raises:
            KeystoneUnavailable: It cannot be reached, or fails.
        """
        proof = {
            "methods": ["application_credential"],
            "application_credential": {"id": credential_id, "secret": secret},
        }
        try:
            answer = self._session.post(
                self._url, json={"auth": {"identity": proof}}, authenticated=False, log=False, redirect=False
            )
        except (exceptions.Unauthorized, exceptions.NotFound, exceptions.BadRequest, exceptions.Forbidden):
            return None
        except exceptions.HttpError as error:
            raise _failed(f"Keystone answers {error.http_status}") from error
        except exceptions.ClientException as error:
            raise _failed("Keystone cannot be reached") from error
        token: str | None = answer.headers.get("X-Subject-Token")
        if token is None:
            raise _failed("Keystone's answer is not what it should be")
        return token


def _failed(reason: str) -> KeystoneUnavailable:
    _log.warning("an application credential could not be used", extra={"reason": reason})
    return KeystoneUnavailable(reason)


def _said(headers: Mapping[str, str]) -> str | None:
    """Return the token that a request itself has."""
    token = headers.get("x-auth-token") or headers.get("x-storage-token")
    if token:
        return token
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    given = credentials(headers)
    is_token = given is not None and given[0] == _TOKEN_USER
    return given[1].decode("latin-1") if given is not None and is_token else None


def _with(headers: Mapping[str, str], token: str) -> dict[str, str]:
    return {**{name: value for name, value in headers.items() if name not in _OURS}, "x-auth-token": token}
