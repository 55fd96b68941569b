"""``headwater streams find-image|find-agent|import-metadata``: what Juju finds, where, and why nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.commands.streams.juju import records, searching
from headwater.cli.commands.streams.juju.searching import (
    FromKeystone,
    JujuVersion,
    Keyring,
    MetadataSource,
    NoDefaults,
    PublicKeyring,
    PublicUrl,
    Url,
)
from headwater.cli.commands.streams.options import CaFile, Insecure
from headwater.cli.exits import FAILED
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.streams.lookup import search
from headwater.streams.lookup.records import read_directory
from headwater.streams.lookup.search import Purpose
from headwater.streams.lookup.search_path import SearchPath, keys_in
from headwater.streams.lookup.trace import Kind, Step, printable
from headwater.streams.lookup.wanted import RELEASED, AgentsWanted, AgentVersion, CloudSpec, ImagesWanted, Juju
from headwater.streams.trees.opening import Access

Region = Annotated[str, typer.Option(envvar="OS_REGION_NAME", help="Of the cloud, as Juju knows it.")]
Endpoint = Annotated[
    str, typer.Option(envvar="OS_AUTH_URL", help="Of the cloud, as Juju knows it: the Identity URL of OpenStack.")
]
Arch = Annotated[str, typer.Option(help="In Juju's spelling, such as amd64 or arm64.")]


class Who(StrEnum):
    """Who looks for an image."""

    AUTO = "auto"
    BOOTSTRAP = "bootstrap"
    MACHINE = "machine"


def find_image(
    *,
    region: Region = "",
    endpoint: Endpoint = "",
    version: Annotated[str, typer.Option(help="Of the operating system, such as 24.04.")] = "",
    base: Annotated[str, typer.Option(help="The same as Juju names it, such as ubuntu@24.04.")] = "",
    series: Annotated[str, typer.Option(help="The same by its name, such as noble.")] = "",
    arch: Arch = "amd64",
    stream: Annotated[str, typer.Option(help="What the model has as image-stream.")] = "",
    virt: Annotated[str, typer.Option(help="Kind of guest that is asked for.")] = "",
    url: Url = "",
    metadata_source: MetadataSource = None,
    keystone: FromKeystone = False,
    no_defaults: NoDefaults = False,
    public_url: PublicUrl = "",
    keyring: Keyring = None,
    public_keyring: PublicKeyring = None,
    who: Annotated[
        Who,
        typer.Option("--for", help="Who looks. Default: a bootstrap, if --metadata-source is given, else a machine."),
    ] = Who.AUTO,
    juju: JujuVersion = Juju.V3_6,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Find the image that Juju would start a machine from, and show every step of the search."""
    if not region or not endpoint:
        raise SettingsError("name the cloud with --region and --endpoint, or $OS_REGION_NAME and $OS_AUTH_URL")
    release = searching.release_of(version, base, series)
    purpose = Purpose.BOOTSTRAP if metadata_source else Purpose.MACHINE
    purpose = purpose if who is Who.AUTO else Purpose(who)
    path = SearchPath(
        user_url=url,
        metadata_source=metadata_source if purpose is Purpose.BOOTSTRAP else None,
        catalogue=searching.catalogue() if keystone else None,
        region=region,
        defaults=not no_defaults,
        public_url=public_url,
        keys=keys_in(keyring, searching.USER_KEY),
        public_keys=keys_in(public_keyring, searching.UBUNTU_KEYRING),
        access=Access(cafile=cafile, verify=not insecure),
    )
    sources, skipped = path.images(stream)
    wanted = ImagesWanted(
        cloud=CloudSpec(region=region, endpoint=endpoint), releases=(release,), arches=(arch,), stream=stream
    )
    known = records.known() if purpose is Purpose.MACHINE else []
    answer = search.find_image(sources, wanted, virt=virt, purpose=purpose, juju=juju, records=known, skipped=skipped)
    if as_json:
        output.say_json(answer.to_dict())
    else:
        _say_steps(answer.steps)
        image = answer.image
        if image is None:
            output.say(printable(f"not found: {answer.problem}"))
        else:
            where = (
                f" in {image.products_url}, {'signed' if image.signed else 'not signed'}" if image.products_url else ""
            )
            output.say(printable(f"found: {image.id}, from {image.source}{where}"))
    if answer.image is None:
        raise typer.Exit(FAILED)


def find_agent(
    *,
    version: Annotated[str, typer.Option(help="Of Juju: 3.6.27, or 3.6 or 3 for all of these.")],
    os: Annotated[str, typer.Option("--os", help="Such as ubuntu.")] = "ubuntu",
    arch: Arch = "amd64",
    stream: Annotated[str, typer.Option(help="What the model has as agent-stream.")] = RELEASED,
    region: Region = "",
    endpoint: Endpoint = "",
    url: Url = "",
    metadata_source: MetadataSource = None,
    keystone: FromKeystone = False,
    no_defaults: NoDefaults = False,
    public_url: PublicUrl = "",
    public_keyring: PublicKeyring = None,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Find the agents that Juju would install, and show every step of the search."""
    if bool(region) != bool(endpoint):
        missing = "--endpoint or $OS_AUTH_URL" if region else "--region or $OS_REGION_NAME"
        raise SettingsError(f"one half of the cloud is named; name the other with {missing}, or none of both")
    path = SearchPath(
        user_url=url,
        metadata_source=metadata_source,
        catalogue=searching.catalogue() if keystone else None,
        region=region,
        defaults=not no_defaults,
        public_url=public_url,
        public_keys=keys_in(public_keyring),
        access=Access(cafile=cafile, verify=not insecure),
    )
    sources, skipped = path.agents()
    exact, major, minor = _version(version)
    wanted = AgentsWanted(
        oses=(os,),
        arches=(arch,),
        version=exact,
        major=major,
        minor=minor,
        stream=stream,
        cloud=CloudSpec(region=region, endpoint=endpoint),
    )
    answer = search.find_agents(sources, wanted, skipped=skipped)
    if as_json:
        output.say_json(answer.to_dict())
    else:
        _say_steps(answer.steps)
        for agent in answer.agents:
            signed = "signed" if agent.signed else "not signed"
            output.say(printable(f"found: {agent.name}, from {agent.source}: {agent.url}, {signed}"))
        if not answer.agents:
            output.say(printable(f"not found: {answer.problem}"))
    if not answer.agents:
        raise typer.Exit(FAILED)


def import_metadata(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Holds images/, or is it.")],
    *,
    stream: Annotated[str, typer.Option(help="What the model has as image-stream: the images get it.")] = RELEASED,
    keyring: Keyring = None,
    juju: JujuVersion = Juju.V3_6,
    as_json: AsJson = False,
) -> None:
    """Keep the images of a directory as a controller does after a bootstrap with --metadata-source."""
    path = SearchPath(defaults=False, keys=keys_in(keyring, searching.USER_KEY))
    images, trace = read_directory(directory, path=path, juju=juju, stream=stream)
    new = changed = 0
    if images:
        with records.opened() as rows:
            new, changed = rows.add(images)
    if as_json:
        facts = {"images": [image.to_dict() for image in images], "new": new, "changed": changed}
        output.say_json({**facts, "steps": [step.to_dict() for step in trace.steps]})
    else:
        _say_steps(trace.steps)
        output.say(f"{len(images)} images read: {new} are new, {changed} changed the id of one that was there")


def _version(text: str) -> tuple[AgentVersion | None, int, int]:
    """Return an exact version, or a major and a minor one."""
    parts = text.split(".")
    if len(parts) <= 2 and all(part.isascii() and part.isdecimal() for part in parts):
        return None, int(parts[0]), int(parts[1]) if len(parts) == 2 else -1
    exact = AgentVersion.parse(text)
    return exact, exact.major, exact.minor


def _say_steps(steps: Sequence[Step]) -> None:
    """Print the steps, those of a source below its name."""
    before = None
    for step in steps:
        if step.kind is Kind.SKIPPED and step.what == step.source:
            output.say(f"{step.source}: skipped: {step.why}")
            continue
        if step.source != before:
            output.say(f"{step.source}:")
            before = step.source
        output.say(f"  {step}")
