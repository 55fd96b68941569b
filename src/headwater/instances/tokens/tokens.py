"""Session tokens of EC2's IMDSv2: a guest asks for one with PUT, which a proxy that was talked into a GET cannot.

A token says until when it is good, and that this service made it for this instance; nothing is kept of it, so any
process takes what any other has made. Source: specification section 1.5, AWS's user guide.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence

from headwater.errors import Invalid, Unauthenticated

# AWS's, and Huawei's for the OpenStack tree; as ``paths.document_name`` has them.
TOKEN_PATHS = frozenset({"ec2/latest/api/token", "ec2/meta-data/latest/api/token"})
TOKEN_HEADERS = ("x-aws-ec2-metadata-token", "x-metadata-token")
TTL_HEADERS = ("x-aws-ec2-metadata-token-ttl-seconds", "x-metadata-token-ttl-seconds")
MAX_TTL_S = 6 * 3600

_DAY_S = 24 * 3600
_MAC = 24  # bytes
_TIME = 4  # bytes


class TokenRefused(Unauthenticated):
    """The guest has to show a token that is good, and did not."""

    def __init__(self) -> None:
        super().__init__("A token is needed that is good: ask for one with PUT /latest/api/token.", "IMDSv2")


class TtlWrong(Invalid):
    """No lifetime that a token may have."""

    def __init__(self) -> None:
        super().__init__(f"The header X-aws-ec2-metadata-token-ttl-seconds must say from 1 to {MAX_TTL_S} seconds.")


class ForwardedForToken(Invalid):
    """Somebody asks for a token on behalf of another: a reverse proxy in the guest would."""

    def __init__(self) -> None:
        super().__init__("A token is given to the machine itself: this request came through a proxy (X-Forwarded-For).")


def ttl_of(text: str | None) -> int:
    """Return the lifetime that a guest asks for, in seconds.

    Raises:
        TtlWrong: It says none, or none that a token may have.
    """
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > len(str(MAX_TTL_S)):
        raise TtlWrong
    ttl_s = int(text)
    if not 1 <= ttl_s <= MAX_TTL_S:
        raise TtlWrong
    return ttl_s


class Tokens:
    """Makes tokens and knows them again; safe to use from several threads."""

    def __init__(self, secrets: Callable[[], Sequence[bytes]], now_s: Callable[[], int]) -> None:
        """Take what signs.

        Args:
            secrets: Returns the secrets of the service: the first signs, all of them are taken.
            now_s: The clock, in seconds since 1970, UTC.
        """
        self._secrets, self._now_s = secrets, now_s

    def issue(self, instance_id: str, ttl_s: int) -> str:
        """Return a token for an instance."""
        until = self._now_s() + ttl_s
        return urlsafe_b64encode(_signed(self._secrets()[0], instance_id, until)).decode().rstrip("=")

    def is_good(self, token: str, instance_id: str) -> bool:
        """Return whether this service made the token for this instance, and it is still good."""
        try:
            given = urlsafe_b64decode(token.encode("ascii") + b"==")
        except (ValueError, binascii.Error):
            return False
        if len(given) != _TIME + _MAC or token != urlsafe_b64encode(given).decode().rstrip("="):
            return False
        until = int.from_bytes(given[:_TIME], "big")
        now_s = self._now_s()
        if not now_s < until <= now_s + MAX_TTL_S:
            return False
        return any(hmac.compare_digest(given, _signed(each, instance_id, until)) for each in self._secrets())


def _signed(secret: bytes, instance_id: str, until: int) -> bytes:
    """Return the token; each day has a key of its own, so that no key signs for ever."""
    key = hmac.digest(secret, b"metadata token %d" % (until // _DAY_S), hashlib.sha256)
    time = until.to_bytes(_TIME, "big")
    return time + hmac.digest(key, time + instance_id.encode(), hashlib.sha256)[:_MAC]
