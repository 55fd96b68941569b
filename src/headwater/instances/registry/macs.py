"""The MAC addresses of instances, kept in SQL beside their records, and whom an identifier of hardware means."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, delete, insert, select

from headwater.database.tables import instance_macs, instances
from headwater.instances.model import Instance
from headwater.instances.registry.hardware import Kind, macs_of

_EDITION = select(instances.c.id, instances.c.revision, instances.c.updated_at)
_VALUES: BindParameter[list[str]] = bindparam("values", expanding=True)

# What asks for the state of whom an identifier means: two rows tell that it means nobody.
EDITION_BY: dict[Kind, Select[Any]] = {
    "uuid": _EDITION.where(instances.c.id.in_(_VALUES)).limit(2),
    "serial": _EDITION.where(instances.c.serial.in_(_VALUES)).limit(2),
    "mac": _EDITION.join_from(instance_macs, instances, instances.c.id == instance_macs.c.instance_id)
    .where(instance_macs.c.mac.in_(_VALUES))
    .limit(2),
}


def write_macs(connection: Connection, instance: Instance) -> None:
    """Put the MAC addresses of an instance in the place of those that it had."""
    connection.execute(delete(instance_macs).where(instance_macs.c.instance_id == instance.id))
    rows = [{"mac": mac, "instance_id": instance.id} for mac in sorted(macs_of(instance))]
    if rows:
        connection.execute(insert(instance_macs), rows)
