"""What proves who calls: the contract of ``none``, ``basic`` and ``keystone``.

``headers`` are those of one request, by lower-case name. Only those in ``PROOFS`` matter; a header that
came twice is one value, joined by a comma.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from headwater.identity.caller import Caller

PROOFS = frozenset({"authorization", "x-auth-token", "x-storage-token", "x-service-token"})


class Authenticator(Protocol):
    """Says who calls; safe to use from several threads."""

    def cached(self, headers: Mapping[str, str]) -> Caller | None:
        """Return the caller when that is known already; ``None`` is no answer. Never waits, raises nothing."""
        ...

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return the caller; may wait for a hash or for another server.

        Raises:
            Unauthenticated: The headers prove nothing.
            Unavailable: What would tell does not answer.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
