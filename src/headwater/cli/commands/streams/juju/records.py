"""The records that a controller of Juju would have, in the catalogue of the current settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headwater.cli import catalogue, options
from headwater.streams.lookup.images import FoundImage
from headwater.streams.lookup.record_rows import ControllerImageRows
from headwater.streams.lookup.records import FILE, taken_in


@contextmanager
def opened() -> Iterator[ControllerImageRows]:
    """Open the records to change them; a catalogue is made when there is none."""
    data_dir = options.sources().load().settings.data_dir
    with catalogue.opened(writes=True) as database:
        rows = ControllerImageRows(database)
        taken_in(data_dir, rows)
        yield rows


def known() -> list[FoundImage]:
    """Return all records; without a catalogue there are none, and none is made."""
    if (options.sources().load().settings.data_dir / FILE).is_file():
        with opened() as rows:
            return rows.all()
    with catalogue.opened_unchecked(may_make=False) as database:
        is_there = database.is_there
    if not is_there:
        return []
    with catalogue.opened() as database:
        return ControllerImageRows(database).all()
