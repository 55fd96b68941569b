"""What a change of a namespace tells: an event for the namespace, and one for each part that came, changed or went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from headwater.clock import timestamp
from headwater.images.events.payloads import deletion
from headwater.images.metadefs.model import Association, Definition, MetadefObject, Namespace, Property, Tag

D = TypeVar("D", bound=Definition)

Told = tuple[str, str, dict[str, Any]]  # type, subject, payload


def namespace_payload(
    now: Namespace, *, before: Namespace | None = None, deleted_at: int | None = None
) -> dict[str, Any]:
    """Return the payload of ``metadef_namespace.*``."""
    return {
        "namespace": now.namespace,
        "namespace_old": (before or now).namespace,
        "display_name": now.display_name,
        "protected": now.protected,
        "visibility": now.visibility.value,
        "owner": now.owner,
        "description": now.description,
        "created_at": timestamp(now.created_at),
        "updated_at": timestamp(now.updated_at),
        **deletion(deleted_at),
    }


def told(action: str, before: Namespace | None, after: Namespace | None, at: int) -> Iterator[Told]:
    """Yield what a change tells.

    Args:
        action: What was asked for; ``metadef_namespace.delete_objects`` and its like are told as one event.
        before, after: The namespace, ``None`` when it is new or gone.
        at: When, in microseconds since 1970.
    """
    if after is None:
        if before is not None:
            yield "metadef_namespace.delete", before.namespace, namespace_payload(before, deleted_at=at)
        return
    if action.startswith("metadef_namespace.delete_"):
        yield action, after.namespace, namespace_payload(after, deleted_at=at)
        return
    if before is None:
        yield "metadef_namespace.create", after.namespace, namespace_payload(after)
    elif _own(before) != _own(after):
        yield "metadef_namespace.update", after.namespace, namespace_payload(after, before=before)
    name = after.namespace
    yield from _parts("metadef_object", name, before.objects if before else (), after.objects, at)
    yield from _parts("metadef_property", name, before.properties if before else (), after.properties, at)
    yield from _parts("metadef_tag", name, before.tags if before else (), after.tags, at)
    yield from _parts("metadef_resource_type", name, before.associations if before else (), after.associations, at)


def _own(namespace: Namespace) -> tuple[object, ...]:
    return (
        namespace.namespace,
        namespace.display_name,
        namespace.description,
        namespace.visibility,
        namespace.protected,
        namespace.owner,
    )


def _parts(group: str, namespace: str, before: tuple[D, ...], after: tuple[D, ...], at: int) -> Iterator[Told]:
    # A part that is replaced keeps its place, also under a new name.
    moved = [(old, new) for old, new in zip(before, after, strict=False) if old != new]
    if len(before) == len(after) and len(moved) == 1:
        ((old, new),) = moved
        yield f"{group}.update", new.name, {**_payload(namespace, new), "name_old": old.name, **deletion(None)}
        return
    known, kept = {part.key for part in before}, {part.key for part in after}
    for part in before:
        if part.key not in kept:
            yield f"{group}.delete", part.name, {**_payload(namespace, part), **deletion(at)}
    for part in after:
        if part.key not in known:
            yield f"{group}.create", part.name, {**_payload(namespace, part), **deletion(None)}


def _payload(namespace: str, part: Definition) -> dict[str, Any]:
    payload: dict[str, Any] = {"namespace": namespace, "name": part.name, "name_old": part.name}
    if isinstance(part, Property):
        return {**part.definition, **payload}
    if isinstance(part, MetadefObject):
        payload |= {
            "description": part.description,
            "required": list(part.required or ()),
            "properties": [{"name": name, **one} for name, one in part.properties.items()],
        }
    if isinstance(part, Association):
        payload |= {"prefix": part.prefix, "properties_target": part.properties_target}
    if isinstance(part, Association | MetadefObject | Tag):
        payload |= {"created_at": timestamp(part.created_at), "updated_at": timestamp(part.updated_at)}
    return payload
