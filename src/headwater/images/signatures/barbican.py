"""Certificates from Barbican, OpenStack's key manager (v1).

Two requests: what the secret is, and, if that is a certificate, its payload in the content type that it was
stored with. The caller's own token goes along, as Glance does it, so that Barbican decides what the caller may
use; or Headwater's own user asks, where images come without a token. Answers are kept for a few minutes,
each for the one that it was given to.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from cachetools import TTLCache

from headwater.identity.caller import Caller
from headwater.identity.keystone.peer import Peer, PeerUnavailable, Reply
from headwater.images.signatures.certificates import (
    LARGEST,
    CertificateNotFound,
    CertificatesUnavailable,
    CertificateUnusable,
)

KEPT = 1000  # certificates
_JSON = "application/json"
# Source: the schema of Barbican 23, without the one for keys (application/pkcs8).
_CONTENT_TYPES = frozenset({"application/octet-stream", "text/plain"})

_Key = tuple[str, str | None, str | None]  # certificate, project and user


class Barbican:
    """The source ``barbican``."""

    def __init__(
        self,
        endpoint: Callable[[], str],
        peer: Peer,
        *,
        ask_as_caller: bool,
        cache_s: float,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            endpoint: Returns Barbican's URL, with or without ``/v1``, or raises ``PeerUnavailable``.
            ask_as_caller: Send the caller's token; else Headwater's own user asks.
            steady: A clock in seconds that never goes back.
        """
        self._endpoint = endpoint
        self._peer = peer
        self._as_caller = ask_as_caller
        self._lock = threading.Lock()
        self._kept: TTLCache[_Key, bytes] = TTLCache(KEPT, cache_s, steady)

    def get(self, caller: Caller, certificate_id: str) -> bytes:
        """Return the payload of the secret; see ``CertificateSource``."""
        key: _Key = (certificate_id, None, None)
        if self._as_caller:
            key = (certificate_id, caller.project_id, caller.user_id)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None:
            return kept
        data = self._ask(caller, certificate_id)
        with self._lock:
            self._kept[key] = data
        return data

    def _ask(self, caller: Caller, certificate_id: str) -> bytes:
        if self._as_caller and caller.token is None:
            raise CertificatesUnavailable("the request has no token that the key manager could be asked with")
        token = caller.token if self._as_caller else None
        url = f"{self._secrets()}/{certificate_id}"
        content_type = _content_type(certificate_id, self._reply(certificate_id, url, token, _JSON).body)
        return self._reply(certificate_id, f"{url}/payload", token, content_type).body

    def _secrets(self) -> str:
        try:
            url = self._endpoint().rstrip("/")
        except PeerUnavailable as error:
            raise CertificatesUnavailable(f"the key manager {error.reason}") from error
        return f"{url.removesuffix('/v1')}/v1/secrets"

    def _reply(self, certificate_id: str, url: str, token: str | None, accept: str) -> Reply:
        try:
            reply = self._peer.get(url, token=token, accept=accept, limit=LARGEST)
        except PeerUnavailable as error:
            raise CertificatesUnavailable(f"the key manager {error.reason}") from error
        if reply.is_cut:
            raise CertificateUnusable(certificate_id, f"is larger than {LARGEST} bytes")
        match reply.status:
            case 200:
                return reply
            case 403 | 404:  # there is none; or it is not the caller's: the same for the one who asks
                raise CertificateNotFound(certificate_id)
            case 401:
                raise CertificatesUnavailable("the key manager does not take the token")
            case _:
                raise CertificatesUnavailable(f"the key manager answers {reply.status}")


def _content_type(certificate_id: str, body: bytes) -> str:
    """Return the content type of the payload of the secret that ``body`` describes."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CertificatesUnavailable("the key manager's answer is not what it should be") from error
    if not isinstance(document, dict):
        raise CertificatesUnavailable("the key manager's answer is not what it should be")
    if document.get("secret_type") != "certificate":
        raise CertificateUnusable(certificate_id, "is not of Barbican's secret type 'certificate'")
    types = document.get("content_types")
    content_type = types.get("default") if isinstance(types, dict) else None
    if not isinstance(content_type, str) or content_type.partition(";")[0] not in _CONTENT_TYPES:
        raise CertificateUnusable(certificate_id, "has no payload, or one of a content type that no certificate has")
    return content_type.partition(";")[0]
