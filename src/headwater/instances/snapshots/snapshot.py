"""All answers for an instance, rendered once for each state of it and the same in every process.

A snapshot is a pure function of the record in the catalogue and, for some time after a change, holds as well the
documents that the change took away: see ``kept.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from headwater.instances.model import Instance
from headwater.instances.registry.rows import Record
from headwater.instances.trees import ec2, nocloud, openstack
from headwater.instances.trees.document import Document
from headwater.instances.vendor_data.static import NOTHING, Static

_FACTS = ("project_id", "name", "hostname", "image_id")
_DOCUMENT_BYTES = 250  # what a path and its entry take beside the body


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every document of one instance by its name, such as ``ec2/latest/meta-data/hostname``."""

    instance_id: str
    project_id: str | None
    revision: int
    documents: Mapping[str, Document]
    needs_token: bool = False  # for whatever is read
    hop_limit: int | None = None
    facts: Mapping[str, str | None] = field(default_factory=dict)  # that a token of its identity tells
    instance: Instance  # as its guest is told of it
    is_registered: bool = True  # else others know of it

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes."""
        bodies = {id(document): len(document.body) for document in self.documents.values()}
        return sum(bodies.values()) + _DOCUMENT_BYTES * len(self.documents)


def render(record: Record, *, in_grace: bool, region: str | None = None, static: Static = NOTHING) -> Snapshot:
    """Return the snapshot of a record.

    Args:
        in_grace: Whether the last change is so fresh that what it took away must still answer.
        region: Where the instance runs; ``None``: that is not told.
        static: The vendor data of instances that have none of their own.
    """
    documents: dict[str, Document] = {}
    if in_grace and record.replaced is not None:
        documents |= _trees(static.told(record.replaced), region)
    told = static.told(record.instance)
    documents |= _trees(told, region)
    return Snapshot(
        instance=told,
        instance_id=record.instance.id,
        project_id=record.instance.project_id,
        revision=record.instance.revision,
        documents=MappingProxyType(documents),
        needs_token=record.instance.tokens == "required",
        hop_limit=record.instance.hop_limit,
        facts=MappingProxyType({name: getattr(record.instance, name) for name in _FACTS}),
    )


def _trees(instance: Instance, region: str | None) -> dict[str, Document]:
    return ec2.tree(instance, region=region) | openstack.tree(instance) | nocloud.tree(instance)
