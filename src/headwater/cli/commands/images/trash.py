"""``headwater trash``: deleted images whose data is still there, and objects that no image needs and that stay.

The data is there for who deleted an image by mistake (``images.delayed_delete_s``), or for readers of feeds that still
name it (``streams.deleted_files_s``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from headwater.activity.notifications.notifier import Notifications
from headwater.cli import exits, options, output
from headwater.cli.catalogue import AmbiguousImage, opened
from headwater.cli.output import AsJson
from headwater.clock import now, timestamp
from headwater.errors import HeadwaterError, Invalid
from headwater.fetching.fetcher import Fetcher
from headwater.identity.caller import OPERATOR
from headwater.identity.registry import open_rules
from headwater.images.access import Access
from headwater.images.catalogue.deletions.pending_deletes import NotPending, PendingDelete, PendingDeleteRows
from headwater.images.catalogue.discarded import DiscardedObject, DiscardedObjectRows
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.objects.named_objects import image_of
from headwater.images.catalogue.retention.uses import ImageUseRows
from headwater.images.catalogue.store_marks import StoreMarkRows
from headwater.images.catalogue.usage import ProjectUsage
from headwater.images.data.sweeping import Sweeping
from headwater.images.data.trash import Restored, Trash
from headwater.images.quotas.limits import open_limits
from headwater.images.quotas.service import Quotas
from headwater.server import log
from headwater.server.apis import policies
from headwater.stores.registry import open_stores
from headwater.stores.store import ObjectStore
from headwater.stores.store_type import Surroundings

app = typer.Typer(help="Deleted images whose data is still there.", no_args_is_help=True)

_AT_ONCE = 500


@app.callback()
def trash() -> None:
    """Deleted images whose data is still there."""


class NotConfirmed(Invalid):
    """What cannot be undone was asked for without ``--yes``."""

    def __init__(self, images: int, size: int) -> None:
        super().__init__(
            f"this removes the data of {_images(images)} ({size} bytes) for ever: say --yes if that is meant"
        )
        self.images, self.size = images, size


@dataclass(frozen=True, slots=True)
class _Opened:
    trash: Trash
    discarded: DiscardedObjectRows
    stores: Mapping[str, ObjectStore]  # those that this process can ask


@app.command("list")
def list_(
    project: Annotated[str | None, typer.Option(metavar="PROJECT", help="Only images of this project.")] = None,
    as_json: AsJson = False,
) -> None:
    """List deleted images that can be restored, first the one whose data goes first."""
    with _opened() as here:
        found = _of(here.trash, project)
        if as_json:
            output.say_json_list(map(_document, found))
            return
        columns = ("Id", "Name", "Project", "Size", "Deleted", "By", "Kept for", "Data goes")
        output.say_table(columns, map(_row, found))


@app.command()
def restore(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Ids or names, as `headwater trash list` has them.")
    ],
    as_json: AsJson = False,
) -> None:
    """Make deleted images what they were: status, members, tags, properties and locations.

    Refused where the data is in no store any more, and where the project would use more than it may. A store that does
    not answer is no reason: who restores is told.
    """
    with _opened(writes=True) as here:
        done: list[Restored] = []
        refused: list[HeadwaterError] = []
        for image in images:
            try:
                done.append(here.trash.restore(OPERATOR, _id_of(here.trash, image)))
            except HeadwaterError as error:  # told below; the others are restored
                refused.append(error)
    if as_json:
        output.say_json([_restored_document(each) for each in done])
    else:
        for each in done:
            output.say(_restored_sentence(each))
    for each_refused in refused[:-1]:
        output.complain(each_refused, as_json=as_json)
    if refused:
        raise refused[-1]


@app.command()
def empty(
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE]...", help="Only these, by id or name; else all that can be restored."),
    ] = None,
    *,
    project: Annotated[str | None, typer.Option(metavar="PROJECT", help="Only images of this project.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="It is meant: nothing of this can be undone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the data of deleted images now, before its time; exit with 1 when some of it stays.

    What stays is tried again by the service, and listed by `headwater trash objects`.
    """
    with _opened(writes=True) as here:
        chosen = {_id_of(here.trash, image) for image in images or ()}
        meant = (each for each in _of(here.trash, project) if not images or each.image.id in chosen)
        found = [(each.image.id, each.stored_size) for each in meant]
        if not yes:
            raise NotConfirmed(len(found), sum(size for _, size in found))
        for image_id, _ in found:
            with suppress(NotPending):  # restored, or let go of by others, since it was listed
                here.trash.empty(OPERATOR, image_id)
        _scrub(here, len(found), as_json=as_json)


@app.command()
def scrub(as_json: AsJson = False) -> None:
    """Remove now what the service would remove: data whose time is over, and objects that could not be removed before.

    Safe to run beside services. Exit with 1 when something stays.
    """
    with _opened(writes=True) as here:
        _scrub(here, here.trash.scrub(), as_json=as_json)


@app.command()
def objects(as_json: AsJson = False) -> None:
    """List objects that no image needs and that are still there: where, since when, how often tried, and why they stay.

    An object in use stays until those who build on it are gone: volumes that were cloned from it.
    """
    with opened() as database:
        found = _all(DiscardedObjectRows(database))
        if as_json:
            output.say_json_list(map(_object_document, found))
            return
        columns = ("Store", "Object", "Image", "Since", "Tries", "Why it stays")
        output.say_table(columns, map(_object_row, found))


@contextmanager
def _opened(*, writes: bool = False) -> Iterator[_Opened]:
    from headwater.images.assembly.parts import open_changes  # noqa: PLC0415 - slow, and for these commands only

    settings = options.sources().load().settings
    logging.getLogger("headwater").addHandler(logging.NullHandler())  # the command itself says what went wrong
    if writes and settings.audit.file is not None:
        log.configure(settings.log.format, "error", settings.audit.file)
    stores = open_stores(settings.stores, Surroundings(settings.data_dir, Fetcher(settings.fetch))) if writes else {}
    try:
        with opened() as database:
            notifications = Notifications(settings.notifications, database)
            quotas = Quotas(open_limits(settings.quotas, settings.auth.keystone), ProjectUsage(database))
            access = Access(ImageRows(database), open_rules(settings.auth, settings.policy, policies.BY_NAME))
            changes = open_changes(database, access, notifications, quotas.allowance)
            mine = _expected(stores, StoreMarkRows(database))
            uses = ImageUseRows(database)
            trash = Trash(
                changes, PendingDeleteRows(database), mine, used=lambda image_id: uses.note({image_id: now()})
            )
            yield _Opened(trash, DiscardedObjectRows(database), mine)
    finally:
        for store in stores.values():
            store.close()


def _expected(stores: Mapping[str, ObjectStore], marks: StoreMarkRows) -> dict[str, ObjectStore]:
    """Return the stores in which this process sees what services see, each held to its mark.

    Without its mark a store that is not mounted would say that all is gone.
    """
    found = {}
    for name, store in stores.items():
        if store.abilities.has_identity:
            identity = marks.of(name)
            if identity is None:
                continue  # no service has used it yet
            store.expect(identity)
        if store.abilities.shared_by_processes:
            found[name] = store
    return found


class _Uncounted:
    """Counts nothing: this process ends."""

    def left(self, by_store: Mapping[str, int]) -> None:
        """Do nothing."""

    def failed(self, store: str) -> None:
        """Do nothing."""


def _scrub(here: _Opened, images: int, *, as_json: bool) -> None:
    """Remove all that nobody needs, in all stores at once, say what stays, and end with 1 if something does."""
    before = sum(here.discarded.count().values())
    sweeping = Sweeping(here.discarded, here.stores, _Uncounted())

    def swept(name: str) -> str | None:
        try:
            sweeping.sweep(name)
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the others are swept
            return str(error) or type(error).__name__
        return None

    names = [name for name, store in here.stores.items() if store.abilities.writes]
    with ThreadPoolExecutor(max(1, len(names))) as threads:  # one that hangs keeps no other from being swept
        failed = {name: reason for name, reason in zip(names, threads.map(swept, names), strict=True) if reason}
    lies = here.discarded.count()
    failed |= {name: "it is not among those that this command can ask" for name in lies if name not in names}
    left = sum(lies.values())
    if as_json:
        stays = {"stays": left, "stores": [{"store": name, "error": reason} for name, reason in failed.items()]}
        output.say_json({"images": images, "removed": max(0, before - left), **stays})
    else:
        output.say(f"{_images(images)}, {max(0, before - left)} objects removed, {left} stay")
        for name, reason in failed.items():
            output.say(f"store {name}: {reason}")
        if left:
            output.say("'headwater trash objects' tells which, and why; the service tries again")
    if left:
        raise typer.Exit(exits.FAILED)


def _id_of(trash: Trash, id_or_name: str) -> str:
    """Return the id of a deleted image.

    Raises:
        NotPending: None that can be restored has this id or name.
        AmbiguousImage: Several have this name.
    """
    try:
        return trash.find(id_or_name.lower()).image.id
    except NotPending:
        ids = [each.image.id for each in trash.list() if each.image.name == id_or_name]
        if not ids:
            raise NotPending(id_or_name) from None
    if len(ids) > 1:
        raise AmbiguousImage(id_or_name, ids)
    return ids[0]


def _of(trash: Trash, project: str | None) -> Iterator[PendingDelete]:
    return (each for each in trash.list() if project in (None, each.image.owner))


def _all(discarded: DiscardedObjectRows) -> Iterator[DiscardedObject]:
    after = None
    while page := discarded.page(_AT_ONCE, after):
        yield from page
        after = page[-1].at


def _images(count: int) -> str:
    return f"{count} deleted image{'' if count == 1 else 's'}"


def _by(pending: PendingDelete) -> str:
    return pending.deletion.user_id or pending.deletion.project_id or ""


def _row(pending: PendingDelete) -> tuple[str, ...]:
    image, deletion = pending.image, pending.deletion
    times = (timestamp(deletion.at), _by(pending), _kept_for(pending), timestamp(deletion.scrub_at))
    size = "" if image.size is None else str(image.size)
    return image.id, image.name or "", image.owner or "", size, *times


def _kept_for(pending: PendingDelete) -> str:
    """Return who the data is kept for now, until it goes or stays for others."""
    return "trash" if pending.deletion.is_counted else "feeds"


def _document(pending: PendingDelete) -> dict[str, Any]:
    image, deletion = pending.image, pending.deletion
    return {
        "id": image.id,
        "name": image.name,
        "owner": image.owner,
        "status": image.status.value,
        "size": image.size,
        "stored_size": pending.stored_size,
        "stores": [each.at.store for each in pending.held],
        "deleted_at": timestamp(deletion.at),
        "deleted_by": {"user_id": deletion.user_id, "project_id": deletion.project_id},
        "kept_for": _kept_for(pending),
        "scrub_at": timestamp(deletion.scrub_at),
        "served_until": timestamp(deletion.served_until) if deletion.served_until else None,
    }


def _restored_document(restored: Restored) -> dict[str, Any]:
    image = restored.image
    facts = {"id": image.id, "name": image.name, "owner": image.owner, "status": image.status.value}
    return {**facts, "gone": list(restored.gone), "unseen": list(restored.unseen)}


def _restored_sentence(restored: Restored) -> str:
    image = restored.image
    told = [f"its data is gone from store {name}" for name in restored.gone]
    told += [f"store {name} could not be asked for its data" for name in restored.unseen]
    return "; ".join([f"image {image.id} ({image.name or 'no name'}) is {image.status} again", *told])


def _object_document(found: DiscardedObject) -> dict[str, Any]:
    facts = asdict(found)
    at, tried_at = facts.pop("at"), facts.pop("tried_at")
    return {
        **at,
        "image_id": image_of(found.at.object_key),
        **facts,
        "discarded_at": timestamp(found.discarded_at),
        "tried_at": None if tried_at is None else timestamp(tried_at),
    }


def _object_row(found: DiscardedObject) -> tuple[str, ...]:
    since, image_id = timestamp(found.discarded_at), image_of(found.at.object_key) or ""
    return found.at.store, found.at.object_key, image_id, since, str(found.attempts), found.error or ""
