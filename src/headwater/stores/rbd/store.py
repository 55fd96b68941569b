"""Objects as images of a Ceph pool, as Nova and Cinder clone them: ``rbd://FSID/POOL/IMAGE/snap``.

An object is the image of its key's name (``~``, which no key has, for each ``/``) with a protected snapshot ``snap``;
protecting it is what makes the object visible, at once and whole. An image without it is an unfinished one, which
``delete`` of that key removes. Where an object is to be replaced, the new one is written beside it and renamed.

**Deleting.** An object with clones stays as it is: ``ObjectInUse``. Else its snapshot is unprotected, which ends the
object, and the image goes into the pool's trash with a note that we put it there. From there it is removed at once,
unless somebody reads or writes it still: then whoever is done with it last, or the next call that looks, removes it.

**Reading.** Ceph gives zeros for what was removed under a reader, and no error. So a reader opens the image in the way
that registers it as a watcher, and looks after that whether the snapshot is protected; who deletes unprotects first and
looks for watchers after that. One of the two always sees the other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from headwater.errors import SettingsError
from headwater.stores.rbd.bindings import CephBindings, ceph_bindings
from headwater.stores.rbd.cluster import CephRefused, Cluster
from headwater.stores.rbd.settings import RbdStoreSettings
from headwater.stores.rbd.transfer import ImageInput, ImageOutput
from headwater.stores.store import (
    IDENTITY,
    ForeignUrl,
    ObjectInUse,
    ObjectNotFound,
    Piece,
    Stored,
    StoreFull,
    StoreRefusesWrites,
    StoreUnavailable,
    WriteLost,
    checked_key,
    is_key,
)
from headwater.stores.store_type import StoreType

SNAPSHOT = "snap"  # the name that Nova, Cinder and glance_store know
MARK = "headwater-store-id"  # a RADOS object
_PROBE = "headwater-ping"
_BESIDE = ".replacing."
_DISCARDED = "headwater_discarded"  # metadata of an image: we put it into the trash


class RbdStore:
    """One pool of a Ceph cluster."""

    abilities = RbdStoreSettings.abilities

    def __init__(self, name: str, settings: RbdStoreSettings, bindings: CephBindings) -> None:
        """Name the pool; nothing is looked at yet."""
        self.name, self.settings = name, settings
        self._rados, self._rbd = bindings.rados, bindings.rbd
        self._cluster = Cluster(name, settings, bindings)
        self._images = bindings.rbd.RBD()
        self._emptying = threading.Lock()
        self._expected: str | None = None

    def identity(self) -> str | None:
        with self._cluster.pool() as pool:
            return self._mark(pool)

    def mark(self, identity: str) -> str:
        try:
            with self._cluster.pool() as pool:
                try:
                    with self._rados.WriteOpCtx() as write:
                        write.new(self._rados.LIBRADOS_CREATE_EXCLUSIVE)
                        write.write_full(identity.encode())
                        pool.operate_write_op(write, MARK)
                except self._rados.ObjectExists:
                    pass
                return self._mark(pool) or identity
        except CephRefused as error:
            raise SettingsError(f"section [stores.{self.name}]: {error.reason}") from error

    def expect(self, identity: str) -> None:
        self._expected = identity

    def begin(self, key: str, size: int | None = None) -> RbdWriter:
        checked_key(key)
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(self.there())
            room = self._cluster.room()
            if room is not None and size is not None and size > room:
                raise StoreFull(self.name, size)
            name = _name(key)
            if self._is_whole(pool, name):
                name = _beside(name)
            self.discard(pool, name)
            order = self.settings.chunk_size.bit_length() - 1
            features = self._rbd.RBD_FEATURE_LAYERING
            self._images.create(pool, name, size or 0, order=order, old_format=False, features=features)
            image = self.open(pool, name)
            return RbdWriter(self, self._cluster, key, name, image, room=room, held=stack.pop_all())

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(self.there())
            image = self._opened(pool, key, read_only=False)  # so that it is a watcher
            size = image.size()
            held = stack.pop_all()
        end = size if length is None else min(size, start + length)

        def closed() -> None:
            with contextlib.suppress(StoreUnavailable), self.there() as pool:
                self.empty_trash(pool)

        return ImageOutput(self._cluster, image, held, start=start, end=end, closed=closed)

    def path(self, key: str) -> None:
        self.stat(key)

    def url_of(self, key: str) -> str:
        parts = (self._cluster.fsid, self.settings.pool, _name(checked_key(key)), SNAPSHOT)
        return "rbd://" + "/".join(quote(part, safe="") for part in parts)

    def key_of(self, url: str) -> str:
        key = _key(url.removesuffix(f"/{SNAPSHOT}").rpartition("/")[2])
        # Without a look at what the cluster is where that cannot matter.
        if not url.startswith("rbd://") or not is_key(key) or self.url_of(key) != url:
            raise ForeignUrl(self.name, url)
        return key

    def presigned(self, key: str, expires_s: int) -> None:
        return None

    def stat(self, key: str) -> Stored:
        with self.there() as pool, contextlib.closing(self._opened(pool, key, read_only=True)) as image:
            return Stored(key, image.size())

    def list(self, prefix: str = "") -> Iterator[Stored]:
        with self.there() as pool:
            names = self._images.list(pool)
        for key in map(_key, names):
            if is_key(key) and key.startswith(prefix):
                with contextlib.suppress(ObjectNotFound):  # unfinished, another's, or deleted meanwhile
                    yield self.stat(key)

    def delete(self, key: str) -> None:
        name = _name(checked_key(key))
        with self.there() as pool:
            for each in (name, _beside(name)):
                self.discard(pool, each)
            self.empty_trash(pool)

    def require_unused(self, key: str) -> None:
        name = _name(checked_key(key))
        with (
            self.there() as pool,
            contextlib.suppress(self._rbd.ImageNotFound),
            self.open(pool, name, read_only=True) as image,
        ):
            self._require_unused(image, name)

    def ping(self) -> None:
        try:
            with self.there() as pool:
                pool.write_full(_PROBE, b"ping")
                pool.read(_PROBE)
                with contextlib.suppress(self._rados.ObjectNotFound):  # somebody else pings too
                    pool.remove_object(_PROBE)
                self.empty_trash(pool)
        except StoreFull as error:
            raise StoreRefusesWrites(self.name, is_full=True) from error

    def close(self) -> None:
        self._cluster.close()

    # --- For the writer as well --------------------------------------------------------------------

    @contextmanager
    def there(self) -> Iterator[Any]:
        """Give the pool, which is the expected one."""
        with self._cluster.pool() as pool:
            if self._expected is not None and self._mark(pool) != self._expected:
                raise StoreUnavailable(
                    self.name,
                    f"the pool {self.settings.pool!r} does not have the mark that belongs to it, so it is another one",
                )
            yield pool

    def open(self, pool: Any, name: str, *, read_only: bool = False) -> Any:
        """Return an open image; open to be written, it has a watcher."""
        return self._rbd.Image(pool, name, read_only=read_only)

    def id_of(self, pool: Any, name: str) -> str | None:
        """Return the id of the image that has this name."""
        try:
            with self.open(pool, name, read_only=True) as image:
                return str(image.id())
        except self._rbd.ImageNotFound:
            return None

    def discard(self, pool: Any, name: str) -> None:
        """Put the image into the trash, if it is there.

        Raises:
            ObjectInUse: It has clones, or snapshots of others.
        """
        try:
            with self.open(pool, name) as image:
                self._require_unused(image, name)
                if self._is_protected(image):
                    image.unprotect_snap(SNAPSHOT)
                image.metadata_set(_DISCARDED, "1")
            self._images.trash_move(pool, name, 0)
        except self._rbd.ImageBusy as error:  # cloned meanwhile
            raise ObjectInUse(self.name, _key(name)) from error
        except self._rbd.ImageNotFound:
            return

    def replace(self, pool: Any, new: str, old: str) -> None:
        """Give the image ``new`` the name of ``old``, which goes. Between the two there is neither."""
        self.discard(pool, old)
        self._images.rename(pool, new, old)
        self.empty_trash(pool)

    def empty_trash(self, pool: Any) -> None:
        """Remove what we put into the trash, but for what is read or written still."""
        rbd = self._rbd
        with self._emptying:
            for each in list(self._images.trash_list(pool)):
                # What an operator keeps there for a while is none of ours, and not worth a look.
                if each["deferment_end_time"] == each["deletion_time"]:
                    with contextlib.suppress(rbd.ImageBusy, rbd.ImageHasSnapshots, rbd.ImageNotFound):
                        self._remove(pool, each["id"])

    def _remove(self, pool: Any, image_id: str) -> None:
        with self._rbd.Image(pool, image_id=image_id, read_only=True) as image:
            is_ours = any(key == _DISCARDED for key, _ in image.metadata_list())
            if not is_ours or any(True for _ in image.watchers_list()):
                return
        with self._rbd.Image(pool, image_id=image_id) as image:
            if self._is_protected(image):  # by a writer that did not see it go
                image.unprotect_snap(SNAPSHOT)
            for each in list(image.list_snaps()):
                image.remove_snap(each["name"])
        self._images.trash_remove(pool, image_id)

    # --- Names and images --------------------------------------------------------------------------

    def _mark(self, pool: Any) -> str | None:
        try:
            found = pool.read(MARK, 64).decode("ascii", "replace")
        except self._rados.ObjectNotFound:
            return None
        return found if IDENTITY.fullmatch(found) else None

    def _opened(self, pool: Any, key: str, *, read_only: bool) -> Any:
        """Return the open image of an object, at its snapshot."""
        try:
            image = self.open(pool, _name(checked_key(key)), read_only=read_only)
            try:
                if self._is_protected(image):
                    image.set_snap(SNAPSHOT)
                    return image
            except BaseException:
                image.close()
                raise
            image.close()
        except self._rbd.ImageNotFound:
            pass
        raise ObjectNotFound(self.name, key)

    def _is_whole(self, pool: Any, name: str) -> bool:
        try:
            with self.open(pool, name, read_only=True) as image:
                return self._is_protected(image)
        except self._rbd.ImageNotFound:
            return False

    def _require_unused(self, image: Any, name: str) -> None:
        others = [each["name"] for each in image.list_snaps() if each["name"] != SNAPSHOT]
        if others or any(True for _ in image.list_children2()):
            raise ObjectInUse(self.name, _key(name))

    def _is_protected(self, image: Any) -> bool:
        try:
            return bool(image.is_protected_snap(SNAPSHOT))
        except self._rbd.ImageNotFound:  # there is no such snapshot
            return False


class RbdWriter:
    """An image that is written and has no snapshot yet."""

    def __init__(
        self,
        store: RbdStore,
        cluster: Cluster,
        key: str,
        name: str,
        image: Any,
        *,
        room: int | None,
        held: contextlib.ExitStack,
    ) -> None:
        """Take the image of ``name``, new and open.

        Args:
            room: How many bytes the pool takes, if that is known.
            held: What the image was opened of; closed after it.
        """
        settings = store.settings
        self._store, self._cluster, self._key, self._name = store, cluster, key, name
        self._image, self._id, self._room, self._held = image, str(image.id()), room, held
        self._input = ImageInput(
            cluster, image, settings.chunk_size, settings.pieces_at_once, thin=settings.thin_provisioning
        )
        self._is_done = False

    def write(self, piece: Piece) -> None:
        with memoryview(piece) as given, given.cast("B") as view:
            # The cluster counts late, and stops nobody before it has counted.
            if self._room is not None and self._input.size + len(view) > self._room:
                raise StoreFull(self._store.name)
            with self._cluster.translated():
                self._input.write(view)

    def commit(self) -> Stored:
        store = self._store
        with store.there() as pool:
            self._input.finish()
            self._image.create_snap(SNAPSHOT)
            self._image.protect_snap(SNAPSHOT)
            # In the trash an image can be written to its end.
            if store.id_of(pool, self._name) != self._id:
                raise WriteLost(store.name, self._key)
            self._image.close()
            self._is_done = True
            self._held.close()
            if self._name != _name(self._key):
                store.replace(pool, self._name, _name(self._key))
        return Stored(self._key, self._input.size)

    def abort(self) -> None:
        if self._is_done:
            return
        self._is_done = True
        failures = (StoreUnavailable, StoreFull, ObjectInUse)
        with contextlib.suppress(*failures), self._cluster.translated():
            self._input.drop()
            self._image.close()
        self._held.close()
        with contextlib.suppress(*failures), self._store.there() as pool:
            if self._store.id_of(pool, self._name) == self._id:
                self._store.discard(pool, self._name)
            self._store.empty_trash(pool)


def _name(key: str) -> str:
    return key.replace("/", "~")


def _key(name: str) -> str:
    return name.replace("~", "/")


def _beside(name: str) -> str:
    """Return what the image that shall replace ``name`` is called meanwhile: no key begins with a dot."""
    return f"{_BESIDE}{name}"


TYPE = StoreType("rbd", RbdStoreSettings, lambda name, settings, _: RbdStore(name, settings, ceph_bindings()))
