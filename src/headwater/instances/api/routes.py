"""Handlers for ``/instances/v1/instances``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from headwater.errors import NotFound, UnsupportedMedia
from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.http.conditions import NotAsExpected, is_held
from headwater.http.endpoint import Endpoint
from headwater.http.paging import BadQuery, page_limit
from headwater.http.routes import VERBS, Face, UnknownVerb, require_text
from headwater.identity.caller import Caller
from headwater.instances.addresses import canonical
from headwater.instances.api.documents import found_document, head_document
from headwater.instances.api.machines import ProjectMachines
from headwater.instances.api.service import ProjectInstances
from headwater.instances.bulk.document import instance_document
from headwater.instances.bulk.found import OPENSTACK, REGISTRY, Found
from headwater.instances.errors import InstanceChanged
from headwater.instances.lists.rows import PAGE, PAGE_OF_HEADS
from headwater.instances.lists.wanted import Wanted
from headwater.instances.model import Instance
from headwater.threads import Pool

T = TypeVar("T")

INSTANCES = "/instances/v1/instances"
MERGE_PATCH = "application/merge-patch+json"
_BODIES = frozenset({MERGE_PATCH, "application/json"})
_FILTERS = ("name", "project_id", "image", "address", "source")
_OF_CLOUD = ("name", "project_id", "source", "limit", "marker")  # what a list of its machines takes


class NoSuchPath(NotFound):
    """The API has no such path."""

    def __init__(self) -> None:
        super().__init__(f"there is nothing here; instances are below {INSTANCES}")


class NotMergePatch(UnsupportedMedia):
    """An instance is changed by a merge patch."""

    def __init__(self, given: str) -> None:
        super().__init__(f"an instance is changed by {MERGE_PATCH}, not {given[:80]!r}")
        self.headers = {"Accept-Patch": MERGE_PATCH}


def _check(request: Request) -> None:
    require_text(request.scope)


FACE = Face(check=_check, names=("instance",))


def instance_routes(
    instances: ProjectInstances, machines: ProjectMachines, calls: Pool, endpoint: Endpoint
) -> list[Route]:
    """Return the routes.

    Args:
        machines: Those that are registered, and those that a cloud knows.
        calls: Threads for what asks the catalogue.
        endpoint: Where clients reach the service.
    """

    async def index(request: Request) -> Response:
        caller, parameters = requests.caller(request), request.query_params.multi_items()
        given = _given(parameters)
        if given.get("source", REGISTRY) == OPENSTACK:
            return await _list_of_cloud(machines, caller, given, parameters)
        wanted, limit = _wanted(given), page_limit(given.get("limit"), default=PAGE, most=PAGE_OF_HEADS)
        page = await calls.run(lambda: instances.page(caller, wanted, after=given.get("marker"), limit=limit))
        document: dict[str, object] = {"instances": [head_document(head) for head in page.found]}
        if page.after is not None:
            document["next"] = _next(parameters, page.after)
        return json_answer(document)

    async def create(request: Request) -> Response:
        caller, document = requests.caller(request), await requests.json_object(request)
        made = await calls.run(lambda: instances.add(caller, document))
        return _shown(Found(instance=made), 201, {"Location": f"{endpoint.of(request)}{INSTANCES}/{made.id}"})

    async def show(request: Request) -> Response:
        caller, name = requests.caller(request), request.path_params["instance"]
        found = await machines.get(caller, name)
        if is_held(request.headers, _etag(found)):
            return Response(status_code=304, headers={"ETag": _etag(found)})
        return _shown(found)

    async def change(request: Request) -> Response:
        if requests.media_type(request) not in _BODIES:
            raise NotMergePatch(requests.media_type(request))
        caller, name = requests.caller(request), request.path_params["instance"]
        patch = await requests.json_object(request)

        def work() -> Instance:
            return instances.change(caller, name, patch, revision=_expected(request, instances, name))

        return _shown(Found(instance=await calls.run(lambda: _as_expected(request, work))))

    async def remove(request: Request) -> Response:
        caller, name = requests.caller(request), request.path_params["instance"]

        def work() -> None:
            instances.remove(caller, name, revision=_expected(request, instances, name))

        await calls.run(lambda: _as_expected(request, work))
        return Response(status_code=204)

    return [
        FACE.route(INSTANCES, GET=index, POST=create),
        FACE.route(f"{INSTANCES}/{{instance}}", GET=show, PATCH=change, DELETE=remove),
    ]


async def not_found(scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answer what else is asked below ``/instances``."""
    if scope["method"] not in VERBS:
        raise UnknownVerb(scope["method"])
    raise NoSuchPath


def _given(parameters: list[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters of a list, each once.

    Raises:
        BadQuery: One is not known, or given twice.
    """
    given: dict[str, str] = {}
    for name, value in parameters:
        if name not in (*_FILTERS, "limit", "marker"):
            raise BadQuery(f"a list of instances has no parameter {name[:40]!r}: it takes {', '.join(_FILTERS)}")
        if name in given:
            raise BadQuery(f"the parameter {name} is given twice")
        given[name] = value
    if given.get("source", REGISTRY) not in (REGISTRY, OPENSTACK):
        raise BadQuery(f"source: it is {REGISTRY} or {OPENSTACK}, not {given['source'][:40]!r}")
    return given


def _wanted(given: dict[str, str]) -> Wanted:
    image, address = given.get("image"), given.get("address")
    return Wanted(
        name=given.get("name"),
        project_id=given.get("project_id"),
        image_id=None if image is None else image.lower(),
        address=None if address is None else canonical(address),
    )


async def _list_of_cloud(
    machines: ProjectMachines, caller: Caller, given: dict[str, str], parameters: list[tuple[str, str]]
) -> Response:
    for name in given:
        if name not in _OF_CLOUD:
            raise BadQuery(f"a list of machines of the cloud has no parameter {name}: it takes {', '.join(_OF_CLOUD)}")
    if "project_id" in given and "name" not in given:
        raise BadQuery("project_id: machines of the cloud are listed by project only together with a name")
    found, after = await machines.page_of_cloud(
        caller,
        name=given.get("name"),
        project_id=given.get("project_id"),
        after=given.get("marker"),
        limit=page_limit(given.get("limit"), default=PAGE, most=PAGE),
    )
    document: dict[str, object] = {"instances": [found_document(each) for each in found]}
    if after is not None:
        document["next"] = _next(parameters, after)
    return json_answer(document)


def _next(parameters: list[tuple[str, str]], after: str) -> str:
    others = [(name, value) for name, value in parameters if name != "marker"]
    return f"{INSTANCES}?{urlencode([*others, ('marker', after)], quote_via=quote)}"


def _etag(found: Found) -> str:
    """Return what tells this state from all others, also from those of one that had the name before."""
    instance, told = found.instance, "" if found.told_at is None else f"-{found.told_at:x}"
    return f'"{instance.revision}-{instance.updated_at:x}{told}"'


def _shown(found: Found, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_answer(instance_document(found), status, {"ETag": _etag(found), **(headers or {})})


def _expected(request: Request, instances: ProjectInstances, name: str) -> int | None:
    """Return the revision that a conditional request is about; ``None``: it has no condition.

    Raises:
        NoSuchInstance, MachineOfCloud, SeveralMeant: The caller sees no such instance, or none that is changed here.
        NotAsExpected: Its condition does not hold.
    """
    headers = request.headers
    if "if-match" not in headers and "if-none-match" not in headers:
        return None
    found = instances.get_to_change(requests.caller(request), name)
    if is_held(headers, _etag(Found(instance=found))):
        raise NotAsExpected("If-None-Match")
    return found.revision


def _as_expected(request: Request, work: Callable[[], T]) -> T:
    try:
        return work()
    except InstanceChanged as error:
        if "if-match" in request.headers:  # it was changed after the condition was looked at
            raise NotAsExpected("If-Match") from error
        raise
