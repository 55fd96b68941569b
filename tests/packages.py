"""Packages as if somebody had installed them: a module, and what its distribution says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def package(place: Path, name: str, code: str, stores: Mapping[str, str]) -> Path:
    """Make a package in ``place``, which belongs on the path of a Python, and return ``place``.

    Args:
        code: Of its one module, which is named like it.
        stores: The types of stores that it offers: a name, and where in the module it is.
    """
    place.mkdir(exist_ok=True)
    (place / f"{name}.py").write_text(code)
    about = place / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{type_name} = {name}:{attribute}\n" for type_name, attribute in stores.items()]
    (about / "entry_points.txt").write_text("[headwater.stores]\n" + "".join(lines))
    return place


# A type of store that Headwater has not: a shelf, which has a label.
SHELF = '''
from typing import Annotated

from pydantic import Field

from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.store_type import StoreType


class ShelfSettings(FileStoreSettings):
    """Section ``[stores.NAME]`` with ``type = "shelf"``."""

    type: str
    label: Annotated[str, Field(description="What is written on the shelf.")]


SHELF = StoreType(
    "shelf",
    ShelfSettings,
    lambda name, settings, around: FileStore(name, settings, around.data_dir / settings.label),
)
'''
