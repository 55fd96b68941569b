"""What a service is asked about an instance: the document that Nova sends, with its keys in its order."""

from __future__ import annotations

import json
from base64 import b64encode

from headwater.instances.model import Instance

# Services that look at it know who asks by this. Source: nova/api/metadata/vendordata_dynamic.py
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "openstack-nova-vendordata",
}


def question(instance: Instance) -> bytes:
    """Return the body of the POST; what is not known is ``null``.

    ``boot-roles`` is empty, as no record says which roles they had who made the machine.
    """
    user_data = instance.user_data
    document = {
        "project-id": instance.project_id,
        "instance-id": instance.id,
        "image-id": instance.image_id,
        "user-data": None if user_data is None else b64encode(user_data).decode("ascii"),
        "hostname": instance.hostname,
        "metadata": dict(instance.meta),
        "boot-roles": "",
    }
    return json.dumps(document).encode("ascii")
