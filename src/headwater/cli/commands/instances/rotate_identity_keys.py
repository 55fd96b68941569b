"""``headwater instance rotate-identity-keys``: a new key for that by which machines prove who they are."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.instances.identity.keys import KeyRows
from headwater.instances.sealing import seal_of


def rotate_identity_keys(
    *,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Publish no older key any more: what they signed is good no longer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sign who machines are with a new key, six minutes from now; until then it is only published.

    What older keys have signed stays good for its hour, unless they are revoked: then the new one signs at once.
    """
    with opened(writes=True) as database:
        seal = seal_of(options.sources().load().settings.metadata.key_file, database.file)
        key = KeyRows(database, seal=seal).rotate(revoke=revoke)
    if as_json:
        output.say_json({"kid": key.id, "revoked": revoke})
    else:
        output.say(f"there is a new key, {key.id}" + ("; no other is published within half a minute" if revoke else ""))
