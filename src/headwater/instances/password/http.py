"""The password over HTTP: read as any document, and posted once."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from headwater.http.requests import body_within
from headwater.http.threads import InThread
from headwater.instances.errors import NotOursToKeep
from headwater.instances.password.posting import LIMIT, Posted, readable
from headwater.instances.snapshots.snapshot import Snapshot
from headwater.instances.trees.document import TEXT


async def post(request: Request, snapshot: Snapshot, passwords: Posted, in_thread: InThread) -> Response:
    """Keep what the guest posts.

    Raises:
        NotOursToKeep: The guest is not registered.
    """
    if not snapshot.is_registered:
        raise NotOursToKeep(snapshot.instance_id, "passwords are")
    value = readable(bytes(await body_within(request, LIMIT)))
    await in_thread(lambda: passwords.put(snapshot.instance_id, value))
    return Response(headers={"content-type": TEXT})
