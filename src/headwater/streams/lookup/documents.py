"""Documents as Juju reads them: only the keys that it knows, and these with the type that it wants or not at all.

``format.documents`` keeps everything and is stricter; here a feed is read exactly as well as Juju reads it. A key of
another type makes the whole file unreadable, ``null`` is an absent key, and of a key that stands twice the last counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headwater.streams.format.documents import INDEX_FORMAT, PRODUCTS_FORMAT

MIRRORS_FORMAT: Final = "mirrors:1.0"

_TOP: Final = ("updated", "format", "content_id", "region", "endpoint", "root_store", "virt")
_PRODUCT: Final = ("release", "version", "arch", "region", "endpoint", "root_store", "virt")
_VERSION: Final = ("arch", "release", "version", "region", "endpoint")  # not root_store and virt
_IMAGE: Final = ("id", "root_store", "virt", "arch", "version", "crsn", "region", "endpoint")
_AGENT: Final = ("release", "version", "arch", "path", "ftype", "sha256")
# What an item takes from above it where it says nothing itself; crsn is not among it.
_INHERITED_IMAGE: Final = ("arch", "version", "region", "endpoint", "root_store", "virt")
_INHERITED_AGENT: Final = ("release", "version", "arch")
_ENTRY: Final = ("updated", "format", "datatype", "cloudname", "path")
_MIRROR: Final = ("updated", "format", "datatype", "path", "mirror")

_TOO_LARGE: Final = 1 << 63

Item = Mapping[str, str]


class Unreadable(Exception):
    """Juju cannot read a document; the text says where and why."""


class WrongFormat(Unreadable):
    """A document says that it is another kind of document."""

    def __init__(self, found: str, expected: str, kind: str) -> None:
        super().__init__(f'unexpected {kind} file format {json.dumps(found)}, expected "{expected}"')


@dataclass(frozen=True, slots=True)
class CloudPair:
    """A cloud as an index or a mirror names it."""

    region: str
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an index says of one products file."""

    key: str
    path: str
    datatype: str
    clouds: tuple[CloudPair, ...]
    products: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorEntry:
    """A mirror, or the document that names mirrors."""

    path: str
    mirror: str
    datatype: str
    clouds: tuple[CloudPair, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """An item with all that it inherits, and where it stands."""

    product: str
    version: str
    key: str
    facts: Item

    def __getitem__(self, name: str) -> str:
        """Return a fact; nothing is an empty text, as in Juju."""
        return self.facts.get(name, "")


class ProductsFile:
    """A products file, all of whose items have been looked at."""

    def __init__(self, body: bytes, *, agents: bool) -> None:
        """Read.

        Raises:
            Unreadable: Something in it, be it wanted or not, has a type that Juju does not take.
        """
        top = _object(_json(body), "top")
        self._top = _texts(top, _TOP, "top")
        self._aliases = _aliases(top.get("_aliases"))
        self._agents = agents
        self._products: dict[
            str, tuple[dict[str, str], dict[str, tuple[dict[str, str], dict[str, dict[str, str]]]]]
        ] = {}
        for name, product in _children(top, "products", "top"):
            at = f"products[{json.dumps(name)}]"
            versions = {}
            for version_name, version in _children(product, "versions", at):
                version_at = f"{at}.versions[{json.dumps(version_name)}]"
                items = {
                    key: self._item(item, f"{version_at}.items[{json.dumps(key)}]")
                    for key, item in _children(version, "items", version_at)
                }
                versions[version_name] = _texts(version, _VERSION, version_at), items
            self._products[name] = _texts(product, _PRODUCT, at), versions

    def require_format(self) -> None:
        """Refuse a document of another kind.

        Raises:
            WrongFormat: It is one.
        """
        found = self._top.get("format", "")
        if found != PRODUCTS_FORMAT:
            raise WrongFormat(found, PRODUCTS_FORMAT, "product")

    def __contains__(self, product: object) -> bool:
        return product in self._products

    def names(self) -> list[str]:
        """Return the names of all products."""
        return list(self._products)

    def versions(self, product: str) -> list[str]:
        """Return the names of the versions, newest first: the order of their bytes, backwards."""
        return sorted(self._products[product][1], key=str.encode, reverse=True)

    def items(self, product: str, version: str) -> Iterator[Placed]:
        of_product, versions = self._products[product]
        of_version, items = versions[version]
        inherited = _INHERITED_AGENT if self._agents else _INHERITED_IMAGE
        for key, item in items.items():
            whole = dict(item)
            for attribute, values in self._aliases.items():
                whole |= values.get(item.get(attribute, ""), {})
            for level in (of_version, of_product, self._top):
                for name in inherited:
                    if not whole.get(name) and level.get(name):
                        whole[name] = level[name]
            yield Placed(product, version, key, whole)

    def _item(self, data: Any, at: str) -> dict[str, str]:
        if not self._agents:
            return _texts(data, _IMAGE, at)
        found = _texts(data, _AGENT, at)
        size = _object(data, at).get("size")
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or abs(size) >= _TOO_LARGE):
            raise Unreadable(f"{at}.size: expected a whole number, found {json.dumps(size)[:40]}")
        return found if size is None else {**found, "size": str(size)}


def index_entries(body: bytes) -> list[Entry]:
    """Read an index.

    Raises:
        Unreadable: Something in it has a type that Juju does not take.
        WrongFormat: It is another kind of document.
    """
    top = _object(_json(body), "top")
    kind = _texts(top, ("updated", "format"), "top").get("format", "")
    entries = []
    for key, data in _children(top, "index", "top"):
        at = f"index[{json.dumps(key)}]"
        texts = _texts(data, _ENTRY, at)
        products = tuple(_text(each, f"{at}.products") for each in _list(data, "products", at))
        entries.append(
            Entry(
                key=key,
                path=texts.get("path", ""),
                datatype=texts.get("datatype", ""),
                clouds=_clouds(data, at),
                products=products,
            )
        )
    if kind != INDEX_FORMAT:
        raise WrongFormat(kind, INDEX_FORMAT, "index")
    return entries


def mirror_entries(body: bytes, *, must_say_format: bool = False) -> dict[str, list[MirrorEntry]]:
    """Read a document that names mirrors, by content id.

    Raises:
        Unreadable: Something in it has a type that Juju does not take.
        WrongFormat: It is another kind of document.
    """
    top = _object(_json(body), "top")
    kind = _texts(top, ("updated", "format"), "top").get("format", "")
    found: dict[str, list[MirrorEntry]] = {}
    for key, entries in _object(top.get("mirrors"), "mirrors").items():
        at = f"mirrors[{json.dumps(key)}]"
        found[key] = []
        for data in _as_list(entries, at):
            texts = _texts(data, _MIRROR, at)
            found[key].append(
                MirrorEntry(
                    path=texts.get("path", ""),
                    mirror=texts.get("mirror", ""),
                    datatype=texts.get("datatype", ""),
                    clouds=_clouds(data, at),
                )
            )
    if must_say_format and kind != MIRRORS_FORMAT:
        raise WrongFormat(kind, MIRRORS_FORMAT, "mirror")
    return found


def _json(body: bytes) -> Any:
    try:
        found = json.loads(body.decode("utf-8", "replace"), parse_constant=_no_constant)
        return _whole(found) if b"\\ud" in body.lower() else found
    except json.JSONDecodeError as error:
        if body.lstrip()[:1] == b"<":
            raise Unreadable(
                "it is not JSON but a web page, such as one to log in or one that tells of an error"
            ) from error
        raise Unreadable(f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise Unreadable("it holds a number that is too long") from error


def _whole(value: Any) -> Any:
    """Return a value in whose texts halves of characters are replaced, as Juju does."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return {_whole(key): _whole(each) for key, each in value.items()} if isinstance(value, dict) else value


def _no_constant(name: str) -> Any:
    raise Unreadable(f"it is not JSON: {name} is no JSON number")


def _aliases(data: Any) -> dict[str, dict[str, dict[str, str]]]:
    return {
        attribute: {
            value: {name: _text(text, f"_aliases.{attribute}") for name, text in _object(facts, "_aliases").items()}
            for value, facts in _object(values, f"_aliases.{attribute}").items()
        }
        for attribute, values in _object(data, "_aliases").items()
    }


def _object(data: Any, at: str) -> Mapping[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise Unreadable(f"{at}: expected an object, found {json.dumps(data)[:40]}")
    return data


def _children(data: Any, key: str, at: str) -> Iterator[tuple[str, Any]]:
    yield from _object(_object(data, at).get(key), f"{at}.{key}").items()


def _texts(data: Any, keys: Sequence[str], at: str) -> dict[str, str]:
    found = _object(data, at)
    return {key: _text(found[key], f"{at}.{key}") for key in keys if found.get(key) is not None}


def _text(value: Any, at: str) -> str:
    if value is not None and not isinstance(value, str):
        raise Unreadable(f"{at}: expected a string, found {json.dumps(value)[:40]}")
    return value or ""


def _list(data: Any, key: str, at: str) -> list[Any]:
    return _as_list(_object(data, at).get(key), f"{at}.{key}")


def _as_list(value: Any, at: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise Unreadable(f"{at}: expected a list, found {json.dumps(value)[:40]}")
    return value or []


def _clouds(data: Any, at: str) -> tuple[CloudPair, ...]:
    pairs = [_texts(each, ("region", "endpoint"), f"{at}.clouds") for each in _list(data, "clouds", at)]
    return tuple(CloudPair(pair.get("region", ""), pair.get("endpoint", "")) for pair in pairs)
