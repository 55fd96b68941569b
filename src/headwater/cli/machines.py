"""Machines that commands name: registered ones, and those of the cloud of the current settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headwater.cli import options, output
from headwater.clock import now, timestamp
from headwater.database.engine import Database
from headwater.instances.bulk.found import Found
from headwater.instances.errors import InstanceNotFound
from headwater.instances.registry.rows import InstanceRows

if TYPE_CHECKING:
    from headwater.instances.sources.looking import Looking

_PAGE = 100
_UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def find(database: Database, id_or_name: str) -> Found:
    """Return a machine, and say on standard error when the cloud did not answer and how old its last word is.

    Raises:
        InstanceNotFound, NowhereKnown, SeveralMeant, CloudSilent: As of ``Looking.find``.
        SettingsError: The cloud cannot be asked by the settings.
    """
    try:
        return Found(instance=InstanceRows(database).get(id_or_name))
    except InstanceNotFound:
        found = looking(database).find(id_or_name)
    if found.silence is not None and found.told_at is not None:
        output.say_error(
            f"the cloud does not answer ({found.silence.rstrip('.')}): this is what it said of {found.instance.name} "
            f"{_age(now() - found.told_at)} ago, at {timestamp(found.told_at)}"
        )
    return found


def looking(database: Database) -> Looking:
    """Return who finds machines by the current settings, in the registry and in the cloud."""
    # Commands about registered machines do without what speaks with a cloud.
    from headwater.instances.sealing import seal_of  # noqa: PLC0415 - see above
    from headwater.instances.sources.looking import Looking  # noqa: PLC0415 - see above

    settings = options.sources().load().settings.metadata
    if settings.openstack.auth_url is None:
        return Looking(database, None)
    from headwater.instances.sources.openstack.cloud import Cloud  # noqa: PLC0415 - see above

    cloud, seal = Cloud(settings.openstack), seal_of(settings.key_file, database.file, may_make=False)
    return Looking(database, cloud.instance, fresh_s=settings.openstack.refresh_s, seal=seal)


def all_of_cloud(database: Database, name: str | None, after: str | None) -> Iterator[Found]:
    """Yield what is kept of machines of the cloud, by id; a page of them is in memory at a time.

    Args:
        name: Those that are called so; ``None``: all.
        after: Those after this id.

    Raises:
        SettingsError: The file of keys is no good.
    """
    from headwater.instances.sealing import seal_of  # noqa: PLC0415 - as above
    from headwater.instances.sources.looking import of_cloud  # noqa: PLC0415 - as above
    from headwater.instances.sources.openstack.rows import CloudRows  # noqa: PLC0415 - as above

    settings = options.sources().load().settings.metadata
    rows = CloudRows(database, seal=seal_of(settings.key_file, database.file, may_make=False))
    while True:
        found, after = rows.page(name=name, after=after, limit=_PAGE)
        yield from map(of_cloud, found)
        if after is None:
            return


def _age(microseconds: int) -> str:
    seconds = max(0, microseconds // 1_000_000)
    size, name = next((unit for unit in _UNITS if seconds >= 2 * unit[0]), _UNITS[-1])
    return f"{seconds // size} {name}"
