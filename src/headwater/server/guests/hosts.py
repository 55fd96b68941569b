"""Under which names guests ask: a page in a guest's browser is of another name, though that was made to lead here.

Such a page may read whatever its own name serves (DNS rebinding), so it would read user data, and ask for tokens too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import Invalid
from headwater.http.context import context
from headwater.instances.callers.seeds import ROOT
from headwater.instances.http import refusal


class HostUnknown(Invalid):
    """A request is for a name that is none of ours."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Nobody is answered under the name {name[:64]!r}: ask by an address, or let the operator add the name to "
            "'hosts' in section [metadata]."
        )
        self.name = name


class KnownHosts:
    """An application that is asked by addresses, and by names that are known.

    A secret path is known to no page, and an agent of Neutron's writes the header itself: neither is asked for a name.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], *, agents_ask: bool) -> None:
        """Take the names in lower case.

        Args:
            agents_ask: Whether agents say who asks the metadata port.
        """
        self._app, self._names, self._agents_ask = app, frozenset(names), agents_ask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        about = context(scope)
        by_agent = self._agents_ask and not about.network
        if scope["type"] == "http" and not by_agent and not scope["path"].startswith(ROOT):
            name = _name(next((value for key, value in scope["headers"] if key == b"host"), b"").decode("latin-1"))
            if name and name not in self._names and not _is_address(name):
                await refusal(HostUnknown(name), scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    """Return what stands before the port, without the brackets of IPv6; an old client sends nothing."""
    inner = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return inner.lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
