"""Take the records of a file into the registry: all of them, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError
from headwater.instances.bulk.records import Place, Record, RecordsWrong
from headwater.instances.errors import InstanceNotFound
from headwater.instances.model import Instance
from headwater.instances.registry.rows import InstanceRows, SomeRefused
from headwater.instances.service import Images


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
    before: Mapping[str, Instance]  # the changed, by their ids, as they were


def import_all(
    registry: InstanceRows,
    images: Images,
    records: Sequence[Record],
    *,
    replaces: bool,
    dry_run: bool,
    wrong: RecordsWrong | None = None,
    clock: Clock = now,
) -> Outcome:
    """Register the machines of all records, in one transaction.

    Args:
        replaces: A machine that is there, by its id or else by its name, is changed to what its record says.
        dry_run: Only say what would be done.
        wrong: What is wrong with records beside these: then nothing is done, and told is what is wrong with any.

    Raises:
        RecordsWrong: Some cannot be taken; nothing was changed.
    """
    added: list[Instance] = []
    changed: list[Instance] = []
    unchanged: list[Instance] = []
    before: dict[str, Instance] = {}
    places: dict[str, Place] = {}
    faults: list[tuple[Place, str]] = [] if wrong is None else list(wrong.faults)
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
        after = _changed(there, wanted, record.says)
        (unchanged if after == there else changed).append(after)
        before[there.id] = there
        places[after.id] = record.place
    kept: list[Instance] = []
    try:
        kept = registry.write_all(added, changed, at=clock(), dry_run=dry_run or bool(faults))
    except SomeRefused as error:
        faults += [(places[instance.id], str(reason)) for instance, reason in error.refused]
    if faults:
        raise RecordsWrong(faults, records, len(records) if wrong is None else wrong.count)
    if not dry_run:
        for image_id in {each.image_id for each in (*added, *changed)} - {None}:
            assert image_id is not None
            images.used(image_id)
    return Outcome(added=tuple(added), changed=tuple(kept), unchanged=tuple(unchanged), before=before)


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


def _changed(there: Instance, wanted: Instance, says: frozenset[str]) -> Instance:
    said = {name: getattr(wanted, name) for name in says}
    if "keys" in said:
        said["keys"] = (*wanted.keys, *(key for key in there.keys if key.type != "ssh"))
    return replace(there, **said)
