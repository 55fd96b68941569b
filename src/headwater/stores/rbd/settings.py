"""What may be set for a store of type ``rbd``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from headwater.stores.store import Abilities
from headwater.stores.store_type import StoreSettings


def _power_of_two(size: int) -> int:
    if size & (size - 1):
        raise ValueError("it must be a power of two, such as 8388608")
    return size


class RbdStoreSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "rbd"``."""

    abilities: ClassVar[Abilities] = Abilities(shared_by_processes=True, gives_paths=False, is_cloned=True)

    type: Literal["rbd"]
    pool: Annotated[str, Field(description="Pool that holds the images.", min_length=1, pattern="^[^/@]+$")] = "images"
    user: Annotated[
        str, Field(description="Who Headwater is to Ceph: NAME of `client.NAME`.", min_length=1, pattern="^[^.]")
    ] = "headwater"
    conf: Annotated[Path, Field(description="Configuration of Ceph, which names the monitors.")] = Path(
        "/etc/ceph/ceph.conf"
    )
    keyring: Annotated[
        Path | None,
        Field(description="File with the user's key. Default: where the configuration of Ceph says."),
    ] = None
    chunk_size: Annotated[
        int,
        Field(
            description="Into RADOS objects of so many bytes each image is cut; a power of two.",
            ge=1 << 16,
            le=32 << 20,
        ),
        AfterValidator(_power_of_two),
    ] = 8 << 20
    thin_provisioning: Annotated[
        bool, Field(description="Write no piece of `chunk_size` bytes that holds zeros only; it reads as zeros.")
    ] = False
    pieces_at_once: Annotated[
        int,
        Field(
            description="How many pieces of `chunk_size` bytes one upload has under way at most, in memory.",
            ge=1,
            le=64,
        ),
    ] = 4
    connect_timeout_s: Annotated[
        float, Field(description="After how many seconds monitors that do not answer are given up.", ge=1, le=600)
    ] = 10
    operation_timeout_s: Annotated[
        float,
        Field(
            description="After how many seconds an operation on the pool that is not answered is given up.",
            ge=1,
            le=600,
        ),
    ] = 30

    def told(self, own: Path) -> Mapping[str, Any]:
        return {"pool": self.pool, "chunk_size": self.chunk_size, "thin_provisioning": self.thin_provisioning}
