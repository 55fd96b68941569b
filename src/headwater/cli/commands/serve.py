"""``headwater serve``: start everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.config import KeyPath


def serve(
    config_file: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Directory of what Headwater keeps.")
    ] = None,
    bind: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Address of the image API and the streams.")
    ] = None,
    metadata_bind: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Address of the instance metadata.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Worker processes.")] = None,
) -> None:
    """Serve the image API, the streams and the instance metadata, until stopped."""
    before = options.sources()
    sources = options.Sources(config_file or before.file, data_dir or before.data_dir)
    given: dict[KeyPath, object] = {
        ("server", "bind"): bind,
        ("server", "metadata_bind"): metadata_bind,
        ("server", "workers"): workers,
    }
    settings = sources.load(given).settings

    from headwater.server import supervisor  # noqa: PLC0415 - the other commands start without the server

    def say_ready() -> None:
        server = settings.server
        output.say(
            f"Headwater is ready: images and streams on {server.tls.scheme}://{server.bind}, "
            f"instance metadata on {server.metadata_tls.scheme}://{server.metadata_bind}"
        )

    raise typer.Exit(supervisor.serve(settings, say_ready))
