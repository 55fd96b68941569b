"""Take the records of a file into the registry: all of them, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError
from headwater.instances.bulk.records import Place, Record, RecordsWrong
from headwater.instances.errors import InstanceNotFound
from headwater.instances.model import Instance
from headwater.instances.registry import InstanceRows, SomeRefused
from headwater.instances.service import Images

# What a record says; the rest of a machine that is there already stays as it is.
_SAID = (
    "name",
    "hostname",
    "project_id",
    "addresses",
    "user_data",
    "vendor_data",
    "network_data",
    "meta",
    "image_id",
    "image_name",
    "instance_type",
    "availability_zone",
    "serial",
    "tokens",
    "hop_limit",
)


class MeantTwice(HeadwaterError):
    """Two records are of one registered machine: one by its id, and one by its name."""

    def __init__(self, instance: Instance, other: Place) -> None:
        super().__init__(f"it means {instance.name!r} ({instance.id}), as {other} does")


class AlreadyThere(HeadwaterError):
    """A record is of a machine that is registered, and nobody said that it may be changed."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(f"{instance.name!r} ({instance.id}) is registered already; --replace changes it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an import did, or would do."""

    added: tuple[Instance, ...]
    changed: tuple[Instance, ...]  # as they are now
    unchanged: tuple[Instance, ...]


def import_all(
    registry: InstanceRows,
    images: Images,
    records: Sequence[Record],
    *,
    replaces: bool,
    dry_run: bool,
    clock: Clock = now,
) -> Outcome:
    """Register the machines of all records, in one transaction.

    Args:
        replaces: A machine that is there, by its id or else by its name, is changed to what its record says.
        dry_run: Only say what would be done.

    Raises:
        RecordsWrong: Some cannot be taken; nothing was changed.
    """
    added: list[Instance] = []
    changed: list[Instance] = []
    unchanged: list[Instance] = []
    places: dict[str, Place] = {}
    faults: list[tuple[Place, str]] = []
    find = cache(images.find)  # many machines start from few images
    for record in records:
        try:
            there = _there(registry, record)
            if there is not None and not replaces:
                raise AlreadyThere(there)
            if there is not None and there.id in places:
                raise MeantTwice(there, places[there.id])
            wanted = _with_image(find, record, there)
        except HeadwaterError as error:
            faults.append((record.place, str(error)))
            continue
        if there is None:
            added.append(wanted)
            places[wanted.id] = record.place
            continue
        after = _changed(there, wanted)
        (unchanged if after == there else changed).append(after)
        places[after.id] = record.place
    if faults:
        raise RecordsWrong(faults, len(records))
    at = clock()
    try:
        kept = registry.write_all(added, changed, at=at, dry_run=dry_run)
    except SomeRefused as error:
        told = [(places[instance.id], str(reason)) for instance, reason in error.refused]
        raise RecordsWrong(sorted(told, key=lambda fault: fault[0].number), len(records)) from error
    if not dry_run:
        for image_id in {each.image_id for each in (*added, *changed)} - {None}:
            assert image_id is not None
            images.used(image_id)
    return Outcome(added=tuple(added), changed=tuple(kept), unchanged=tuple(unchanged))


def _with_image(find: Callable[[str], tuple[str, str]], record: Record, there: Instance | None) -> Instance:
    if record.image is None:
        return record.instance
    if there is not None and record.image == there.image_id:  # which may have been deleted since
        return replace(record.instance, image_id=there.image_id, image_name=there.image_name)
    image_id, image_name = find(record.image)
    return replace(record.instance, image_id=image_id, image_name=image_name)


def _there(registry: InstanceRows, record: Record) -> Instance | None:
    try:
        return registry.get(record.instance.id if record.says_id else record.instance.name)
    except InstanceNotFound:
        return None


def _changed(there: Instance, wanted: Instance) -> Instance:
    certificates = tuple(key for key in there.keys if key.type != "ssh")
    said = {name: getattr(wanted, name) for name in _SAID}
    return replace(there, **said, keys=(*wanted.keys, *certificates))
