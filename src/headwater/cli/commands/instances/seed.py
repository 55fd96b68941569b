"""``headwater instance seed``: a secret path by which a machine reads who it is, whatever its address."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import opened
from headwater.cli.machines import looking
from headwater.cli.output import AsJson
from headwater.clock import now
from headwater.database.engine import Database
from headwater.instances.bulk.found import REGISTRY
from headwater.instances.callers.seeds import ROOT, digest_of, new_seed
from headwater.instances.errors import InstanceNotFound, NoPathOfCloud
from headwater.instances.model import Instance
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.registry.seeds import SeedRows


def seed(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name or id.")],
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="End all paths of the machine, and make none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a secret path for cloud-init's NoCloud, for machines that no address tells apart.

    It is shown once. Whoever has it reads the machine's user data, until it is revoked or the machine removed.
    """
    server = options.sources().load().settings.server
    with opened(writes=True) as database:
        found = _registered(database, instance)
        if revoke:
            count = SeedRows(database).revoke(found.id)
        else:
            secret = new_seed()
            SeedRows(database).add(found.id, digest_of(secret), now())
    if revoke:
        if as_json:
            output.say_json({"id": found.id, "revoked": count})
        else:
            output.say(f"{count} paths of {found.name} are revoked")
        return
    path = f"{ROOT}{secret}/"
    url = f"{server.metadata_url}{path}"
    if as_json:
        output.say_json({"id": found.id, "path": path, "url": url, "kernel": f"ds=nocloud;s={url}"})
    else:
        output.say(f"ds=nocloud;s={url}")


def _registered(database: Database, id_or_name: str) -> Instance:
    """Return a machine that is registered.

    Raises:
        NoPathOfCloud: It is one of the cloud.
    """
    try:
        return InstanceRows(database).get(id_or_name)
    except InstanceNotFound:
        found = looking(database).find(id_or_name)
    if found.source != REGISTRY:
        raise NoPathOfCloud(found.instance.id, found.instance.name)
    return found.instance
