"""What commands that search as Juju does have in common: where they look, and with which keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from headwater.errors import SettingsError
from headwater.streams.lookup.search_path import Catalogue
from headwater.streams.lookup.wanted import Juju, release_for_machine, release_of_series

# Source: where Juju has the key of the user, and Ubuntu that of its images.
USER_KEY = Path("/etc/juju/publicsimplestreamskey")
UBUNTU_KEYRING = Path("/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg")

Url = Annotated[
    str, typer.Option(help="What the model says is the feed: http(s)://…, file:///…, s3://…, swift://… or a directory.")
]
MetadataSource = Annotated[
    Path | None, typer.Option(metavar="DIR", help="What a bootstrap would be given: holds images/ and tools/.")
]
FromKeystone = Annotated[
    bool, typer.Option("--keystone", help="Ask the catalogue of Keystone too; who asks is said by $OS_AUTH_URL.")
]
NoDefaults = Annotated[bool, typer.Option("--no-defaults", help="Do not ask the public source.")]
PublicUrl = Annotated[str, typer.Option(help="The public source, if it is another than Juju's.")]
Keyring = Annotated[
    Path | None,
    typer.Option("--keyring", metavar="FILE", help=f"Public keys that prove the user's sources. Default: {USER_KEY}."),
]
PublicKeyring = Annotated[
    Path | None, typer.Option("--public-keyring", metavar="FILE", help="Public keys that prove the public source.")
]
JujuVersion = Annotated[Juju, typer.Option("--juju", help="Which Juju searches.")]


def release_of(version: str, base: str, series: str) -> str:
    """Return the version of an operating system, which is named in one of three ways."""
    if sum(map(bool, (version, base, series))) != 1:
        raise SettingsError("name the operating system once: --version 24.04, --base ubuntu@24.04 or --series noble")
    return version or (release_for_machine(base) if base else release_of_series(series))


def catalogue() -> Catalogue:
    """Ask Keystone which services there are."""
    from headwater.client.keystone import keystone_session  # noqa: PLC0415 - other commands do without Keystone
    from headwater.streams.publishing import registration  # noqa: PLC0415 - as above

    return registration.catalogue(keystone_session(os.environ))
