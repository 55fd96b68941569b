"""Simplestreams documents: ``index:1.0``, ``products:1.0`` and the mirrors document.

Reading keeps everything: the keys that we know become typed fields, all others stay in ``extra``,
and ``order`` remembers how the keys stood, so that ``from_dict`` followed by ``to_dict`` says the
same. A known key that holds ``null`` counts as absent (as Juju reads it) and is still written back.

``where`` is the place inside the document, such as ``products["a:b"].versions["20260101"]``; every
error names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from headwater.errors import Invalid

INDEX_FORMAT: Final = "index:1.0"
PRODUCTS_FORMAT: Final = "products:1.0"

Child = TypeVar("Child")


class MalformedDocument(Invalid):
    """A document that is no simplestreams document of the kind expected."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"simplestreams document: {where}: {problem}")
        self.where, self.problem = where, problem


class UnsafePath(MalformedDocument):
    """A ``path`` that could lead out of the tree in which the document stands."""


def safe_path(path: str, where: str = "path") -> str:
    """Return ``path`` when it stays below the root of the mirror, whoever joins it to what.

    Raises:
        UnsafePath: It is empty, absolute, has a ``..`` segment (also percent-encoded, also as the last one), a
            scheme, a backslash or a control character.
    """
    for form in (path, unquote(path)):
        if not form:
            raise UnsafePath(where, "the path is empty")
        if form.startswith("/"):
            raise UnsafePath(where, f"the path {path!r} begins with '/'; it must be relative to the mirror's root")
        if ".." in form.split("/"):
            raise UnsafePath(where, f"the path {path!r} has a '..' segment")
        if "\\" in form or any(ord(c) < 0x20 or ord(c) == 0x7F for c in form):
            raise UnsafePath(where, f"the path {path!r} holds a backslash or a control character")
        if _SCHEME.match(form):
            raise UnsafePath(where, f"the path {path!r} begins with a scheme; it must be relative to the mirror's root")
    return path


# Source: RFC 3986 section 4.2: the first segment of a relative reference holds no colon.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One pair that an index entry is for."""

    region: str | None = None
    endpoint: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "cloud") -> Cloud:
        found = _Object(data, where)
        return cls(
            region=found.text("region"), endpoint=found.text("endpoint"), extra=found.extra(), order=found.order()
        )

    def to_dict(self) -> dict[str, Any]:
        return _written({"region": self.region, "endpoint": self.endpoint}, self.extra, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """What an index says about one products file (or further index) at ``path``."""

    path: str
    datatype: str | None = None
    format: str | None = None
    updated: str | None = None  # RFC 2822
    cloudname: str | None = None
    clouds: tuple[Cloud, ...] | None = None
    products: tuple[str, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "entry") -> IndexEntry:
        """Read one entry.

        Raises:
            MalformedDocument: A known key has another shape, or ``path`` is missing.
            UnsafePath: ``path`` leads elsewhere.
        """
        found = _Object(data, where)
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
            products=found.list_of("products", _text),
            extra=found.extra(),
            order=found.order(),
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
        return _written(known, self.extra, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """``index:1.0``: which documents there are, by content id."""

    index: Mapping[str, IndexEntry]
    format: str | None = INDEX_FORMAT
    updated: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "index document") -> Index:
        found = _Object(data, where)
        return cls(
            index=found.required_children("index", IndexEntry.from_dict),
            format=found.format(INDEX_FORMAT),
            updated=found.text("updated"),
            extra=found.extra(),
            order=found.order(),
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> Index:
        return cls.from_dict(parse_json(body))

    def to_dict(self) -> dict[str, Any]:
        known = {
            "index": {name: entry.to_dict() for name, entry in self.index.items()},
            "updated": self.updated,
            "format": self.format,
        }
        return _written(known, self.extra, self.order)

    def to_bytes(self) -> bytes:
        return to_bytes(self.to_dict())

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
class Item:
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
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "item") -> Item:
        found = _Object(data, where)
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
            extra=found.extra(),
            order=found.order(),
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
        return _written(known, self.extra, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One build of a product; its name, the key in the product, sorts as a string."""

    items: Mapping[str, Item]
    version: str | None = None
    release: str | None = None
    arch: str | None = None
    region: str | None = None
    endpoint: str | None = None
    label: str | None = None
    pubname: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "version") -> Version:
        found = _Object(data, where)
        return cls(
            items=found.children("items", Item.from_dict),
            version=found.text("version"),
            release=found.text("release"),
            arch=found.text("arch"),
            region=found.text("region"),
            endpoint=found.text("endpoint"),
            label=found.text("label"),
            pubname=found.text("pubname"),
            extra=found.extra(),
            order=found.order(),
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
            "items": _container({name: item.to_dict() for name, item in self.items.items()}, "items", self.order),
        }
        return _written(known, self.extra, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
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
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "product") -> Product:
        found = _Object(data, where)
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
            extra=found.extra(),
            order=found.order(),
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
            "versions": _container(versions, "versions", self.order),
        }
        return _written(known, self.extra, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
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
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "products document") -> Products:
        found = _Object(data, where)
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
            extra=found.extra(),
            order=found.order(),
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> Products:
        return cls.from_dict(parse_json(body))

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
        return _written(known, self.extra, self.order)

    def to_bytes(self) -> bytes:
        return to_bytes(self.to_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One place that has the same content: a document at ``path``, or a base URL ``mirror``."""

    path: str | None = None
    mirror: str | None = None
    datatype: str | None = None
    format: str | None = None
    updated: str | None = None  # here Juju's tools write a date, YYYYMMDD
    clouds: tuple[Cloud, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "mirror") -> Mirror:
        found = _Object(data, where)
        return cls(
            path=found.path(),
            mirror=found.text("mirror"),
            datatype=found.text("datatype"),
            format=found.text("format"),
            updated=found.text("updated"),
            clouds=found.list_of("clouds", Cloud.from_dict),
            extra=found.extra(),
            order=found.order(),
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
        return _written(known, self.extra, self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """The mirrors document, which only Juju reads; it has no ``format`` of its own at the top."""

    mirrors: Mapping[str, tuple[Mirror, ...]]
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: object, where: str = "mirrors document") -> Mirrors:
        found = _Object(data, where)
        return cls(
            mirrors=found.required_children("mirrors", lambda value, at: _list_of(value, at, Mirror.from_dict)),
            extra=found.extra(),
            order=found.order(),
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> Mirrors:
        return cls.from_dict(parse_json(body))

    def to_dict(self) -> dict[str, Any]:
        known = {"mirrors": {name: [mirror.to_dict() for mirror in group] for name, group in self.mirrors.items()}}
        return _written(known, self.extra, self.order)

    def to_bytes(self) -> bytes:
        return to_bytes(self.to_dict())


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Return the JSON text: ASCII only, keys in the order given, one newline at the end.

    ASCII because the simplestreams tools cut a signed text with ``str.splitlines``, for which U+0085 and U+2028 are
    ends of lines. No line begins with a dash or ends in a space, so a signature covers every byte.
    """
    return json.dumps(document, ensure_ascii=True, allow_nan=False, indent=1).encode("ascii") + b"\n"


def parse_json(body: bytes) -> Any:
    """Return what the JSON text ``body`` says.

    Raises:
        MalformedDocument: It is not JSON in UTF-8, or an object names a key twice (readers disagree on such a text).
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise MalformedDocument("top", f"it is not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise MalformedDocument("top", "it is nested too deeply") from error
    except json.JSONDecodeError as error:
        problem = f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        raise MalformedDocument("top", problem) from error
    except ValueError as error:  # a number of thousands of digits
        raise MalformedDocument("top", "it holds a number that is too long") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise MalformedDocument("top", f"one object has the key {twice!r} twice")
    return found


def _no_constant(name: str) -> Any:
    raise MalformedDocument("top", f"it is not JSON: {name} is no JSON number")


class _Object:
    """One JSON object being read: hands out typed values and notes which keys were known."""

    def __init__(self, data: object, where: str) -> None:
        self._data = _object(data, where)
        self._where = where
        self._known: set[str] = set()

    def text(self, key: str) -> str | None:
        value = self._get(key)
        return None if value is None else _text(value, self._at(key))

    def path(self) -> str | None:
        value = self.text("path")
        return None if value is None else safe_path(value, self._at("path"))

    def format(self, expected: str) -> str | None:
        value = self.text("format")
        if value not in (None, expected):
            raise MalformedDocument(self._at("format"), f"it is {value!r}, expected {expected!r}")
        return value

    def size(self) -> int | str | None:
        value = self._get("size")
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            return value
        raise MalformedDocument(self._at("size"), "expected a number of bytes")

    def list_of(self, key: str, read: Callable[[object, str], Child]) -> tuple[Child, ...] | None:
        value = self._get(key)
        return None if value is None else _list_of(value, self._at(key), read)

    def children(self, key: str, read: Callable[[object, str], Child]) -> dict[str, Child]:
        value = self._get(key)
        if value is None:
            return {}
        at = self._at(key)
        return {name: read(child, f"{at}[{json.dumps(name)}]") for name, child in _object(value, at).items()}

    def required_children(self, key: str, read: Callable[[object, str], Child]) -> dict[str, Child]:
        if self._data.get(key) is None:
            raise MalformedDocument(self._at(key), "it is missing; this is no such document")
        return self.children(key, read)

    def extra(self) -> dict[str, Any]:
        """Return the keys that nobody asked for, and those asked for that hold ``null``; ask last."""
        return {name: value for name, value in self._data.items() if name not in self._known or value is None}

    def order(self) -> tuple[str, ...]:
        return tuple(self._data)

    def _get(self, key: str) -> Any:
        self._known.add(key)
        return self._data.get(key)

    def _at(self, key: str) -> str:
        return f"{self._where}.{key}"


_DIGITS = re.compile(r"[0-9]{1,20}")


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedDocument(where, f"expected an object, found {_kind(value)}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise MalformedDocument(where, f"expected a string, found {_kind(value)}")
    return value


def _list_of(value: object, where: str, read: Callable[[object, str], Child]) -> tuple[Child, ...]:
    if not isinstance(value, list):
        raise MalformedDocument(where, f"expected a list, found {_kind(value)}")
    return tuple(read(child, f"{where}[{position}]") for position, child in enumerate(value))


def _kind(value: object) -> str:
    kinds = {bool: "true or false", dict: "an object", list: "a list", str: "a string", type(None): "null"}
    return kinds.get(type(value), "a number")


def _container(children: dict[str, Any], key: str, order: Sequence[str]) -> dict[str, Any] | None:
    """Return the children to write; ``None`` when the object as read had no such key and none was added."""
    return children if children or not order or key in order else None


def _written(known: Mapping[str, Any], extra: Mapping[str, Any], order: Iterable[str]) -> dict[str, Any]:
    """Return the object: keys as they stood when read, then new known ones, then new unknown ones."""
    present = {name: value for name, value in known.items() if value is not None}
    values = {**extra, **present}
    names = dict.fromkeys([*(name for name in order if name in values), *present, *extra])
    return {name: values[name] for name in names}
