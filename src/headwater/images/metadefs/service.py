"""What can be done with metadata definitions, and by whom.

A namespace that the caller does not see is not found, whatever is asked of it; one that they see and may
not change is forbidden. Rules have the names and the targets that Glance's policies use, so that an
operator's policy file decides here as it did there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from headwater.clock import Clock, now
from headwater.identity.caller import Caller
from headwater.identity.policy.rules import Rules
from headwater.images.catalogue.changes import Changes
from headwater.images.metadefs import catalogue as namespaces
from headwater.images.metadefs import reading
from headwater.images.metadefs.catalogue import MetadefRows, Query, Sight
from headwater.images.metadefs.model import (
    Association,
    Definition,
    MetadefObject,
    Namespace,
    NamespaceNotFound,
    Property,
    ResourceType,
    Tag,
)
from headwater.images.metadefs.paging import PageOfParts
from headwater.images.metadefs.reading import Document

Parts = Literal["objects", "properties", "tags"]  # as the names of Glance's notifications end

# What changes a namespace, by the rule that guards it: the names of Glance's notifications.
_ACTIONS = {
    "modify_metadef_namespace": "metadef_namespace.update",
    "add_metadef_resource_type_association": "metadef_resource_type.create",
    "remove_metadef_resource_type_association": "metadef_resource_type.delete",
    "add_metadef_property": "metadef_property.create",
    "modify_metadef_property": "metadef_property.update",
    "remove_metadef_property": "metadef_property.delete",
    "add_metadef_object": "metadef_object.create",
    "modify_metadef_object": "metadef_object.update",
    "delete_metadef_object": "metadef_object.delete",
    "add_metadef_tag": "metadef_tag.create",
    "add_metadef_tags": "metadef_tag.create",
    "modify_metadef_tag": "metadef_tag.update",
    "delete_metadef_tag": "metadef_tag.delete",
}


class Metadefs:
    """The use cases; safe to use from several threads."""

    def __init__(
        self,
        catalogue: MetadefRows,
        policy: Rules,
        changes: Changes,
        *,
        clock: Clock = now,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._catalogue = catalogue
        self._policy = policy
        self._changes = changes
        self._clock = clock
        self._new_id = new_id

    # --- Namespaces ------------------------------------------------------------------------------

    def create_namespace(self, caller: Caller, document: Document) -> Namespace:
        """Keep a new namespace with all that the document puts into it.

        Raises:
            SchemaViolation, ReadOnlyAttribute: The document cannot be a namespace.
            NamespaceExists, DefinitionExists: A name is taken, or is given twice.
        """
        reading.require_writable(document, "self", "schema", "created_at", "updated_at")
        made = reading.namespace(document, self._new_id(), self._clock(), owner=caller.project_id)
        target = _own(caller)
        with self._changes.told(caller, "metadef_namespace.create", namespace=made.namespace) as change:
            self._policy.require("add_metadef_namespace", caller, target)
            for rule, parts in (
                ("add_metadef_resource_type_association", made.associations),
                ("add_metadef_object", made.objects),
                ("add_metadef_property", made.properties),
                ("add_metadef_tag", made.tags),
            ):
                if parts:
                    self._policy.require(rule, caller, target)
            return change.commit(namespaces.created(made))

    def namespaces(self, caller: Caller, query: Query) -> tuple[list[Namespace], Namespace | None]:
        """Return one page, and what the next one begins after; ``None`` when the list ends here.

        Raises:
            NamespaceNotFound: As ``MetadefRows.page`` says.
        """
        for rule in ("get_metadef_namespaces", "list_metadef_resource_types"):
            self._policy.require(rule, caller, _public(caller))
        if not query.limit:
            return [], None
        found = self._catalogue.page(query, self._sight(caller), as_heads=True)
        marker = found[-1] if len(found) == query.limit else None
        return [each for each in found if self._policy.allows("get_metadef_namespace", caller, _target(each))], marker

    def namespace(self, caller: Caller, name: str, resource_type: str | None = None) -> Namespace:
        """Return one namespace, with the names that its properties have on ``resource_type`` if that is given."""
        found = self._seen(caller, name)
        if not self._policy.allows("get_metadef_namespace", caller, _target(found)):
            raise NamespaceNotFound(name)
        for rule in (
            "list_metadef_resource_types",
            "get_metadef_objects",
            "get_metadef_properties",
            "get_metadef_tags",
        ):
            self._policy.require(rule, caller, _target(found))
        return found.prefixed_for(resource_type) if resource_type else found

    def replace_namespace(self, caller: Caller, name: str, document: Document) -> Namespace:
        """Set what a namespace is itself; what it holds stays, and what the document leaves out falls back.

        Raises:
            SchemaViolation, ReadOnlyAttribute: The document cannot be a namespace.
            NamespaceExists: The new name is taken.
        """
        reading.require_writable(document, "self", "schema", "created_at", "updated_at")
        new = reading.namespace(document, "", self._clock(), owner=caller.project_id)

        def change(before: Namespace) -> Namespace:
            return replace(
                before,
                namespace=new.namespace,
                display_name=new.display_name,
                description=new.description,
                visibility=new.visibility,
                protected=new.protected,
                owner=new.owner,
                updated_at=max(new.updated_at, before.updated_at + 1),
            )

        return self._changed(caller, name, "modify_metadef_namespace", change)

    def delete_namespace(self, caller: Caller, name: str) -> None:
        """Forget a namespace with all that it holds or raise ``NamespaceProtected``."""

        def allowed(namespace: Namespace) -> None:
            self._require(caller, namespace, name, "delete_metadef_namespace")
            namespace.require_deletable("it")

        with self._changes.told(caller, "metadef_namespace.delete", namespace=name) as change:
            self._require(caller, self._catalogue.get(name), name, "delete_metadef_namespace")
            change.commit(namespaces.deleted(name, allowed))

    # --- Resource types --------------------------------------------------------------------------

    def resource_types(self, caller: Caller) -> list[ResourceType]:
        """Return every kind of resource that namespaces name."""
        self._policy.require("list_metadef_resource_types", caller, _public(caller))
        return self._catalogue.resource_types()

    def associations(self, caller: Caller, name: str) -> tuple[Association, ...]:
        """Return the kinds of resource that the namespace is for."""
        found = self._readable(caller, name, "list_metadef_resource_types")
        return found.associations if self._policy.allows("get_metadef_resource_type", caller, _target(found)) else ()

    def associate(self, caller: Caller, name: str, document: Document) -> Association:
        """Say that the namespace is for one more kind of resource or raise ``DefinitionExists``."""
        reading.require_writable(document, "created_at", "updated_at")
        new = reading.association(document, self._clock())
        self._changed(
            caller,
            name,
            "add_metadef_resource_type_association",
            lambda before: replace(before, associations=before.added(before.associations, (new,))),
        )
        return new

    def dissociate(self, caller: Caller, name: str, resource_type: str) -> None:
        """Say that the namespace is not for this kind of resource."""

        def change(before: Namespace) -> Namespace:
            after = before.removed(before.associations, Association, resource_type)
            before.require_deletable(f"its association with {resource_type!r}")
            return replace(before, associations=after)

        self._changed(caller, name, "remove_metadef_resource_type_association", change)

    # --- Properties ------------------------------------------------------------------------------

    def properties(self, caller: Caller, name: str) -> tuple[Property, ...]:
        """Return the properties of the namespace."""
        return self._readable(caller, name, "get_metadef_properties").properties

    def property(self, caller: Caller, name: str, wanted: str, resource_type: str | None = None) -> Property:
        """Return one property by its name, or by the name that it has on ``resource_type``."""
        found = self._readable(caller, name, "get_metadef_property")
        if not resource_type:
            return found.get(found.properties, Property, wanted)
        self._policy.require("get_metadef_resource_type", caller, _target(found))
        return found.property_on(resource_type, wanted)

    def add_property(self, caller: Caller, name: str, document: Document) -> Property:
        """Put one more property into the namespace or raise ``DefinitionExists``."""
        reading.require_writable(document, "created_at", "updated_at")
        new = reading.one_property(document)
        self._changed(
            caller,
            name,
            "add_metadef_property",
            lambda before: replace(before, properties=before.added(before.properties, (new,))),
        )
        return new

    def replace_property(self, caller: Caller, name: str, wanted: str, document: Document) -> Property:
        """Put another property, which may have another name, in the place of one."""
        reading.require_writable(document, "created_at", "updated_at")
        new = reading.one_property(document)
        self._changed(
            caller,
            name,
            "modify_metadef_property",
            lambda before: replace(before, properties=before.replaced(before.properties, wanted, new)),
        )
        return new

    def delete_property(self, caller: Caller, name: str, wanted: str) -> None:
        """Take one property out of the namespace."""
        self._changed(caller, name, "remove_metadef_property", _without_one("properties", Property, wanted))

    def delete_properties(self, caller: Caller, name: str) -> None:
        """Take every property out of the namespace."""
        self._emptied(caller, name, "properties", ("delete_metadef_namespace",))

    # --- Objects ---------------------------------------------------------------------------------

    def objects(self, caller: Caller, name: str, page: PageOfParts) -> list[MetadefObject]:
        """Return the objects of the namespace that ``page`` asks for."""
        found = self._readable(caller, name, "get_metadef_objects")
        shown = page.of(found, found.objects, MetadefObject)
        return shown if self._policy.allows("get_metadef_object", caller, _target(found)) else []

    def object(self, caller: Caller, name: str, wanted: str) -> MetadefObject:
        """Return one object."""
        found = self._readable(caller, name, "get_metadef_object")
        return found.get(found.objects, MetadefObject, wanted)

    def add_object(self, caller: Caller, name: str, document: Document) -> MetadefObject:
        """Put one more object into the namespace or raise ``DefinitionExists``."""
        reading.require_writable(document, "self", "schema", "created_at", "updated_at")
        new = reading.group(document, self._clock())
        self._changed(
            caller,
            name,
            "add_metadef_object",
            lambda before: replace(before, objects=before.added(before.objects, (new,))),
        )
        return new

    def replace_object(self, caller: Caller, name: str, wanted: str, document: Document) -> MetadefObject:
        """Put another object, which may have another name, in the place of one."""
        reading.require_writable(document, "self", "schema", "created_at", "updated_at")
        new = reading.group(document, self._clock())

        def change(before: Namespace) -> Namespace:
            kept = replace(new, created_at=before.get(before.objects, MetadefObject, wanted).created_at)
            return replace(before, objects=before.replaced(before.objects, wanted, kept))

        after = self._changed(caller, name, "modify_metadef_object", change)
        return after.get(after.objects, MetadefObject, new.name)

    def delete_object(self, caller: Caller, name: str, wanted: str) -> None:
        """Take one object out of the namespace."""
        self._changed(caller, name, "delete_metadef_object", _without_one("objects", MetadefObject, wanted))

    def delete_objects(self, caller: Caller, name: str) -> None:
        """Take every object out of the namespace."""
        self._emptied(caller, name, "objects", ("delete_metadef_namespace",))

    # --- Tags ------------------------------------------------------------------------------------

    def tags(self, caller: Caller, name: str, page: PageOfParts) -> list[Tag]:
        """Return the tags of the namespace that ``page`` asks for."""
        found = self._readable(caller, name, "get_metadef_tags")
        return page.of(found, found.tags, Tag)

    def tag(self, caller: Caller, name: str, wanted: str) -> Tag:
        """Return one tag."""
        found = self._readable(caller, name, "get_metadef_tag")
        return found.get(found.tags, Tag, wanted)

    def add_tag(self, caller: Caller, name: str, new_name: str) -> Tag:
        """Put one more tag into the namespace or raise ``DefinitionExists``."""
        new = reading.tag({"name": new_name}, self._clock())
        self._changed(
            caller, name, "add_metadef_tag", lambda before: replace(before, tags=before.added(before.tags, (new,)))
        )
        return new

    def set_tags(self, caller: Caller, name: str, document: Document, *, append: bool) -> list[Tag]:
        """Put these tags into the namespace, in the place of all others unless ``append``, and return them.

        Raises:
            DefinitionExists: One of them is there twice, or already.
        """
        reading.require_writable(document, "created_at", "updated_at")
        new = reading.tags(document, self._clock())
        self._changed(
            caller,
            name,
            "add_metadef_tags",
            lambda before: replace(before, tags=before.added(before.tags if append else (), new)),
        )
        return new

    def rename_tag(self, caller: Caller, name: str, wanted: str, document: Document) -> Tag:
        """Give one tag another name."""
        reading.require_writable(document, "created_at", "updated_at")
        new = reading.tag(document, self._clock())

        def change(before: Namespace) -> Namespace:
            kept = replace(new, created_at=before.get(before.tags, Tag, wanted).created_at)
            return replace(before, tags=before.replaced(before.tags, wanted, kept))

        after = self._changed(caller, name, "modify_metadef_tag", change)
        return after.get(after.tags, Tag, new.name)

    def delete_tag(self, caller: Caller, name: str, wanted: str) -> None:
        """Take one tag out of the namespace."""
        self._changed(caller, name, "delete_metadef_tag", _without_one("tags", Tag, wanted))

    def delete_tags(self, caller: Caller, name: str) -> None:
        """Take every tag out of the namespace."""
        rules = ("delete_metadef_namespace", "delete_metadef_tags")
        self._emptied(caller, name, "tags", rules)

    # --- What they share -------------------------------------------------------------------------

    def _sight(self, caller: Caller) -> Sight:
        is_admin = self._policy.allows("context_is_admin", caller, {})
        return Sight(everything=is_admin, project_id=caller.project_id)

    def _seen(self, caller: Caller, name: str) -> Namespace:
        found = self._catalogue.get(name)
        if not self._sight(caller).sees(found):
            raise NamespaceNotFound(name)
        return found

    def _readable(self, caller: Caller, name: str, rule: str) -> Namespace:
        found = self._seen(caller, name)
        self._policy.require(rule, caller, _target(found))
        return found

    def _require(self, caller: Caller, namespace: Namespace, name: str, *rules: str) -> None:
        if not self._sight(caller).sees(namespace):
            raise NamespaceNotFound(name)
        for rule in rules:
            self._policy.require(rule, caller, _target(namespace))

    def _changed(self, caller: Caller, name: str, rule: str, change: Callable[[Namespace], Namespace]) -> Namespace:
        return self._told(caller, _ACTIONS[rule], name, (rule,), change)

    def _emptied(self, caller: Caller, name: str, parts: Parts, rules: tuple[str, ...]) -> None:
        def emptied(before: Namespace) -> Namespace:
            before.require_deletable(f"its {parts}")
            nothing: dict[str, Any] = {parts: ()}
            return replace(before, **nothing)

        self._told(caller, f"metadef_namespace.delete_{parts}", name, rules, emptied)

    def _told(
        self, caller: Caller, action: str, name: str, rules: tuple[str, ...], change: Callable[[Namespace], Namespace]
    ) -> Namespace:
        """Change a namespace that the caller sees and may change by all these rules, and tell of it as ``action``."""

        def checked(before: Namespace) -> Namespace:
            self._require(caller, before, name, *rules)
            return change(before)

        with self._changes.told(caller, action, namespace=name) as unit:
            self._require(caller, self._catalogue.get(name), name, *rules)
            return unit.commit(namespaces.changed(name, checked))


def _without_one(parts: Parts, kind: type[Definition], name: str) -> Callable[[Namespace], Namespace]:
    """Return the change that takes one of its parts out of a namespace."""

    def change(before: Namespace) -> Namespace:
        left: dict[str, Any] = {parts: before.removed(getattr(before, parts), kind, name)}
        before.require_deletable(f"its {kind.NOUN} {name!r}")
        return replace(before, **left)

    return change


def _own(caller: Caller) -> dict[str, Any]:
    return {"project_id": caller.project_id}


def _public(caller: Caller) -> dict[str, Any]:
    """Return the target of a list: what everybody sees is in it, so a caller without a project may ask."""
    return {**_own(caller), "visibility": "public"}


def _target(namespace: Namespace) -> dict[str, Any]:
    return {
        "namespace": namespace.namespace,
        "visibility": namespace.visibility.value,
        "owner": namespace.owner,
        "project_id": namespace.owner,
    }
