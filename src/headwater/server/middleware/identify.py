"""Before the image listener's applications: who calls.

A request to a version of the Image API or to the API of instances needs a caller, who is then in its context; so does
the question why the streams list an image. All else is open: the versions document, ``/healthcheck``, ``/metrics``
(counts, read by Prometheus without a token), the streams (made for clients that have none, and only of public images),
and ``OPTIONS``, which browsers send without credentials.

A caller who is known already costs no thread. The others wait in threads of their own, so that a slow
Keystone holds up nobody who does not need it; when too many wait, further ones are told to come back.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import Unavailable
from headwater.http.context import context
from headwater.identity.authenticator import PROOFS, Authenticator
from headwater.threads import Pool

WAITING_LIMIT = 1000
_NAMES = {name.encode(): name for name in PROOFS}
_BY_ACCEPT = b"application/vnd.openstack.images-"  # names a version where the path does not


class TooManyWait(Unavailable):
    """So many requests wait to be authenticated that another would only wait longer."""

    def __init__(self) -> None:
        super().__init__(f"More than {WAITING_LIMIT} requests wait to be authenticated. Try again later.")


class Identified:
    """An application whose requests have a caller."""

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        pool: Pool,
        versions: frozenset[str],
        *,
        below: tuple[str, ...] = (),
        but: frozenset[str] = frozenset(),
        by_password: Authenticator | None = None,
        for_passwords: tuple[str, ...] = (),
    ) -> None:
        """Take what is asked and the threads to ask it in.

        Args:
            versions: First parts of the paths that need a caller: ``v2``, ``v2.9``, ….
            below: Beginnings of further paths that need one.
            but: Paths there that need none: they tell what there is.
            by_password: Asked in place of ``authenticator`` where clients know passwords only.
            for_passwords: Beginnings of the paths where that is so.
        """
        self._by_password, self._for_passwords = by_password or authenticator, for_passwords
        self._app = app
        self._authenticator = authenticator
        self._pool = pool
        self._versions = versions
        self._below, self._but = below, but
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._needs_caller(scope):
            headers = _proofs(scope)
            is_of_passwords = scope["path"].startswith(self._for_passwords)
            authenticator = self._by_password if is_of_passwords else self._authenticator
            caller = authenticator.cached(headers)
            if caller is None:
                if self._waiting >= WAITING_LIMIT:
                    raise TooManyWait
                self._waiting += 1
                try:
                    caller = await self._pool.run(lambda: authenticator.caller(headers))
                finally:
                    self._waiting -= 1
            client, known = scope.get("client"), context(scope)
            known.caller = replace(caller, request_id=known.request_id, address=client[0] if client else None)
        await self._app(scope, receive, send)

    def _needs_caller(self, scope: Scope) -> bool:
        if scope["method"] == "OPTIONS":
            return False
        path = scope["path"]
        if path in self._but:
            return False
        if path[1:].partition("/")[0] in self._versions or path.startswith((*self._below, *self._for_passwords)):
            return True
        return any(name == b"accept" and value.startswith(_BY_ACCEPT) for name, value in scope["headers"])


def _proofs(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = _NAMES.get(raw)
        if name is not None:
            text = value.decode("latin-1")
            found[name] = f"{found[name]},{text}" if name in found else text
    return found
