"""Tokens of Keystone: ``X-Auth-Token``, and ``X-Service-Token`` of a service that calls for a user.

Keystone is asked once for each token (``GET /v3/auth/tokens``) and its answer kept, under the token's
SHA-256, until the token expires or the answer is ``cache_s`` old. Requests that come with the same new
token at once share one question. What Keystone does not know is remembered for a few seconds only, and apart:
whoever sends junk pushes out other junk, and nobody's good token.

A token that expires while a service works with it (the upload of a large image) passes when the service
shows a valid token of its own with a role that is trusted with that; Keystone has the last word on for
how long (its ``allow_expired_window``).

While Keystone is away, what is kept goes on to count; all else is ``Unavailable``, never a guess.
No token is logged: keystoneauth's log of requests is off here.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from cachetools import TTLCache
from keystoneauth1 import exceptions

from headwater.errors import Unauthenticated, Unavailable
from headwater.identity.caller import Caller
from headwater.identity.keystone.service_user import service_session
from headwater.identity.settings import KeystoneSettings

KEPT = 20_000  # answers; about 2 KiB each
REFUSED_KEPT = 5_000  # of tokens that Keystone does not know
REFUSED_S = 5.0  # how long a refusal is kept
REST_S = 1.0  # after a failure to reach Keystone, how long it is left in peace
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Keystone says of a token."""

    caller: Caller
    expires_at: float  # seconds since 1970


class KeystoneUnavailable(Unavailable):
    """Keystone cannot be asked about a token."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The Identity service cannot be asked about this token: {reason}. Try again later.")


class Validate(Protocol):
    """Asks Keystone about a token; ``None`` when it knows no such token."""

    def __call__(self, token: str, *, allow_expired: bool) -> Answer | None: ...


class KeystoneTokens:
    """The authenticator of mode ``keystone``."""

    def __init__(
        self,
        settings: KeystoneSettings,
        validate: Validate | None = None,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; Keystone is not asked yet.

        Args:
            validate: Asks Keystone; by default as the settings say.
            wall: The time in seconds since 1970, which tokens expire by.
            steady: A clock in seconds that never goes back, which answers age by.

        Raises:
            SettingsError: ``cafile`` cannot be read.
        """
        self._validate = validate or Questions(settings)
        self._trusted_roles = frozenset(role.lower() for role in settings.service_token_roles)
        self._challenge = f'Keystone uri="{settings.public_uri}"'
        self._wall, self._steady = wall, steady
        self._lock = threading.Lock()  # of all that follows; held for no longer than a look-up takes
        self._good: TTLCache[_Key, Answer] = TTLCache(KEPT, settings.cache_s, steady)
        self._refused: TTLCache[_Key, None] = TTLCache(REFUSED_KEPT, min(REFUSED_S, settings.cache_s), steady)
        self._asking: dict[_Key, Future[Answer | None]] = {}
        self._rest_until = float("-inf")

    def cached(self, headers: Mapping[str, str]) -> Caller | None:
        """Return the caller when Keystone's answer for all tokens of the request is kept and good."""
        service_token = headers.get("x-service-token")
        service = None
        if service_token is not None:
            service = self._known_good(_key(service_token, allow_expired=False))
            if service is None or not self._is_trusted(service.caller):
                return None
        token = _user_token(headers)
        if token is None:
            return None
        answer = self._known_good(_key(token, allow_expired=False))
        if answer is None and service is not None:
            answer = self._known_good(_key(token, allow_expired=True))
        return None if answer is None else _combined(answer, service, token)

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return whose token the request has."""
        token = _user_token(headers)
        if token is None:
            raise Unauthenticated("The request you have made requires authentication.", self._challenge)
        service_token = headers.get("x-service-token")
        service = None
        if service_token is not None:
            service = self._answer(service_token, allow_expired=False)
            if service is None:
                raise Unauthenticated("The service token is not valid: get a new one.", self._challenge)
            if not self._is_trusted(service.caller):
                raise Unauthenticated(
                    "The service token has none of the roles that such a token needs here "
                    f"({', '.join(sorted(self._trusted_roles))}).",
                    self._challenge,
                )
        answer = self._answer(token, allow_expired=False)
        if answer is None and service is not None:
            answer = self._answer(token, allow_expired=True)
        if answer is None:
            raise Unauthenticated("The token is not valid, or it has expired: get a new one.", self._challenge)
        return _combined(answer, service, token)

    def close(self) -> None:
        """Let go of what is kept."""
        with self._lock:
            self._good.clear()
            self._refused.clear()

    def _is_trusted(self, service: Caller) -> bool:
        return not self._trusted_roles.isdisjoint(service.roles)

    def _answer(self, token: str, *, allow_expired: bool) -> Answer | None:
        """Return Keystone's answer, kept or new; ``None`` when the token is not valid."""
        if not _TOKEN.fullmatch(token):
            return None
        key = _key(token, allow_expired=allow_expired)
        if (known := self._known_good(key)) is not None:
            return known
        with self._lock:
            if key in self._refused:
                return None
            asking = self._asking.get(key)
            ours = asking is None
            if asking is None:
                asking = self._asking[key] = Future()
        if ours:
            try:
                asking.set_result(self._ask(key, token, allow_expired=allow_expired))
            except BaseException as error:  # noqa: BLE001 - it is raised below, in every thread that waits
                asking.set_exception(error)
            finally:
                with self._lock:
                    del self._asking[key]
        return asking.result()

    def _ask(self, key: _Key, token: str, *, allow_expired: bool) -> Answer | None:
        if self._steady() < self._rest_until:
            raise KeystoneUnavailable("it did not answer a moment ago")
        try:
            answer = self._validate(token, allow_expired=allow_expired)
        except KeystoneUnavailable:
            self._rest_until = self._steady() + REST_S
            raise
        if answer is not None and not allow_expired and answer.expires_at <= self._wall():
            answer = None
        with self._lock:
            if answer is not None:
                self._good[key] = answer
            else:
                self._refused[key] = None
        return answer

    def _known_good(self, key: _Key) -> Answer | None:
        """Return Keystone's answer when it is kept and the token has not expired since."""
        with self._lock:
            try:
                answer = self._good[key]
            except KeyError:
                return None
        may_have_expired = key[1]
        return answer if may_have_expired or answer.expires_at > self._wall() else None


_Key = tuple[bytes, bool]  # SHA-256 of the token; whether it may have expired


def _key(token: str, *, allow_expired: bool) -> _Key:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest(), allow_expired


def _user_token(headers: Mapping[str, str]) -> str | None:
    # Source: keystonemiddleware takes X-Storage-Token where X-Auth-Token is absent.
    return headers.get("x-auth-token") or headers.get("x-storage-token") or None


def _combined(answer: Answer, service: Answer | None, token: str) -> Caller:
    if service is None:
        return answer.caller
    return replace(answer.caller, service_roles=service.caller.roles, token=token)


class Questions:
    """Asks a real Keystone as the service user; gets itself a new token when its own has expired."""

    def __init__(self, settings: KeystoneSettings) -> None:
        """Prepare; nothing is asked yet.

        Raises:
            SettingsError: ``cafile`` cannot be read.
        """
        self._url = settings.v3_url
        self._session = service_session(settings)

    def __call__(self, token: str, *, allow_expired: bool) -> Answer | None:
        """Return what Keystone says of ``token``; ``None`` when it knows no such token.

        Raises:
            KeystoneUnavailable: It cannot be reached, fails, or refuses the service user.
        """
        query = "?nocatalog=1&allow_expired=1" if allow_expired else "?nocatalog=1"
        try:
            answer = self._session.get(
                f"{self._url}/auth/tokens{query}",
                headers={"X-Subject-Token": token, "Accept": "application/json"},
                log=False,
                redirect=False,
            )
            if answer.status_code != 200:
                raise _failed(f"Keystone answers {answer.status_code}")
            return read_answer(answer.json()["token"], token)
        except (exceptions.NotFound, exceptions.BadRequest):  # nothing but the token differs between questions
            return None
        except (exceptions.Unauthorized, exceptions.Forbidden) as error:
            raise _failed("Keystone refuses Headwater's own user", error.http_status) from error
        except exceptions.HttpError as error:
            raise _failed(f"Keystone answers {error.http_status}", error.http_status) from error
        except exceptions.ConnectTimeout as error:
            raise _failed("Keystone does not answer in time") from error
        except exceptions.ClientException as error:
            raise _failed("Keystone cannot be reached") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _failed("Keystone's answer is not what it should be") from error


def _failed(reason: str, status: int | None = None) -> KeystoneUnavailable:
    _log.warning("a token could not be validated", extra={"reason": reason, "status": status})
    return KeystoneUnavailable(reason)


def read_answer(document: Mapping[str, Any], token: str) -> Answer:
    """Return the answer in the ``token`` object of the Identity API v3.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is no such object.
    """
    system = document.get("system") or {}
    caller = Caller(
        user_id=document["user"]["id"],
        project_id=(document.get("project") or {}).get("id"),
        roles=frozenset(role["name"].lower() for role in document.get("roles") or ()),
        system_scope="all" if system.get("all") else None,
        domain_id=(document.get("domain") or {}).get("id"),
        token=token,
    )
    return Answer(caller, datetime.fromisoformat(document["expires_at"]).timestamp())
