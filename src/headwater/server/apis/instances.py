"""The API of instances, on their use cases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from headwater.activity.journal import Journal
from headwater.database.engine import Database
from headwater.errors import Conflict, NotFound
from headwater.http.endpoint import Endpoint
from headwater.http.routes import Below, exactly
from headwater.http.threads import Threads
from headwater.identity.caller import Caller
from headwater.identity.policy.rules import Rules
from headwater.images.access import Access
from headwater.images.assembly.service import ImageService
from headwater.images.catalogue.lists.query import Condition, Query
from headwater.images.events.audit import Audit
from headwater.instances.api.guest_routes import guest_routes
from headwater.instances.api.guests import ProjectGuests
from headwater.instances.api.machines import CloudMachines, ProjectMachines
from headwater.instances.api.notices import InstanceNotices
from headwater.instances.api.routes import instance_routes, not_found
from headwater.instances.api.service import ProjectInstances
from headwater.instances.api.sight import CloudSight
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.names import is_uuid
from headwater.instances.registry.rows import InstanceRows, is_storable
from headwater.instances.sources.guests import Guests

if TYPE_CHECKING:
    from headwater.server.guests.cloud import KnownByCloud

PATH = "/instances"


def instance_api(
    database: Database,
    images: ImageService,
    rules: Rules,
    threads: Threads,
    endpoint: Endpoint,
    *,
    cloud: KnownByCloud | None = None,
) -> list[BaseRoute]:
    """Return the routes of the API, and what answers for all else below its path.

    Args:
        cloud: Who knows machines that nobody registered; ``None``: nobody does.
    """
    notifications, guests_kept = images.notifications, Guests(database)
    sight = CloudSight(guests_kept, rules)
    instances = ProjectInstances(
        InstanceRows(database),
        InstanceLists(database),
        images=partial(SeenImages, images.access, images.last_used.note),
        rules=rules,
        journal=Journal([Audit(), InstanceNotices(notifications)]),
        outbox=lambda: notifications.postbox,
        in_cloud=None if cloud is None else sight,
    )
    of_cloud = None if cloud is None else CloudMachines(cloud=cloud.guests, kept=cloud.rows, sight=sight)
    machines = ProjectMachines(instances, of_cloud, rules, threads.catalogue.run)
    guests = ProjectGuests(instances, guests_kept, rules=rules, journal=Journal([Audit()]))
    return [
        *guest_routes(guests, threads.catalogue),
        *instance_routes(instances, machines, threads.catalogue, endpoint),
        exactly(PATH, not_found),
        Below(PATH, not_found),
    ]


class SeenImages:
    """The images that a caller sees, for who starts instances from them."""

    def __init__(self, access: Access, used: Callable[[str], None], caller: Caller) -> None:
        self._access, self._caller, self.used = access, caller, used

    def find(self, id_or_name: str) -> tuple[str, str]:
        """Return id and name of an image.

        Raises:
            NotFound, Conflict: None or several are meant.
        """
        lowered = id_or_name.lower()
        if is_uuid(lowered):
            image = self._access.visible(self._caller, lowered)
            return image.id, image.name or image.id
        if not is_storable(id_or_name):
            raise NotFound("no image has such a name")
        named = Query(conditions=(Condition("name", "eq", id_or_name),), visibility=None, limit=2)
        found = self._access.page(self._caller, named)
        if not found:
            raise NotFound("no image that the caller sees has this name")
        if len(found) > 1:
            raise Conflict("several images have this name")
        return found[0].id, found[0].name or found[0].id
