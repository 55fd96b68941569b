"""What commands need of the catalogue: the database of the current settings, and images by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headwater.cli import options
from headwater.clock import now
from headwater.database import schema
from headwater.database.engine import Database
from headwater.errors import Conflict, NotFound
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.lists.query import Condition, Query
from headwater.images.catalogue.retention.uses import ImageUseRows
from headwater.server import data_dir


class AmbiguousImage(Conflict):
    """Several images have the name."""

    def __init__(self, name: str, ids: list[str]) -> None:
        super().__init__(f"several images are named {name!r}: give the id of one of {', '.join(ids)}")
        self.name, self.ids = name, ids


class NoSuchImage(NotFound):
    """No image has this id or name."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"no image has the id or name {wanted!r}: 'openstack image list' shows those there are")
        self.wanted = wanted


@contextmanager
def opened(*, writes: bool = False) -> Iterator[Database]:
    """Open the catalogue that the current command's settings name, as it is, and close it in the end.

    Only ``serve`` and ``db upgrade`` change the schema of one that is there: others may be running on it.

    Args:
        writes: A catalogue is made when there is none. Otherwise nothing is made, no directory either.

    Raises:
        SettingsError: The settings are wrong, the data directory cannot be written, or the catalogue is none for this
            release.
    """
    with opened_unchecked(may_make=writes) as database:
        if writes and (not database.is_there or schema.version(database) is None):
            schema.upgrade(database)
        schema.check(database)
        if writes:
            data_dir.close_database(database.file)
        yield database


@contextmanager
def opened_unchecked(*, may_make: bool) -> Iterator[Database]:
    """Open the catalogue whatever schema it has, for commands about the schema; see ``opened``."""
    settings = options.sources().load().settings
    (data_dir.prepare if may_make else data_dir.require_possible)(settings.data_dir)
    database = Database(settings.database_url, may_make=may_make)
    try:
        yield database
    finally:
        database.close()


class ImagesByName:
    """The images of a catalogue, for commands: whoever may open the catalogue sees all of them."""

    def __init__(self, database: Database) -> None:
        self._catalogue = ImageRows(database)
        self._uses = ImageUseRows(database)

    def used(self, image_id: str) -> None:
        """Note that something uses the image now; nothing when it is gone."""
        self._uses.note({image_id: now()})

    def find(self, id_or_name: str) -> tuple[str, str]:
        """Return id and name of an image.

        Raises:
            NoSuchImage, AmbiguousImage: None or several are meant.
        """
        for column in ("id", "name"):
            found = [
                image
                for hidden in (False, True)
                for image in self._catalogue.page(
                    Query(conditions=(Condition(column, "eq", id_or_name),), os_hidden=hidden, limit=5)
                )
            ]
            if len(found) == 1:
                return found[0].id, found[0].name or found[0].id
            if found:
                raise AmbiguousImage(id_or_name, [image.id for image in found])
        raise NoSuchImage(id_or_name)
