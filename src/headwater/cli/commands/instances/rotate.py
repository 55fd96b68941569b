"""``headwater instance rotate-identity-keys`` and ``rotate-tokens``: new ones of what signs for machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.database.engine import Database
from headwater.instances.identity.keys import KeyRows
from headwater.instances.sealing import Seal, seal_of
from headwater.instances.tokens.secrets import SecretRows


@contextmanager
def _opened() -> Iterator[tuple[Database, Seal]]:
    """Open the catalogue for changes, with what seals the secrets in it."""
    with opened(writes=True) as database:
        yield database, seal_of(options.sources().load().settings.metadata.key_file, database.file)


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
    with _opened() as (database, seal):
        key = KeyRows(database, seal=seal).rotate(revoke=revoke)
    if as_json:
        output.say_json({"kid": key.id, "revoked": revoke})
    else:
        output.say(f"there is a new key, {key.id}" + ("; no other is published within half a minute" if revoke else ""))


def rotate_tokens(
    *,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Let all tokens end; guests ask for new ones when they are refused.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sign session tokens (IMDSv2) with a new secret from a minute on; those that guests have stay good.

    Each day has a key of its own anyway, made of the secret. This is for when others may have read the catalogue.
    """
    with _opened() as (database, seal):
        SecretRows(database, seal=seal).rotate(revoke=revoke)
    if as_json:
        output.say_json({"revoked": revoke})
    else:
        output.say("there is a new secret" + ("; all tokens end within half a minute" if revoke else ""))
