"""Handlers for ``/instances/v1/instances/{instance}/password`` and ``…/boot-log``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.http.paging import BadQuery
from headwater.instances.api.guests import ProjectGuests
from headwater.instances.api.routes import FACE, INSTANCES
from headwater.instances.boot_log.document import document
from headwater.instances.boot_log.verdict import last_boot
from headwater.instances.sources.guests import judged
from headwater.threads import Pool

PASSWORD = f"{INSTANCES}/{{instance}}/password"
BOOT_LOG = f"{INSTANCES}/{{instance}}/boot-log"


def guest_routes(guests: ProjectGuests, calls: Pool) -> list[Route]:
    """Return the routes.

    Args:
        calls: Threads for what asks the catalogue.
    """

    async def password(request: Request) -> Response:
        caller, name = requests.caller(request), request.path_params["instance"]
        found = await calls.run(lambda: guests.password(caller, name))
        return json_answer({"password": found or ""}, headers={"Cache-Control": "no-store"})

    async def clear(request: Request) -> Response:
        caller, name = requests.caller(request), request.path_params["instance"]
        await calls.run(lambda: guests.clear_password(caller, name))
        return Response(status_code=204)

    async def boot_log(request: Request) -> Response:
        caller, name, every = requests.caller(request), request.path_params["instance"], _wants_all(request)
        guest, entries = await calls.run(lambda: guests.boot_log(caller, name))
        shown = entries if every else last_boot(entries)
        return json_answer(document(guest.id, guest.name, judged(guest, entries), shown))

    return [FACE.route(PASSWORD, GET=password, DELETE=clear), FACE.route(BOOT_LOG, GET=boot_log)]


def _wants_all(request: Request) -> bool:
    """Return whether all boots are asked for, and not the last alone.

    Raises:
        BadQuery: A parameter is not known, or says neither yes nor no.
    """
    given = request.query_params.multi_items()
    match given:
        case []:
            return False
        case [("all", "true" | "false" as said)]:
            return said == "true"
    raise BadQuery("a boot log takes one parameter, all, which is true or false")
