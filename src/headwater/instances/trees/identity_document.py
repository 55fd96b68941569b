"""EC2's instance identity document: who a machine is, in the form that Amazon's is read and verified in.

It is the same bytes until the record changes, so a signature of it stays good. What is signed is made on reading
(``identity/proofs.py``).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from headwater.instances.model import Instance
from headwater.instances.trees.document import Document, text
from headwater.instances.trees.short_id import short_id

DIRECTORY = "ec2/latest/dynamic/instance-identity"
NAME = f"{DIRECTORY}/document"
_VERSION = "2017-09-30"


def tree(instance: Instance, *, region: str | None = None) -> dict[str, Document]:
    """Return the document and the listings above it; these name also what is signed.

    Args:
        region: Where the instance runs; ``None``: that is not told.
    """
    return {
        DIRECTORY.rpartition("/")[0]: text("instance-identity/"),
        DIRECTORY: text("document\npkcs7\nrsa2048\nsignature"),
        NAME: identity_document(instance, region),
    }


def identity_document(instance: Instance, region: str | None) -> Document:
    """Return the document; ``null`` is what is not known, as in Amazon's.

    ``instanceUuid`` is a key of ours: two machines may share the eight digits of ``instanceId``.
    """
    began = datetime.fromtimestamp(instance.created_at // 1_000_000, UTC)
    known = {
        "accountId": instance.project_id,
        "architecture": None,
        "availabilityZone": instance.availability_zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": _short("ami", instance.image_id),
        "instanceId": short_id("i", instance.id),
        "instanceType": instance.instance_type,
        "instanceUuid": instance.id,
        "kernelId": _short("aki", instance.kernel_id),
        "pendingTime": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": instance.local_ipv4,
        "ramdiskId": _short("ari", instance.ramdisk_id),
        "region": region,
        "version": _VERSION,
    }
    return text(json.dumps(known, indent=2, separators=(",", " : ")))


def _short(prefix: str, uuid: str | None) -> str | None:
    return None if uuid is None else short_id(prefix, uuid)
