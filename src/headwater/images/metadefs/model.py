"""What a metadata definition is and how it may change: pure rules, no I/O and no clock.

A namespace says which properties may be put on which kinds of resource (images, flavors, volumes, …),
and what values they take. It holds resource type associations, properties, objects (named groups of
properties) and tags; each of them is found by its name within the namespace.

Source of the rules: the metadata definitions of the Image API (Glance 33), section 11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar

from headwater.errors import Conflict, Forbidden, NotFound

NAME_LIMIT = 80  # characters of any name


class NamespaceVisibility(StrEnum):
    """Who sees a namespace besides its owner."""

    PUBLIC = "public"
    PRIVATE = "private"


class NamespaceNotFound(NotFound):
    """There is no such namespace, or it is not the caller's to see."""

    def __init__(self, namespace: str) -> None:
        super().__init__(f"Metadata definition namespace {namespace[:NAME_LIMIT]!r} was not found.")
        self.namespace = namespace


class NamespaceExists(Conflict):
    """The name is another namespace's."""

    def __init__(self, namespace: str) -> None:
        super().__init__(f"The metadata definition namespace {namespace!r} already exists.")
        self.namespace = namespace


class NamespaceProtected(Forbidden):
    """A protected namespace and what it holds are not deleted, whoever asks."""

    def __init__(self, namespace: str, what: str) -> None:
        super().__init__(
            f"Metadata definition namespace {namespace!r} is protected, so {what} cannot be deleted: "
            "set 'protected' to false first."
        )
        self.namespace = namespace


class DefinitionNotFound(NotFound):
    """The namespace holds nothing of this kind under this name."""

    def __init__(self, noun: str, name: str, namespace: str) -> None:
        super().__init__(f"The metadata definition {noun} {name[:NAME_LIMIT]!r} was not found in {namespace!r}.")
        self.noun, self.name, self.namespace = noun, name, namespace


class DefinitionExists(Conflict):
    """The namespace holds one of this kind under this name already."""

    def __init__(self, noun: str, name: str, namespace: str) -> None:
        super().__init__(f"The metadata definition {noun} {name!r} already exists in namespace {namespace!r}.")
        self.noun, self.name, self.namespace = noun, name, namespace


class PrefixMissing(NotFound):
    """A property was asked for by the name that it has on a resource type, and the name does not begin so."""

    def __init__(self, name: str, prefix: str | None) -> None:
        super().__init__(
            f"Property {name[:NAME_LIMIT]!r} does not start with the expected resource type association prefix "
            f"of {prefix!r}."
        )
        self.name, self.prefix = name, prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A kind of resource that the namespace's properties may be put on."""

    NOUN: ClassVar[str] = "resource type association"

    name: str  # of the resource type, such as OS::Glance::Image
    created_at: int  # microseconds since 1970, UTC; so are all times here
    updated_at: int
    prefix: str | None = None  # what the names of properties begin with on this kind of resource
    properties_target: str | None = None  # which of the resource's several sets of properties is meant

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property and what values it takes."""

    NOUN: ClassVar[str] = "property"

    name: str
    definition: Mapping[str, Any]  # title, type, enum, minimum, …: the keys of the API, those that are set

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadefObject:
    """A group of properties that belong together."""

    NOUN: ClassVar[str] = "object"

    name: str
    created_at: int
    updated_at: int
    description: str | None = None
    required: tuple[str, ...] | None = None  # names of properties
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A word that may be put on resources."""

    NOUN: ClassVar[str] = "tag"

    name: str
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        # Source: Glance keeps tags that differ in case only from standing beside each other.
        return self.name.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """A kind of resource that some namespace is or was associated with."""

    name: str
    created_at: int
    updated_at: int


class Definition(Protocol):
    """What the parts of a namespace have in common."""

    NOUN: ClassVar[str]

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str:
        """What no two of a kind in one namespace share."""


D = TypeVar("D", bound=Definition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """One namespace with all that it holds. A change makes a new Namespace; the old one stays as it was."""

    id: str  # never shown; stays when the name changes
    namespace: str
    created_at: int
    updated_at: int
    display_name: str | None = None
    description: str | None = None
    visibility: NamespaceVisibility = NamespaceVisibility.PRIVATE
    protected: bool = False
    owner: str | None = None  # project id
    associations: tuple[Association, ...] = ()  # each in the order they were added
    properties: tuple[Property, ...] = ()
    objects: tuple[MetadefObject, ...] = ()
    tags: tuple[Tag, ...] = ()

    def require_deletable(self, what: str) -> None:
        """Raise ``NamespaceProtected`` when neither this namespace nor ``what`` it holds may be deleted."""
        if self.protected:
            raise NamespaceProtected(self.namespace, what)

    def prefixed_for(self, resource_type: str) -> Namespace:
        """Return this namespace with the property names as they stand on resources of this type.

        They stay as they are where the namespace has no association with the type, or one without a prefix.
        """
        prefix = next((each.prefix for each in self.associations if each.name == resource_type), None)
        if not prefix:
            return self
        return replace(
            self,
            properties=tuple(replace(each, name=prefix + each.name) for each in self.properties),
            objects=tuple(_prefixed(each, prefix) for each in self.objects),
        )

    def property_on(self, resource_type: str, name: str) -> Property:
        """Return the property that has ``name``, prefix included, on resources of this type.

        Raises:
            DefinitionNotFound: No association with the type, or no such property.
            PrefixMissing: ``name`` does not begin with the association's prefix.
        """
        prefix = self.get(self.associations, Association, resource_type).prefix
        if not prefix or not name.startswith(prefix):
            raise PrefixMissing(name, prefix)
        return self.get(self.properties, Property, name[len(prefix) :])

    # --- The parts, each kind by name ---------------------------------------------------------------

    def get(self, parts: Iterable[D], kind: type[D], name: str) -> D:
        """Return the one of ``parts`` that has exactly this name or raise ``DefinitionNotFound``."""
        for part in parts:
            if part.name == name:
                return part
        raise DefinitionNotFound(kind.NOUN, name, self.namespace)

    def added(self, parts: Iterable[D], new: Iterable[D]) -> tuple[D, ...]:
        """Return ``parts`` and ``new`` behind them or raise ``DefinitionExists``."""
        result = {part.key: part for part in parts}
        for part in new:
            if part.key in result:
                raise DefinitionExists(part.NOUN, part.name, self.namespace)
            result[part.key] = part
        return tuple(result.values())

    def replaced(self, parts: tuple[D, ...], name: str, new: D) -> tuple[D, ...]:
        """Return ``parts`` with ``new`` in the place of the one that has ``name``.

        Raises:
            DefinitionNotFound: None has.
            DefinitionExists: The new one's name is that of yet another.
        """
        old = self.get(parts, type(new), name)
        self.added((part for part in parts if part is not old), (new,))
        return tuple(new if part is old else part for part in parts)

    def removed(self, parts: tuple[D, ...], kind: type[D], name: str) -> tuple[D, ...]:
        """Return ``parts`` without the one that has ``name`` or raise ``DefinitionNotFound``."""
        old = self.get(parts, kind, name)
        return tuple(part for part in parts if part is not old)


def merged(mine: Namespace, theirs: Namespace) -> Namespace:
    """Return ``mine`` with the associations, properties, objects and tags that only ``theirs`` has."""

    def both(kept: tuple[D, ...], offered: tuple[D, ...]) -> tuple[D, ...]:
        known = {part.key for part in kept}
        return kept + tuple(part for part in offered if part.key not in known)

    return replace(
        mine,
        associations=both(mine.associations, theirs.associations),
        properties=both(mine.properties, theirs.properties),
        objects=both(mine.objects, theirs.objects),
        tags=both(mine.tags, theirs.tags),
    )


def _prefixed(group: MetadefObject, prefix: str) -> MetadefObject:
    return replace(
        group,
        required=None if group.required is None else tuple(prefix + name for name in group.required),
        properties={prefix + name: definition for name, definition in group.properties.items()},
    )
