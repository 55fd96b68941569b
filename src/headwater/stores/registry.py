"""Which types of stores there are, and stores opened: settings in, stores by name out.

Types are found by the entry points of installed packages, ours like those of others. Only what a section of settings
asks for is imported, so a package that is broken, or whose library is missing, harms nobody who does not use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Annotated, Any

from headwater.config import ChosenBy
from headwater.errors import SettingsError
from headwater.stores.layers.awaited import AwaitedStore
from headwater.stores.layers.deadline import PromptStore
from headwater.stores.layers.limit import LimitedStore
from headwater.stores.layers.metrics import CountedStore, Tally
from headwater.stores.layers.rest import RestingStore
from headwater.stores.layers.retry import RetriedStore
from headwater.stores.store import ObjectStore
from headwater.stores.store_type import StoreSettings, StoreType, Surroundings

GROUP = "headwater.stores"


# Both are ValueErrors as well, which is what a check of settings takes into its report.
class NoStoreType(SettingsError, ValueError):
    """No package offers this type of store."""

    def __init__(self, name: str) -> None:
        known = ", ".join(f"'{each}'" for each in type_names())
        # An installation that was unpacked by hand lacks what it offers itself.
        super().__init__(f"there is no type of store {name!r}; there are {known or 'none: install Headwater again'}")
        self.name = name


class StoreTypeUnusable(SettingsError, ValueError):
    """What a package offers as a type of store cannot be used: its import fails, or it is something else."""

    def __init__(self, name: str, offered_by: str, reason: str) -> None:
        super().__init__(f"the type of store {name!r}, which {offered_by} offers, cannot be used: {reason}")
        self.name = name


def type_names() -> list[str]:
    """Return the names of all types that packages offer."""
    return sorted(_offers())


@cache
def store_type(name: str) -> StoreType[Any]:
    """Return one type of store.

    Raises:
        NoStoreType: Nobody offers it.
        StoreTypeUnusable: What is offered is no type of store.
    """
    if name not in _offers():
        raise NoStoreType(name)
    entry_point, *others = _offers()[name]
    offered_by = " and ".join(_package(each) for each in (entry_point, *others))
    if others:
        raise StoreTypeUnusable(name, offered_by, "a name is for one of them")
    try:
        found = entry_point.load()
    except Exception as error:  # what a package of others does at its import is not known
        raise StoreTypeUnusable(name, offered_by, f"{type(error).__name__}: {' '.join(str(error).split())}") from error
    if not isinstance(found, StoreType) or found.name != name:
        raise StoreTypeUnusable(name, offered_by, f"{entry_point.value} is not a StoreType of that name")
    return found


@cache
def _offers() -> Mapping[str, list[EntryPoint]]:
    """Return what packages offer, by its name; looking through all that is installed takes a while."""
    offers: dict[str, list[EntryPoint]] = {}
    for each in entry_points(group=GROUP):
        known = offers.setdefault(each.name, [])
        if each.value not in [other.value for other in known]:
            known.append(each)
    return offers


def _package(entry_point: EntryPoint) -> str:
    return f"the package {entry_point.dist.name}" if entry_point.dist is not None else "a package without a name"


def _settings_of(section: Mapping[str, Any]) -> type[StoreSettings]:
    """Return the settings that a section's ``type`` has."""
    if "type" not in section:
        *most, last = (f'"{each}"' for each in type_names() or ["file"])
        raise ValueError(f"it has no 'type'; give {' or '.join(filter(None, (', '.join(most), last)))}")
    return store_type(str(section["type"])).settings


StoreSection = Annotated[StoreSettings, ChosenBy(_settings_of)]


def open_stores(
    sections: Mapping[str, StoreSettings],
    surroundings: Surroundings,
    identities: Mapping[str, str] = MappingProxyType({}),
    tally: Tally | None = None,
    awaited: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, ObjectStore]:
    """Return every store, in the order of the settings; whether they work is not asked.

    Args:
        identities: What each store is expected to be; see ``ObjectStore.expect``.
        tally: Counts what they do.
        awaited: Those that are not to be used before they are told what to expect, and why.
    """
    stores = {
        name: _layered(store_type(section.type).open(name, section, surroundings), section, tally)
        for name, section in sections.items()
    }
    for name, reason in awaited.items():
        stores[name] = AwaitedStore(stores[name], reason)
    for name, identity in identities.items():
        stores[name].expect(identity)
    return stores


def _layered(store: ObjectStore, section: StoreSettings, tally: Tally | None) -> ObjectStore:
    """Return the store with what its section asks for around it.

    From the inside: each try has the whole deadline, and waits neither for its turn nor for its speed within it; no
    turn is held between two tries; what rests is what fails after all tries; what is counted is what callers see.
    """
    if section.deadline_s is not None:
        store = PromptStore(store, section.deadline_s)
    if section.max_concurrency or section.max_read_mib_s or section.max_write_mib_s:
        store = LimitedStore(
            store,
            concurrency=section.max_concurrency,
            read_speed=_bytes(section.max_read_mib_s),
            write_speed=_bytes(section.max_write_mib_s),
        )
    if section.retries:
        store = RetriedStore(store, section.retries)
    # What has a deadline is given up in time; the web is many services, of which one may be down.
    if section.deadline_s is None and store.abilities.has_identity:
        store = RestingStore(store)
    return store if tally is None else CountedStore(store, tally)


def _bytes(mib: float | None) -> float | None:
    return None if mib is None else mib * (1 << 20)
