"""What commands need of the catalogue: the database of the current settings, and images by name."""

from __future__ import annotations

from headwater.cli import options
from headwater.database import schema
from headwater.database.engine import Database
from headwater.errors import Conflict, NotFound
from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.catalogue.lists.listing import Condition, Query
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


def open_database(*, writes: bool = False) -> Database:
    """Open the catalogue that the current command's settings name, as it is.

    Only ``serve`` and ``db upgrade`` change the schema of one that is there: others may be running on it.

    Args:
        writes: A catalogue is made when there is none. Otherwise nothing is made, no directory either.

    Raises:
        SettingsError: The settings are wrong, the data directory cannot be written, or the catalogue is none for this
            release.
    """
    settings = options.sources().load().settings
    (data_dir.prepare if writes else data_dir.require_possible)(settings.data_dir)
    database = Database(settings.database_url, may_make=writes)
    try:
        if writes and (not database.is_there or schema.version(database) is None):
            schema.upgrade(database)
        schema.check(database)
        if writes:
            data_dir.close_database(database.file)
    except BaseException:
        database.close()
        raise
    return database


def resolve_image(database: Database, wanted: str) -> tuple[str, str]:
    """Return id and name of the image that ``wanted`` is the id or the name of.

    Raises:
        NoSuchImage, AmbiguousImage: None or several are.
    """
    catalogue = ImageCatalogue(database)
    for column in ("id", "name"):
        found = [
            image
            for hidden in (False, True)
            for image in catalogue.page(Query(conditions=(Condition(column, "eq", wanted),), os_hidden=hidden, limit=5))
        ]
        if len(found) == 1:
            return found[0].id, found[0].name or found[0].id
        if found:
            raise AmbiguousImage(wanted, [image.id for image in found])
    raise NoSuchImage(wanted)
