"""What is to be done so that the images of a sync are what its feeds offer: decided without asking anybody.

Of two images that are from the same place, which only two runs at once can make, the one that has data counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from headwater.streams.syncing.items import Item, Key, key_of
from headwater.streams.syncing.properties import LATEST, METADATA, UNFINISHED, name_of, properties_of
from headwater.streams.syncing.terms import Old, SyncTerms

Document = dict[str, Any]
Product = tuple[str, str]

HAS_DATA: Final = frozenset({"active", "deactivated"})
# An import has properties of its own while it goes on; what a conversion changes is not changed back.
_OF_FIRST_DAY: Final = frozenset({METADATA})


class Action(StrEnum):
    """What becomes of an item, or of an image that no item needs."""

    CREATE = "create"
    RESUME = "resume"  # an earlier run created it, and did not bring its data
    UPDATE = "update"
    SAME = "same"
    RETIRE = "retire"
    DISCARD = "discard"  # it never had data, and nobody waits for any


class Outcome(StrEnum):
    """What has become of a step."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(slots=True)
class Step:
    """One image."""

    key: Key
    action: Action
    item: Item | None = None
    image: Document | None = None  # what is there
    operations: list[Document] = field(default_factory=list)
    outcome: Outcome = Outcome.PLANNED
    did: str = ""  # what was done, in a word
    error: str | None = None
    notes: list[str] = field(default_factory=list)

    def failed(self, error: str) -> None:
        """Note why it was not done."""
        self.outcome, self.error = Outcome.FAILED, error

    @property
    def bytes_to_come(self) -> int:
        return self.item.size if self.item is not None and self.action in (Action.CREATE, Action.RESUME) else 0

    def to_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "source_content_id": self.key.source_content_id,
            "product": self.key.product,
            "version": self.key.version,
            "item": self.key.item,
            "action": self.action.value,
            "outcome": self.outcome.value,
            "did": self.did or None,
            "image_id": self.image["id"] if self.image else None,
            "name": self.image.get("name") if self.image else None,
            "size": self.item.size if self.item else None,
            "error": self.error,
            "notes": self.notes,
        }


def planned(items: Iterable[Item], images: Iterable[Document], terms: SyncTerms) -> list[Step]:
    """Return the steps: first what comes, in the order of the feed, then what goes, oldest first."""
    found: dict[Key, list[Document]] = defaultdict(list)
    for image in images:
        key = key_of(image)
        if key is not None:
            found[key].append(image)
    steps: list[Step] = []
    spare: list[tuple[Key, Document]] = []
    present: dict[Key, Document] = {}
    for key, several in found.items():
        best, *others = sorted(several, key=_worth)
        present[key] = best
        spare += [(key, each) for each in others]
    wanted = {item.key: item for item in items}
    for key, item in wanted.items():
        steps.append(_of_item(item, present.get(key), terms))
    steps += _leaving(wanted, present, spare, terms)
    return steps


def _of_item(item: Item, image: Document | None, terms: SyncTerms) -> Step:
    if image is None:
        return Step(item.key, Action.CREATE, item)
    if image["status"] not in HAS_DATA:
        return Step(item.key, Action.RESUME, item, image)
    operations = settled(item, image, terms)
    return Step(item.key, Action.UPDATE if operations else Action.SAME, item, image, operations)


def settled(item: Item, image: Document, terms: SyncTerms) -> list[Document]:
    """Return what makes an image that has its data what its users shall find; visibility last."""
    wanted: dict[str, Any] = {
        name: text for name, text in properties_of(item, terms).items() if name not in _OF_FIRST_DAY
    }
    wanted |= {UNFINISHED: None, "name": name_of(item, terms), "os_hidden": False, "visibility": terms.visibility.value}
    return operations_to(image, wanted)


def operations_to(image: Document, wanted: Mapping[str, Any]) -> list[Document]:
    """Return the JSON patch that gives an image these values; ``None`` takes one away."""
    found: list[Document] = []
    for name, value in wanted.items():
        path = "/" + name.replace("~", "~0").replace("/", "~1")
        if value is None:
            if name in image:
                found.append({"op": "remove", "path": path})
        elif name not in image:
            found.append({"op": "add", "path": path, "value": value})
        elif image[name] != value:
            found.append({"op": "replace", "path": path, "value": value})
    return found


def _leaving(
    wanted: Mapping[Key, Item], present: Mapping[Key, Document], spare: list[tuple[Key, Document]], terms: SyncTerms
) -> list[Step]:
    """Return what becomes of images that no item needs: of products that are offered, as another sync has the others.

    What is kept is counted in versions, and the feed's newest are among them: nobody is left without an image.
    """
    versions: dict[Product, set[str]] = defaultdict(set)
    for key in wanted:
        versions[key.family].add(key.version)
    left = [(key, image) for key, image in present.items() if key not in wanted and key.family in versions]
    for key, image in left:
        if image["status"] in HAS_DATA:
            versions[key.family].add(key.version)
    kept = {family: set(sorted(names, reverse=True)[: terms.kept]) for family, names in versions.items()}
    leaving = [(key, image) for key, image in left if image["status"] not in HAS_DATA]
    leaving += [
        (key, image) for key, image in left if image["status"] in HAS_DATA and key.version not in kept[key.family]
    ]
    leaving += [(key, image) for key, image in spare if key.family in versions]
    steps = [_of_old(key, image, terms) for key, image in sorted(leaving, key=lambda each: each[0])]
    return [step for step in steps if step.action is not Action.SAME]


def _of_old(key: Key, image: Document, terms: SyncTerms) -> Step:
    if image["status"] not in HAS_DATA:
        return Step(key, Action.DISCARD, image=image)
    is_there = {
        Old.KEEP: True,
        Old.HIDE: bool(image.get("os_hidden")),
        Old.DEACTIVATE: image["status"] == "deactivated",
    }
    return Step(key, Action.SAME if is_there.get(terms.old, False) else Action.RETIRE, image=image)


def _worth(image: Document) -> tuple[bool, bool, str, str]:
    """Order images of one place: those first that have data, of these the oldest."""
    return image["status"] != "active", image["status"] not in HAS_DATA, image.get("created_at") or "", image["id"]


def latest_changes(images: Iterable[Document]) -> list[tuple[Document, list[Document]]]:
    """Return what lets the newest images alone, of each system and architecture, have the property ``latest``."""
    groups: dict[tuple[Any, ...], list[Document]] = defaultdict(list)
    for image in images:
        if key_of(image) is not None and image["status"] == "active" and not image.get("os_hidden"):
            groups[tuple(image.get(name) for name in ("os_distro", "os_version", "architecture"))].append(image)
    changes = []
    for members in groups.values():
        newest = max(members, key=lambda each: (each["version_name"], each["id"]))
        for image in members:
            operations = operations_to(image, {LATEST: "true" if image is newest else None})
            if operations:
                changes.append((image, operations))
    return changes
