"""What may be set for a store of type ``file``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from headwater.stores.store import Abilities
from headwater.stores.store_type import StoreSettings


class FileStoreSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "file"``."""

    abilities: ClassVar[Abilities] = Abilities(
        shared_by_processes=True, gives_paths=True, resumes=True, keeps_proof=True
    )

    type: Literal["file"] = "file"
    root: Annotated[
        Path | None,
        Field(description="Directory that holds the bytes; created if missing. Default: DATA_DIR/stores/NAME."),
    ] = None
    direct: Annotated[bool, Field(description="Write past the page cache where the file system allows it.")] = True
    fsync: Annotated[bool, Field(description="Flush each object to the disk before it is visible.")] = True
    chunk_size: Annotated[int, Field(description="Largest piece read at once, in bytes.", ge=4096, le=64 << 20)] = (
        256 << 10
    )

    @property
    def directory(self) -> Path | None:
        return self.root

    def told(self, own: Path) -> Mapping[str, Any]:
        return {"data_dir": str(self.root or own), "chunk_size": self.chunk_size, "thin_provisioning": False}
