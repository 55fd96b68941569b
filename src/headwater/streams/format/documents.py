"""Simplestreams documents: ``index:1.0``, ``products:1.0`` and the mirrors document.

Reading keeps everything: the keys that we know become typed fields, all others stay in ``extra``,
and ``order`` remembers how the keys stood (``None``: made here), so that ``from_dict`` followed by ``to_dict`` says the
same. A known key that holds ``null`` counts as absent (as Juju reads it) and is still written back. ``spacing``
remembers how the text was laid out, so that ``from_bytes`` followed by ``to_bytes`` gives the same bytes.

``where`` is the place inside the document, such as ``products["a:b"].versions["20260101"]``; every
error names it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from headwater.streams.format.json_objects import (
    JsonObject,
    MalformedDocument,
    as_list,
    as_text,
    in_order,
    parse_json,
)
from headwater.streams.format.spacing import Spacing

INDEX_FORMAT: Final = "index:1.0"
PRODUCTS_FORMAT: Final = "products:1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What every object of a document keeps of how it was read."""

    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] | None = field(default=None, repr=False, compare=False)

    def _in_order(self, known: Mapping[str, Any]) -> dict[str, Any]:
        return in_order(known, self.extra, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole(_Part, ABC):
    """A document, which keeps how its text was laid out as well."""

    spacing: Spacing = field(default=Spacing(), repr=False, compare=False)

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        return replace(cls.from_dict(parse_json(body)), spacing=Spacing.of(body))

    @classmethod
    @abstractmethod
    def from_dict(cls, data: object) -> Self:
        """Return the document that ``data`` is."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""

    def to_bytes(self) -> bytes:
        return self.spacing.to_bytes(self.to_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud(_Part):
    """One pair that an index entry is for."""

    region: str | None = None
    endpoint: str | None = None

    @classmethod
    def from_dict(cls, data: object, where: str = "cloud") -> Cloud:
        found = JsonObject(data, where)
        return cls(region=found.text("region"), endpoint=found.text("endpoint"), **found.rest())

    def to_dict(self) -> dict[str, Any]:
        return self._in_order({"region": self.region, "endpoint": self.endpoint})


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry(_Part):
    """What an index says about one products file (or further index) at ``path``."""

    path: str
    datatype: str | None = None
    format: str | None = None
    updated: str | None = None  # RFC 2822
    cloudname: str | None = None
    clouds: tuple[Cloud, ...] | None = None
    products: tuple[str, ...] | None = None

    @classmethod
    def from_dict(cls, data: object, where: str = "entry") -> IndexEntry:
        """Read one entry.

        Raises:
            MalformedDocument: A known key has another shape, or ``path`` is missing.
            UnsafePath: ``path`` leads elsewhere.
        """
        found = JsonObject(data, where)
        path = found.path()
        if path is None:
            raise MalformedDocument(f"{where}.path", "it is missing; an entry must say where its document is")
        return cls(
            path=path,
            datatype=found.text("datatype"),
            format=found.text("format"),
            updated=found.text("updated"),
            cloudname=found.text("cloudname"),
            clouds=found.list_of("clouds", Cloud.from_dict),
            products=found.list_of("products", as_text),
            **found.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        known = {
            "updated": self.updated,
            "format": self.format,
            "datatype": self.datatype,
            "cloudname": self.cloudname,
            "clouds": None if self.clouds is None else [cloud.to_dict() for cloud in self.clouds],
            "path": self.path,
            "products": None if self.products is None else list(self.products),
        }
        return self._in_order(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(_Whole):
    """``index:1.0``: which documents there are, by content id."""

    index: Mapping[str, IndexEntry]
    format: str | None = INDEX_FORMAT
    updated: str | None = None

    @classmethod
    def from_dict(cls, data: object, where: str = "index document") -> Self:
        found = JsonObject(data, where)
        return cls(
            index=found.required_children("index", IndexEntry.from_dict),
            format=found.format(INDEX_FORMAT),
            updated=found.text("updated"),
            **found.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        known = {
            "index": {name: entry.to_dict() for name, entry in self.index.items()},
            "updated": self.updated,
            "format": self.format,
        }
        return self._in_order(known)

    def with_signed_paths(self) -> Index:
        """Return this index with each path to a ``.json`` document turned to its ``.sjson`` twin.

        A signed index must name signed documents: readers take each file signed or not as the index was.
        """
        return replace(
            self, index={name: replace(entry, path=signed_name(entry.path)) for name, entry in self.index.items()}
        )


def signed_name(name: str) -> str:
    """Return the name of the inline-signed twin: ``a.json`` gives ``a.sjson``; other names stay."""
    return f"{name.removesuffix('.json')}.sjson" if name.endswith(".json") else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(_Part):
    """The leaf: a file (with ``path``) or an image in a cloud (with ``id``)."""

    id: str | None = None
    path: str | None = None
    ftype: str | None = None
    size: int | str | None = None  # bytes; as read: some writers give digits in a string
    md5: str | None = None
    sha256: str | None = None
    sha512: str | None = None
    version: str | None = None
    arch: str | None = None
    crsn: str | None = None
    root_store: str | None = None
    virt: str | None = None
    region: str | None = None
    endpoint: str | None = None

    @classmethod
    def from_dict(cls, data: object, where: str = "item") -> Item:
        found = JsonObject(data, where)
        return cls(
            id=found.text("id"),
            path=found.path(),
            ftype=found.text("ftype"),
            size=found.size(),
            md5=found.text("md5"),
            sha256=found.text("sha256"),
            sha512=found.text("sha512"),
            version=found.text("version"),
            arch=found.text("arch"),
            crsn=found.text("crsn"),
            root_store=found.text("root_store"),
            virt=found.text("virt"),
            region=found.text("region"),
            endpoint=found.text("endpoint"),
            **found.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        known = {
            "id": self.id,
            "path": self.path,
            "ftype": self.ftype,
            "size": self.size,
            "md5": self.md5,
            "sha256": self.sha256,
            "sha512": self.sha512,
            "version": self.version,
            "arch": self.arch,
            "crsn": self.crsn,
            "root_store": self.root_store,
            "virt": self.virt,
            "region": self.region,
            "endpoint": self.endpoint,
        }
        return self._in_order(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(_Part):
    """One build of a product; its name, the key in the product, sorts as a string."""

    items: Mapping[str, Item]
    version: str | None = None
    release: str | None = None
    arch: str | None = None
    region: str | None = None
    endpoint: str | None = None
    label: str | None = None
    pubname: str | None = None

    @classmethod
    def from_dict(cls, data: object, where: str = "version") -> Version:
        found = JsonObject(data, where)
        return cls(
            items=found.children("items", Item.from_dict),
            version=found.text("version"),
            release=found.text("release"),
            arch=found.text("arch"),
            region=found.text("region"),
            endpoint=found.text("endpoint"),
            label=found.text("label"),
            pubname=found.text("pubname"),
            **found.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        known = {
            "label": self.label,
            "pubname": self.pubname,
            "version": self.version,
            "release": self.release,
            "arch": self.arch,
            "region": self.region,
            "endpoint": self.endpoint,
            "items": _container({name: item.to_dict() for name, item in self.items.items()}, "items", self),
        }
        return self._in_order(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(_Part):
    """One thing that exists in several versions; its name is unique in a file."""

    versions: Mapping[str, Version]
    version: str | None = None
    release: str | None = None
    arch: str | None = None
    os: str | None = None
    region: str | None = None
    endpoint: str | None = None
    root_store: str | None = None
    virt: str | None = None

    @classmethod
    def from_dict(cls, data: object, where: str = "product") -> Product:
        found = JsonObject(data, where)
        return cls(
            versions=found.children("versions", Version.from_dict),
            version=found.text("version"),
            release=found.text("release"),
            arch=found.text("arch"),
            os=found.text("os"),
            region=found.text("region"),
            endpoint=found.text("endpoint"),
            root_store=found.text("root_store"),
            virt=found.text("virt"),
            **found.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        versions = {name: version.to_dict() for name, version in self.versions.items()}
        known = {
            "os": self.os,
            "version": self.version,
            "release": self.release,
            "arch": self.arch,
            "region": self.region,
            "endpoint": self.endpoint,
            "root_store": self.root_store,
            "virt": self.virt,
            "versions": _container(versions, "versions", self),
        }
        return self._in_order(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Products(_Whole):
    """``products:1.0``: products, their versions, their items. ``_aliases`` and the like stay in ``extra``."""

    products: Mapping[str, Product]
    content_id: str | None = None
    datatype: str | None = None
    updated: str | None = None  # RFC 2822
    format: str | None = PRODUCTS_FORMAT
    region: str | None = None
    endpoint: str | None = None
    root_store: str | None = None
    virt: str | None = None

    @classmethod
    def from_dict(cls, data: object, where: str = "products document") -> Self:
        found = JsonObject(data, where)
        return cls(
            products=found.required_children("products", Product.from_dict),
            content_id=found.text("content_id"),
            datatype=found.text("datatype"),
            updated=found.text("updated"),
            format=found.format(PRODUCTS_FORMAT),
            region=found.text("region"),
            endpoint=found.text("endpoint"),
            root_store=found.text("root_store"),
            virt=found.text("virt"),
            **found.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        known = {
            "content_id": self.content_id,
            "datatype": self.datatype,
            "format": self.format,
            "updated": self.updated,
            "region": self.region,
            "endpoint": self.endpoint,
            "root_store": self.root_store,
            "virt": self.virt,
            "products": {name: product.to_dict() for name, product in self.products.items()},
        }
        return self._in_order(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror(_Part):
    """One place that has the same content: a document at ``path``, or a base URL ``mirror``."""

    path: str | None = None
    mirror: str | None = None
    datatype: str | None = None
    format: str | None = None
    updated: str | None = None  # here Juju's tools write a date, YYYYMMDD
    clouds: tuple[Cloud, ...] | None = None

    @classmethod
    def from_dict(cls, data: object, where: str = "mirror") -> Mirror:
        found = JsonObject(data, where)
        return cls(
            path=found.path(),
            mirror=found.text("mirror"),
            datatype=found.text("datatype"),
            format=found.text("format"),
            updated=found.text("updated"),
            clouds=found.list_of("clouds", Cloud.from_dict),
            **found.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        known = {
            "updated": self.updated,
            "format": self.format,
            "datatype": self.datatype,
            "mirror": self.mirror,
            "path": self.path,
            "clouds": None if self.clouds is None else [cloud.to_dict() for cloud in self.clouds],
        }
        return self._in_order(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors(_Whole):
    """The mirrors document, which only Juju reads; it has no ``format`` of its own at the top."""

    mirrors: Mapping[str, tuple[Mirror, ...]]

    @classmethod
    def from_dict(cls, data: object, where: str = "mirrors document") -> Self:
        found = JsonObject(data, where)
        return cls(
            mirrors=found.required_children("mirrors", lambda value, at: as_list(value, at, Mirror.from_dict)),
            **found.rest(),
        )

    def to_dict(self) -> dict[str, Any]:
        known = {"mirrors": {name: [mirror.to_dict() for mirror in group] for name, group in self.mirrors.items()}}
        return self._in_order(known)


def _container(children: dict[str, Any], key: str, owner: Product | Version) -> dict[str, Any] | None:
    """Return the children to write; ``None`` when the object as read had none under ``key`` and none was added."""
    had_it = owner.order is None or (key in owner.order and key not in owner.extra)
    return children if children or had_it else None
