"""Nobody has to prove anything: whoever reaches the service is its operator, and may do everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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


class NoRules:
    """What ``Policy`` comes to when every caller is the operator and no file says otherwise."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def allows(self, _rule: str, _caller: Caller, _target: Mapping[str, Any]) -> bool:
        """Return that the operator may."""
        return True

    def names(self) -> frozenset[str]:
        """Return the names of the rules that there would be."""
        return self._names

    def require(self, _rule: str, _caller: Caller, _target: Mapping[str, Any]) -> None:
        """Return: there is nothing that the operator may not."""
