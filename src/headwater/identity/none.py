"""Nobody has to prove anything: whoever reaches the service is its operator."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.identity.caller import OPERATOR, Caller


class NoProof:
    """The authenticator of mode ``none``."""

    def cached(self, _headers: Mapping[str, str]) -> Caller:
        """Return the operator."""
        return OPERATOR

    def caller(self, _headers: Mapping[str, str]) -> Caller:
        """Return the operator."""
        return OPERATOR

    def close(self) -> None:
        """Nothing is held."""
