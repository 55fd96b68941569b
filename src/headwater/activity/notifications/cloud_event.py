"""An event as a CloudEvent 1.0 in structured JSON: the body of a webhook's request.

``source`` and ``id`` together are the event's identity: whoever gets the same two again has the event already.
Source: https://github.com/cloudevents/spec, version 1.0.2.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from headwater.activity.notifications.event import Event

MEDIA_TYPE = "application/cloudevents+json"
TYPE_PREFIX = "org.openstack."  # image.create is org.openstack.image.create


def cloud_event(event: Event) -> bytes:
    """Return the event, encoded."""
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/openstack/{quote(event.publisher_id, safe='.-_~:@')}",
        "type": TYPE_PREFIX + event.type,
        "time": datetime.fromtimestamp(event.at / 1_000_000, UTC).isoformat(timespec="microseconds")[:-6] + "Z",
        "datacontenttype": "application/json",
    }
    # Names of extensions are lower-case letters and digits; an attribute without a value is left out.
    extensions = {"requestid": event.request_id, "userid": event.user_id, "projectid": event.project_id}
    for name, value in {"subject": event.subject, **extensions}.items():
        if value:
            document[name] = value
    return msgspec.json.encode({**document, "data": event.payload})
