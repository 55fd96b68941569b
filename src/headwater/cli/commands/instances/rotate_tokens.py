"""``headwater instance rotate-tokens``: a new secret for the session tokens of guests."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.instances.sealing import seal_of
from headwater.instances.tokens.secrets import SecretRows


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
    with opened(writes=True) as database:
        seal = seal_of(options.sources().load().settings.metadata.key_file, database.file)
        SecretRows(database, seal=seal).rotate(revoke=revoke)
    if as_json:
        output.say_json({"revoked": revoke})
    else:
        output.say("there is a new secret" + ("; all tokens end within half a minute" if revoke else ""))
