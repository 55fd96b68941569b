"""Who sees which images as a feed: everybody what a project has made public, callers what their project sees, and
whoever knows a secret path what the project sees that made it.

The catalogue is asked each time, so what is not theirs any more is not there any more, but for the files of images that
were public when they were deleted: these stay for a time, as readers go on with what they have read. What was made of
the same images is used again. A file is found by the digits of an id in its name, and what leads to it is the image's
visibility alone.

LXD and Incus want to know what only a pass over an image's data tells. They can send no proof, so for an image that is
not for everybody the pass is made when somebody reads it by a secret path.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from cachetools import TTLCache

from headwater.clock import Clock, now
from headwater.errors import NotFound
from headwater.identity.caller import Caller
from headwater.images.catalogue.deletions.pending_deletes import PendingDelete
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.catalogue.lists.pages import Listed, goes_on
from headwater.images.catalogue.lists.query import Condition, Query, Viewer
from headwater.images.catalogue.public import Revision
from headwater.images.catalogue.sharing.private_paths import PrivatePath
from headwater.images.model import Image, Status, Visibility
from headwater.streams.live.document import Document
from headwater.streams.live.files.documents import is_known
from headwater.streams.live.files.placement import FilePlacement, place_files
from headwater.streams.live.files.serving import ServedFile, image_id_of, kept_file, served_file
from headwater.streams.live.index import without_tag
from headwater.streams.live.past_editions import PastEditions
from headwater.streams.settings import StreamsSettings
from headwater.streams.views.documents import Signs, ViewDocuments
from headwater.streams.views.names import by_file_name, family_name, file_name, ids_of

_READS: Final = frozenset({"reader", "member"})
_PAGE: Final = 1000
_KEPT: Final = 500  # views whose documents are kept
_KEPT_BYTES: Final = 64 << 20  # of the documents of views that are kept; those of one view always are
_PAST: Final = 30  # of all views
_WANTED: Final = 10_000  # images of which this process has said that it wants to know more
_WANTED_S: Final = 900  # then it says so again, as what it said may be lost
# Between the two requests of one reader. Who sees an image no more should not read of it for long.
_GRACE_S: Final = 60
_ACTIVE: Final = Condition("status", "eq", Status.ACTIVE.value)


class ViewNotFound(NotFound):
    """Nothing is here for who asks: no such view, or no such file in it. It says no more, as a path may be a secret."""

    def __init__(self) -> None:
        super().__init__("There is nothing here")


class SeenImages(Protocol):
    """The images that callers see: see ``images.access.Access``."""

    def page(self, caller: Caller, query: Query, *, as_project: bool = False) -> Listed[Image]: ...


class ListedImages(Protocol):
    """All images: see ``images.catalogue.images.ImageRows``."""

    def page(self, query: Query) -> Listed[Image]: ...


class KnownFingerprints(Protocol):
    """What was found of the data of images: see ``images.catalogue.fingerprints``."""

    def of(self, image_ids: Collection[str]) -> Mapping[str, Fingerprint]: ...

    def want(self, image: Image) -> None: ...


class KeptImages(Protocol):
    """Deleted images of which files are given: see ``images.catalogue.deletions``."""

    def served(self, image_id: str, now: int) -> PendingDelete | None: ...

    def served_between(self, first: str, last: str, now: int) -> list[PendingDelete]: ...


class SecretPaths(Protocol):
    """Where secrets lead: see ``images.sharing.private_paths.PrivatePaths``."""

    def find(self, secret: str) -> PrivatePath | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Whose images, and for whom."""

    key: str  # what tells it from others; no secret
    caller: Caller  # in whose name data is read
    query: Query
    public_of: str | None = None  # the project of which everybody sees what is public
    is_for_machines: bool = False  # LXD and Incus may read it


class Views:
    """The use cases; safe to use from several threads."""

    def __init__(
        self,
        images: SeenImages,
        catalogue: ListedImages,
        paths: SecretPaths,
        fingerprints: KnownFingerprints,
        settings: StreamsSettings,
        *,
        deleted: KeptImages,
        signer: Signs | None = None,
        revision: Callable[[], Revision | None] = lambda: None,
        is_open: bool = True,
        clock: Callable[[], float] = time.time,
        time_of_day: Clock = now,
    ) -> None:
        """Take where images are.

        Args:
            revision: Returns what is another value after any change of a public image; ``None``: nobody knows.
            is_open: Everybody may read what is public, files too: ``StreamsSettings.lists_files``.
            time_of_day: By which files of deleted images are given.
        """
        self._images, self._catalogue, self._paths = images, catalogue, paths
        self._deleted, self._time_of_day = deleted, time_of_day
        self._settings, self._signer, self._clock = settings, signer, clock
        self._revision, self._fingerprints, self._is_open = revision, fingerprints, is_open
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # by the key of the view; used last, last
        self._past = PastEditions[_Kept](_GRACE_S, clock, _PAST)
        # Ids and revisions of images.
        self._wanted: TTLCache[tuple[str, int], None] = TTLCache(_WANTED, _WANTED_S, clock)

    def public(self, project_id: str) -> View:
        """Return what a project shows to everybody.

        Raises:
            ViewNotFound: Nothing is shown so here.
        """
        if not self._is_open:
            raise ViewNotFound
        its_own = Condition("owner", "eq", project_id)
        query = Query(viewer=Viewer(), visibility="public", conditions=(_ACTIVE, its_own), limit=_PAGE)
        return View(key=f"public:{project_id}", caller=Caller(roles=_READS), query=query, public_of=project_id)

    def own(self, caller: Caller, *, with_community: bool) -> View:
        """Return what the caller's project sees."""
        return View(
            key=f"own:{with_community}:{caller.project_id}:{caller.user_id}:{sorted(caller.roles)}",
            caller=caller,
            query=_seen(with_community=with_community),
        )

    def secret(self, secret: str) -> View:
        """Return what a project sees, for who knows a secret of it.

        Raises:
            ViewNotFound: The secret leads nowhere: it never did, is revoked, or over.
        """
        path = self._paths.find(secret)
        if path is None:
            raise ViewNotFound
        caller = Caller(user_id=f"path-{path.id}", project_id=path.project_id, roles=_READS)
        query = _seen(with_community=path.with_community)
        return View(key=f"path:{path.id}", caller=caller, query=query, is_for_machines=True)

    def document(self, view: View, name: str) -> Document:
        """Return a document of the view, as it is now.

        Raises:
            ViewNotFound: Everybody asks, and nothing is public.
            StreamNotFound: It has none of this name.
            Forbidden: The caller may not list images.
        """
        # Before the images are read: what is newer than its revision is read once more.
        revision = self._revision() if view.public_of is not None else None
        with self._lock:
            kept = self._kept.get(view.key)
        unchanged = kept is not None and revision is not None and kept.revision == revision
        images = kept.images if kept is not None and unchanged else self._all(view)
        if view.public_of is not None and not images:
            raise ViewNotFound
        kept = self._documents(view, images, revision)
        plain, tag = without_tag(name)
        past = None if tag is None or tag == kept.documents.tag else self._past.find(f"{view.key}/{tag}")
        return (past or kept).documents.document(plain)

    def file(self, view: View, name: str, family: str | None = None) -> Image | PendingDelete:
        """Return the image, or the deleted one, whose file in the view has this name.

        Args:
            family: Only of this family.

        Raises:
            ViewNotFound: The view has no such file.
            Forbidden: The caller may not list images.
        """
        ids = ids_of(name)
        if ids is None:
            raise ViewNotFound
        among = Condition("id", "between", ids)
        query = replace(view.query, conditions=(*view.query.conditions, among))
        image = by_file_name(self._page(view, query)).get(name)
        deleted = None if image is not None else self._deleted_file(view, name, ids)
        found = deleted.image if deleted is not None else image
        if found is None or family not in (None, family_name(found)):
            raise ViewNotFound
        return deleted or found

    def root(self, view: View, path: str) -> ServedFile:
        """Return what LXD and Incus find at a path below the view, such as ``images/ID/SHA256/disk.qcow2``.

        Raises:
            ViewNotFound: The view has no such file.
            Forbidden: The caller may not list images.
        """
        image_id = image_id_of(path)
        if image_id is None:
            raise ViewNotFound
        query = replace(view.query, conditions=(*view.query.conditions, Condition("id", "eq", image_id)))
        known = self._fingerprints.of([image_id]).get(image_id)
        found = [served_file(path, image, known, for_everybody=False) for image in self._page(view, query)]
        if not found:
            deleted = self._deleted.served(image_id, self._time_of_day())
            if deleted is not None and _had(view, deleted):
                found.append(kept_file(path, deleted, for_everybody=False))
        if not found or found[0] is None:
            raise ViewNotFound
        return found[0]

    def _deleted_file(self, view: View, name: str, ids: tuple[str, str]) -> PendingDelete | None:
        deleted = self._deleted.served_between(*ids, self._time_of_day())
        return next((each for each in deleted if _had(view, each) and file_name(each.image) == name), None)

    def require_shown(self, view: View, image: Image) -> None:
        """Raise ``ViewNotFound`` when what was opened is not in the view any more."""
        if view.public_of is None:
            return
        if image.visibility is not Visibility.PUBLIC or image.os_hidden or image.owner != view.public_of:
            raise ViewNotFound

    def _all(self, view: View) -> list[Image]:
        query = view.query
        found: list[Image] = []
        while True:
            page = self._page(view, query)
            found += page
            if not goes_on(page, query.limit):
                return found
            query = replace(query, after=page[-1])

    def _page(self, view: View, query: Query) -> Listed[Image]:
        if view.public_of is not None:
            return self._catalogue.page(query)
        return self._images.page(view.caller, query, as_project=view.caller.project_id is not None)

    def _documents(self, view: View, images: Sequence[Image], revision: Revision | None) -> _Kept:
        known = self._known(view, images)
        state = tuple(sorted((image.id, image.revision, _facts(known.get(image.id))) for image in images))
        with self._lock:
            kept = self._kept.get(view.key)
            if kept is not None and kept.state == state:
                self._kept[view.key] = kept = replace(kept, revision=revision)
                self._kept.move_to_end(view.key)
                return kept
        made = ViewDocuments(images, self._settings, self._signer, known=known, modified_at=int(self._clock()))
        new = _Kept(view.key, revision, tuple(images), state, made)
        with self._lock:
            before = self._kept.get(view.key)
            if before is not None and before.documents.tag != made.tag:
                self._past.put(before)
            self._kept[view.key] = new
            self._kept.move_to_end(view.key)
            while len(self._kept) > 1 and (len(self._kept) > _KEPT or self._size() > _KEPT_BYTES):
                self._kept.popitem(last=False)
        return new

    def _known(self, view: View, images: Sequence[Image]) -> Mapping[str, Fingerprint]:
        """Return what is known of the data of images; what is not, and somebody may want, will be."""
        known = self._fingerprints.of([image.id for image in images])
        if view.is_for_machines:
            for image in images:
                at = place_files(image, for_everybody=False)
                if isinstance(at, FilePlacement) and not is_known(image, at, known.get(image.id)):
                    self._want(image)
        return known

    def _want(self, image: Image) -> None:
        with self._lock:
            key = image.id, image.revision
            if key in self._wanted:
                return
            self._wanted[key] = None
        self._fingerprints.want(image)

    def _size(self) -> int:
        return sum(each.documents.size for each in self._kept.values())


@dataclass(frozen=True, slots=True)
class _Kept:
    key: str
    revision: Revision | None  # up to which these are the images, where that is known
    images: tuple[Image, ...]
    state: tuple[tuple[str, int, tuple[str | None, ...]], ...]
    documents: ViewDocuments

    @property
    def tag(self) -> str:
        """What tells it from others, of this view and of others."""
        return f"{self.key}/{self.documents.tag}"


def _facts(known: Fingerprint | None) -> tuple[str | None, ...]:
    return () if known is None else (known.sha256, known.product, known.combined)


def _had(view: View, deleted: PendingDelete) -> bool:
    """Return whether an image that was public until it was deleted was in the view."""
    return view.public_of in (None, deleted.image.owner)


def _seen(*, with_community: bool) -> Query:
    return Query(visibility="all" if with_community else None, conditions=(_ACTIVE,), limit=_PAGE)
