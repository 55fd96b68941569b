"""``headwater instance password``: what the owner does with the password that a machine has posted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.catalogue import opened
from headwater.cli.commands.instances.app import guest_of
from headwater.cli.output import AsJson
from headwater.errors import NotFound
from headwater.instances.password import opening
from headwater.instances.sources.guests import Guests

_PASSPHRASE = "HEADWATER_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable


class NoPassword(NotFound):
    """The machine has posted none."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} has posted no password: it does so when it boots first, has an RSA key, and runs what sets "
            "passwords (cloudbase-init)"
        )
        self.name = name


def password(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name or id.")],
    *,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Private half of its first key; decrypts the password. Its passphrase: {_PASSPHRASE}.",
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Forget it, so that the machine may post another.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the password that a machine has set, as it has posted it or decrypted."""
    with opened(writes=clear) as database:
        guests = Guests(database)
        found = guest_of(guests, instance)
        posted = guests.password(found)
        if clear:
            guests.clear_password(found)
    if clear:
        if as_json:
            output.say_json({"id": found.id, "cleared": posted is not None})
        else:
            output.say(f"{found.name} may set a password" if posted else f"{found.name} had no password")
        return
    if posted is None:
        raise NoPassword(found.name)
    passphrase = os.environb.get(_PASSPHRASE.encode())
    clear_text = None if key is None else opening.opened(posted, key, passphrase)
    if as_json:
        output.say_json({"id": found.id, "posted": posted} | ({} if key is None else {"password": clear_text}))
    else:
        output.say(posted if clear_text is None else clear_text)
