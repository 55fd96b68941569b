"""The password over HTTP: read as any document, and posted once."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from headwater.http.requests import body_within
from headwater.http.threads import InThread
from headwater.instances.password.posting import LIMIT, Posted, readable
from headwater.instances.snapshots.snapshot import Snapshot
from headwater.instances.trees.document import TEXT, Document, text


async def read(snapshot: Snapshot, passwords: Posted, in_thread: InThread) -> Document:
    """Return what the guest has posted; empty when it has posted nothing."""
    return text(await in_thread(lambda: passwords.get(snapshot.instance_id) or ""))


async def post(request: Request, snapshot: Snapshot, passwords: Posted, in_thread: InThread) -> Response:
    """Keep what the guest posts."""
    value = readable(bytes(await body_within(request, LIMIT)))
    await in_thread(lambda: passwords.put(snapshot.instance_id, value))
    return Response(headers={"content-type": TEXT})
