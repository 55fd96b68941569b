"""``headwater serve``: start everything. ``headwater worker``: start what serves nothing and runs jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli import options, output
from headwater.config import KeyPath
from headwater.garbage import no_garbage_search

if TYPE_CHECKING:
    from headwater.server.settings import Settings

ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help="Directory of what Headwater keeps.")]
Processes = Annotated[int | None, typer.Option("--workers", metavar="N", help="Worker processes.")]


def serve(
    config_file: ConfigFile = None,
    data_dir: DataDir = None,
    bind: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Address of the image API and the streams.")
    ] = None,
    metadata_bind: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Address of the instance metadata.")
    ] = None,
    workers: Processes = None,
) -> None:
    """Serve the image API, the streams and the instance metadata, until stopped."""
    given: dict[KeyPath, object] = {
        ("server", "bind"): bind,
        ("server", "metadata_bind"): metadata_bind,
        ("server", "workers"): workers,
    }
    with no_garbage_search():
        from headwater.server import supervisor  # noqa: PLC0415 - the other commands start without the server

    settings = _sources(config_file, data_dir).load(given).settings

    def say_ready() -> None:
        server = settings.server
        output.say(
            f"Headwater is ready: images and streams on {server.tls.scheme}://{server.bind}, "
            f"instance metadata on {server.metadata_url}{_networks(settings)}"
        )

    raise typer.Exit(supervisor.serve(settings, say_ready))


def _networks(settings: Settings) -> str:
    return "".join(f", for {name} on {each.bind}" for name, each in settings.metadata.networks.items())


def worker(config_file: ConfigFile = None, data_dir: DataDir = None, workers: Processes = None) -> None:
    """Run jobs (imports, copies, house-keeping) and listen nowhere, until stopped: for machines of their own."""
    with no_garbage_search():
        from headwater.server import supervisor  # noqa: PLC0415 - as in serve

    settings = _sources(config_file, data_dir).load({("server", "workers"): workers}).settings

    raise typer.Exit(
        supervisor.run_jobs(settings, lambda: output.say("Headwater is ready: jobs run, and nothing is served"))
    )


def _sources(config_file: Path | None, data_dir: Path | None) -> options.Sources:
    before = options.sources()
    return options.Sources(config_file or before.file, data_dir or before.data_dir)
