"""A pool for the tests, looked at and cleaned with the libraries themselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.stores.rbd.bindings import ceph_bindings
from headwater.stores.rbd.settings import RbdStoreSettings
from headwater.stores.rbd.store import RbdStore
from servers.ceph import Ceph

# Two busy cores make Ceph slow at times; who waits for nothing asks for less.
CONNECT_S, OPERATION_S = 20.0, 30.0
_GIVEN_UP_S = 60.0  # Ceph gives a silent client up after 30 s


@dataclass
class Pool:
    """One pool, and its user."""

    ceph: Ceph
    name: str
    user: str
    keyring: Path
    opened: list[RbdStore] = field(default_factory=list)

    def settings(self, **others: Any) -> RbdStoreSettings:
        return RbdStoreSettings.model_validate(
            {
                "type": "rbd",
                "pool": self.name,
                "user": self.user,
                "conf": self.ceph.conf,
                "keyring": self.keyring,
                "connect_timeout_s": CONNECT_S,
                "operation_timeout_s": OPERATION_S,
                **others,
            }
        )

    def store(self, name: str = "ceph", **others: Any) -> RbdStore:
        """Return a store with a connection of its own."""
        self.opened.append(RbdStore(name, self.settings(**others), ceph_bindings()))
        return self.opened[-1]

    @contextmanager
    def looked_into(self, **options: str) -> Iterator[Any]:
        """Give the pool as the administrator sees it, with these options of Ceph's."""
        rados = ceph_bindings().rados
        with (
            rados.Rados(conffile=str(self.ceph.conf), rados_id="admin", conf=options) as cluster,
            cluster.open_ioctx(self.name) as pool,
        ):
            yield pool

    def names(self) -> list[str]:
        """Return what the images are called, finished or not."""
        with self.looked_into() as pool:
            return sorted(ceph_bindings().rbd.RBD().list(pool))

    def trash(self) -> list[str]:
        """Return what the images in the trash were called."""
        with self.looked_into() as pool:
            return sorted(each["name"] for each in ceph_bindings().rbd.RBD().trash_list(pool))

    def clean(self) -> None:
        """Remove everything, clones first; what a killed process had open is free when Ceph gives that process up."""
        for each in self.opened:
            each.close()
        self.opened.clear()
        rbd = ceph_bindings().rbd
        images = rbd.RBD()
        with self.looked_into() as pool:
            for each in list(images.trash_list(pool)):
                images.trash_restore(pool, each["id"], f"{each['name']}.{each['id']}")
            left = images.list(pool)
            until, pause_s = time.monotonic() + _GIVEN_UP_S, 0.0
            while left and time.monotonic() < until:
                time.sleep(pause_s)
                for name in left:
                    with contextlib.suppress(rbd.ImageBusy, rbd.ImageHasSnapshots):
                        _remove(rbd, pool, name)
                left, pause_s = images.list(pool), 0.2
            for name in ("headwater-store-id", "headwater-ping"):
                with contextlib.suppress(ceph_bindings().rados.ObjectNotFound):
                    pool.remove_object(name)
        assert left == []


def _remove(rbd: Any, pool: Any, name: str) -> None:
    with rbd.Image(pool, name) as image:
        for each in list(image.list_snaps()):
            if image.is_protected_snap(each["name"]):
                image.unprotect_snap(each["name"])
            image.remove_snap(each["name"])
    rbd.RBD().remove(pool, name)
