"""What a type of store is: a name for the settings, what may be set, and how a store of it is opened.

A package offers a type by an entry point of the group ``headwater.stores`` whose name is the type's and whose value is
a ``StoreType``; those of Headwater itself are offered in the same way (``registry.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field

from headwater.config import Section
from headwater.fetching.fetcher import Fetcher
from headwater.stores.store import Abilities, ObjectStore


class StoreSettings(Section):
    """What every section ``[stores.NAME]`` may hold; each type of store adds its own keys."""

    abilities: ClassVar[Abilities]  # of every store of this type, known before one is opened

    type: Annotated[str, Field(description="What the store is: the name of a type.")]
    description: Annotated[
        str | None, Field(description="What clients are told of it where there are several stores.")
    ] = None
    weight: Annotated[
        int,
        Field(
            description="Of several stores that have an image, the one with the highest weight is shown first and read "
            "first."
        ),
    ] = 0
    verify_reads: Annotated[
        bool,
        Field(
            description="Hold what is read whole from it against the hash of the image, so that nobody gets all of "
            "what is damaged. That costs a processor for each 700 MiB a second. Files that nobody has touched since "
            "they were hashed are sent by the server itself, and cost nothing."
        ),
    ] = True
    max_concurrency: Annotated[
        int | None,
        Field(description="How many calls of one worker work in it at the same time. Default: any number.", ge=1),
    ] = None
    max_read_mib_s: Annotated[
        float | None,
        Field(
            description="How fast one worker reads from it, in MiB a second; the server then sends no file itself. "
            "Default: as fast as it can.",
            gt=0,
        ),
    ] = None
    max_write_mib_s: Annotated[
        float | None,
        Field(description="How fast one worker writes into it, in MiB a second. Default: as fast as it can.", gt=0),
    ] = None
    retries: Annotated[
        int,
        Field(
            description="How often a call that failed is repeated, where that is safe, after growing pauses.",
            ge=0,
            le=10,
        ),
    ] = 0
    deadline_s: Annotated[
        float | None,
        Field(
            description="After how many seconds a call that did not come back is given up, so that a store that hangs "
            "holds up nothing else, such as a directory of a file server; the server then sends no file itself. "
            "Default: never.",
            gt=0,
            le=3600,
        ),
    ] = None

    @property
    def directory(self) -> Path | None:
        """The directory of this machine that the operator has chosen for the bytes, if any."""
        return None

    def told(self, own: Path) -> Mapping[str, Any]:
        """Return what administrators are told of how the store is set up, no secrets; names as Glance has them.

        Args:
            own: The directory of the store where none is chosen.
        """
        return {}


def own_keys(settings: type[StoreSettings]) -> list[str]:
    """Return the keys that stores of one type have and others have not."""
    return [name for name in settings.model_fields if name not in StoreSettings.model_fields]


S = TypeVar("S", bound=StoreSettings)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a store may use of the service that it belongs to."""

    data_dir: Path  # where Headwater keeps what it keeps itself
    fetcher: Fetcher  # asks web servers of others


@dataclass(frozen=True, slots=True)
class StoreType(Generic[S]):
    """One type of store."""

    name: str
    settings: type[S]
    open: Callable[[str, S, Surroundings], ObjectStore]  # nothing is looked at yet, so that a dead store stops no start

    def __post_init__(self) -> None:
        """Refuse what would be missed only later, in the middle of a start."""
        if not hasattr(self.settings, "abilities"):
            raise TypeError(f"{self.settings.__name__} does not say its abilities")
