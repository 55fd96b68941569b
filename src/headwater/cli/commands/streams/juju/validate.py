"""``headwater streams validate-images|validate-agents``: what ``juju metadata`` says of a feed, with Juju's options.

A wrong usage ends with 2, what Juju says while it runs with 1, as in Juju. There is no controller to take a cloud from,
so none has to be known either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli import output
from headwater.cli.commands.streams.juju import searching
from headwater.cli.commands.streams.juju.searching import JujuVersion, Keyring
from headwater.cli.commands.streams.options import CaFile, Insecure
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.streams.lookup import validating
from headwater.streams.lookup.search_path import SearchPath, file_url, keys_in
from headwater.streams.lookup.source import Source
from headwater.streams.lookup.validating import NotValidated
from headwater.streams.lookup.wanted import (
    RELEASED,
    AgentsWanted,
    AgentVersion,
    BadVersion,
    CloudSpec,
    ImagesWanted,
    Juju,
    UnknownBase,
    release_of_base,
    release_of_series,
)
from headwater.streams.trees.opening import Access, opened


class Format(StrEnum):
    """How an answer is written."""

    YAML = "yaml"
    JSON = "json"


Provider = Annotated[str, typer.Option("-p", metavar="TYPE", help="Kind of cloud, such as openstack.")]
Directory = Annotated[
    str, typer.Option("-d", metavar="DIR", help="Holds images/ and tools/; or the URL of what is in one of these.")
]
Region = Annotated[str, typer.Option("-r", help="Region of the cloud.")]
Endpoint = Annotated[str, typer.Option("-u", help="Endpoint of the cloud: the Identity URL of OpenStack.")]
OutputFormat = Annotated[Format, typer.Option("--format", help="How the answer is written.")]
OutputFile = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where it goes.")]
Controller = Annotated[
    str, typer.Option("-c", "--controller", help="Juju's; refused, since no cloud can be taken from it here.")
]


def validate_images(
    *,
    provider: Provider = "",
    directory: Directory = "",
    series: Annotated[str, typer.Option("-s", "--series", help="Name of a release, such as jammy.")] = "",
    base: Annotated[str, typer.Option(help="Operating system and channel, such as ubuntu@22.04.")] = "",
    region: Region = "",
    endpoint: Endpoint = "",
    stream: Annotated[
        str, typer.Option(help="Which public feed is asked without -d; as in Juju, released images are looked for.")
    ] = "",
    controller: Controller = "",
    style: OutputFormat = Format.YAML,
    to: OutputFile = None,
    juju: JujuVersion = Juju.V3_6,
    keyring: Keyring = None,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Say which images Juju finds in a feed for a release, a region and an endpoint."""
    if series and base:
        raise SettingsError("--series and --base cannot be specified together")
    if provider:
        named = "series" if juju is Juju.V2_9 else "base"
        _require_usage({named: series or base, "region": region, "metadata directory": directory})
    _refuse_controller(controller)
    if provider:
        validating.require_provider(provider, of_images=True)
    if provider == "ec2":
        endpoint = endpoint or validating.endpoint_of_ec2(region)
    try:
        release = release_of_series(series) if series else release_of_base(base) if base else ""
    except UnknownBase as error:
        raise NotValidated(str(error)) from error
    access = Access(cafile=cafile, verify=not insecure)
    if directory:
        keys = keys_in(keyring, searching.USER_KEY)
        source = Source(
            description="local metadata directory",
            url=_url(directory, "images"),
            open_tree=lambda url: opened(url, access),
            keys=keys,
        )
        sources = [source]
    else:
        keys = keys_in(keyring, searching.UBUNTU_KEYRING)
        sources, _ = SearchPath(public_keys=keys, access=access).images(stream)
    wanted = ImagesWanted(
        cloud=CloudSpec(region=region, endpoint=endpoint),
        releases=(release,) if release else (),
        arches=juju.arches,
    )
    _say(validating.validate_images(sources, wanted), Format.JSON if as_json else style, to)


def validate_agents(
    *,
    provider: Provider = "",
    directory: Directory = "",
    os: Annotated[str, typer.Option("-t", "--os-type", help="Such as ubuntu.")] = "",
    version: Annotated[str, typer.Option("-j", "--juju-version", help="Exact version of the agents.")] = "",
    majorminor: Annotated[
        str, typer.Option("--majorminor-version", metavar="N[.M]", help="Any of these, if no exact version is given.")
    ] = "",
    region: Region = "",
    endpoint: Endpoint = "",
    stream: Annotated[str, typer.Option(help="Stream of the agents.")] = RELEASED,
    series: Annotated[
        str, typer.Option("-s", "--series", help="Juju 2.3's; refused, since agents are of an operating system: -t.")
    ] = "",
    controller: Controller = "",
    style: OutputFormat = Format.YAML,
    to: OutputFile = None,
    juju: JujuVersion = Juju.V3_6,
    keyring: Keyring = None,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Say which agents Juju finds in a feed."""
    if series:
        raise SettingsError(f"--series {series}: since Juju 2.9 agents are of an operating system; name it with -t")
    if provider:
        _require_usage({"region": region, "metadata directory": directory})
    _refuse_controller(controller)
    if provider:
        validating.require_provider(provider, of_images=False)
    exact, major, minor = _versions(version, majorminor)
    keys = keys_in(keyring)
    access = Access(cafile=cafile, verify=not insecure)
    if directory:
        if "://" not in directory and not Path(directory).is_absolute():
            raise NotValidated(f"{directory} is not an absolute path")
        source = Source(
            description="local source",
            url=_url(directory, "tools"),
            open_tree=lambda url: opened(url, access),
            keys=keys,
        )
        sources = [source]
    else:
        sources, _ = SearchPath(public_keys=keys, access=access).agents()
    wanted = AgentsWanted(
        oses=(os,) if os else (),
        arches=juju.arches,
        version=exact,
        major=major,
        minor=minor,
        stream=stream or RELEASED,
        cloud=CloudSpec(region=region, endpoint=endpoint),
    )
    _say(validating.validate_agents(sources, wanted, juju), Format.JSON if as_json else style, to)


def _require_usage(needed: Mapping[str, str]) -> None:
    for name, value in needed.items():
        if not value:
            raise SettingsError(f"{name} required if provider type is specified")


def _refuse_controller(controller: str) -> None:
    if controller:
        raise SettingsError("-c takes the cloud from a controller, and there is none here: name it with -r and -u")


def _versions(version: str, majorminor: str) -> tuple[AgentVersion | None, int, int]:
    if version == "current" or not (version or majorminor):
        raise SettingsError("name the version of the agents: -j 3.6.27 or --majorminor-version 3.6; Headwater has none")
    if version:
        try:
            exact = AgentVersion.parse(version)
        except BadVersion as error:
            raise NotValidated(str(error)) from error
        return exact, exact.major, exact.minor
    major, dot, minor = majorminor.partition(".")
    if not (major.isascii() and major.isdecimal() and (not dot or (minor.isascii() and minor.isdecimal()))):
        raise NotValidated(f'invalid major.minor version number "{majorminor}"')
    return None, int(major), int(minor) if dot else -1


def _url(directory: str, kind: str) -> str:
    """Return the base of a feed: a URL as it is, or what a directory holds."""
    if "://" in directory:
        return directory
    below = Path(directory).absolute() / kind
    if not below.exists():
        raise NotValidated(f"stat {below}: no such file or directory")
    return file_url(below)


def _say(answer: Mapping[str, Any], style: Format, to: Path | None) -> None:
    text = validating.as_yaml(answer) if style is Format.YAML else json.dumps(answer, separators=(",", ":")) + "\n"
    if to is None:
        output.say(text.rstrip("\n"))
        return
    try:
        to.write_text(text)
    except OSError as error:
        raise SettingsError(f"{to} cannot be written: {error.strerror}") from error
