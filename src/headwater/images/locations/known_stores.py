"""The stores of one deployment as clients know them: pure, and asked for by their names.

Several stores are there for clients where several take data. With one, and perhaps web servers of others beside it,
none of this is shown: clients take its absence for "there is one store". Source: Glance without ``enabled_backends``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from headwater.errors import Conflict, Invalid, NotFound
from headwater.images.model import ImageLocation, Location

T = TypeVar("T")


class SingleStore(NotFound):
    """There is one store, so nobody has to name it."""

    def __init__(self) -> None:
        super().__init__("Multi backend is not supported at this site.")


class NoSuchStore(Conflict):
    """A copy is asked for in a store that is not there. Source: Glance answers 409."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The selected store {name[:64]!r} is not available here; GET /v2/info/stores lists them.")
        self.name = name


class BadPreference(Invalid):
    """A download names stores to prefer, and there is no choice."""


@dataclass(frozen=True, slots=True)
class StoreFault:
    """What is wrong with a store, for the operator."""

    reason: str
    only_of_writes: bool = False  # it gives what it holds, and takes nothing
    is_full: bool = False  # which is why


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStore:
    """One store."""

    name: str
    type: str = ""
    weight: int = 0
    description: str | None = None
    takes_data: bool = True
    verify_reads: bool = True
    properties: Mapping[str, Any] = field(default_factory=dict)  # for those who may see how it is set up


class KnownStores:
    """All of them, in the order of the settings."""

    def __init__(self, stores: Iterable[KnownStore] = (), default: str | None = None) -> None:
        """Take the stores.

        Args:
            default: The one that takes data for which no store is named; ``None``: the first that does.
        """
        self._stores = {store.name: store for store in stores}
        self.names = tuple(name for name, store in self._stores.items() if store.takes_data)
        self.default = default or next(iter(self.names), None)

    @property
    def are_several(self) -> bool:
        """Whether clients choose."""
        return len(self.names) > 1

    def require_several(self) -> None:
        """Raise ``SingleStore`` where there is nothing to choose."""
        if not self.are_several:
            raise SingleStore

    def require(self, name: str) -> None:
        """Raise unless there are several stores and this is one of them.

        Raises:
            SingleStore, NoSuchStore: As their names say.
        """
        self.require_several()
        if name not in self._stores:
            raise NoSuchStore(name)

    def wanted(self, name: str | None) -> str | None:
        """Return the store that data is sent to; ``None``: the usual one, also where there is no other."""
        return name if self.are_several else None

    def preferred(self, given: str | None) -> tuple[str, ...]:
        """Read a comma list of stores that a download is to begin with.

        Raises:
            BadPreference: There is no such store, or only one.
        """
        names = tuple(filter(None, (name.strip() for name in (given or "").split(","))))
        if names and not self.are_several:
            raise BadPreference("There is one store here, so none can be preferred")
        for name in names:
            if name not in self._stores:
                raise BadPreference(f"There is no store {name[:64]!r} to prefer; GET /v2/info/stores lists them")
        return names

    def ranked(self, held: Iterable[T], at: Callable[[T], Location], preferred: Sequence[str] = ()) -> list[T]:
        """Return what lies in stores, the preferred ones first, then by their weights; else in the order given."""

        def rank(each: T) -> tuple[int, int]:
            store = at(each).store
            return preferred.index(store) if store in preferred else len(preferred), -self._weight(store)

        return sorted(held, key=rank)

    def verifies(self, name: str) -> bool:
        """Return whether what is read whole from a store is held against the hash of the image."""
        return name not in self._stores or self._stores[name].verify_reads

    def listed(self, held: Iterable[ImageLocation]) -> str:
        """Return the names of the stores that hold an image, as images show them.

        Source: tempest wants those of equal weight sorted.
        """
        return ",".join(sorted({each.at.store for each in held}, key=lambda name: (-self._weight(name), name)))

    def _weight(self, name: str) -> int:
        return self._stores[name].weight if name in self._stores else 0

    # --- Documents of the API --------------------------------------------------------------------

    def documents(self) -> list[dict[str, Any]]:
        """Return what every caller may know of each store.

        Source: Glance writes ``"true"`` for what is so, and leaves out what is not.
        """
        return [self._document(store) for store in self._stores.values()]

    def details(self, faults: Mapping[str, StoreFault]) -> list[dict[str, Any]]:
        """Return what those may know who may see how stores are set up; ``faults``: what is wrong with some now."""
        return [
            {
                **self._document(store),
                "type": store.type,
                "weight": store.weight,
                "properties": dict(store.properties),
                **(_state(faults.get(store.name)) if store.takes_data else {}),
            }
            for store in self._stores.values()
        ]

    def _document(self, store: KnownStore) -> dict[str, Any]:
        document: dict[str, Any] = {"id": store.name}
        if store.description:
            document["description"] = store.description
        if store.name == self.default:
            document["default"] = "true"
        if not store.takes_data:
            document["read-only"] = "true"
        return document


def _state(fault: StoreFault | None) -> dict[str, Any]:
    if fault is None:
        return {"status": "up"}
    return {"status": "read-only" if fault.only_of_writes else "down", "fault": fault.reason}


ONE_STORE = KnownStores()
