"""``headwater``: the command line. One file for each group of commands."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from headwater import __version__
from headwater.cli import exits, options, output
from headwater.cli.late import late
from headwater.errors import HeadwaterError

_COMMANDS = "headwater.cli.commands"
app = typer.Typer(
    name="headwater",
    cls=late(
        {
            "serve": f"{_COMMANDS}.serve:serve",
            "worker": f"{_COMMANDS}.serve:worker",
            "db": f"{_COMMANDS}.db:app",
            "store": f"{_COMMANDS}.store:app",
            "trash": f"{_COMMANDS}.images.trash:app",
            "jobs": f"{_COMMANDS}.jobs:app",
            "cache": f"{_COMMANDS}.images.cache:app",
            "config": f"{_COMMANDS}.config:app",
            "policy": f"{_COMMANDS}.policy:app",
            "streams": f"{_COMMANDS}.streams.app:app",
            "juju-metadata": f"{_COMMANDS}.juju_metadata.app:app",
            "image": f"{_COMMANDS}.images.image:app",
            "replicate": f"{_COMMANDS}.images.replicate:replicate",
            "instance": f"{_COMMANDS}.instances.app:app",
            "metadefs": f"{_COMMANDS}.images.metadefs:app",
            "config-drive": f"{_COMMANDS}.media.config_drive:app",
            "try": f"{_COMMANDS}.media.try_image:try_image",
            "metadata-proxy": f"{_COMMANDS}.media.metadata_proxy:metadata_proxy",
        }
    ),
    help="Machine images from a file to a running instance.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        output.say(f"headwater {__version__}")
        raise typer.Exit


@app.callback()
def headwater(
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings file. Default: headwater.toml here, if there is one.",
            envvar="HEADWATER_CONFIG",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Directory of what Headwater keeps.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Machine images from a file to a running instance."""
    options.remember(options.Sources(config_file, data_dir))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what goes wrong ends as one sentence, or one JSON object, and an exit code.

    Args:
        arguments: Without the name of the program; ``None``: those of the process.
    """
    # What it finds in an image is told in the sentence that refuses it.
    logging.getLogger("oslo_utils").addHandler(logging.NullHandler())
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = output.wants_json(arguments)
    output.open_missing()
    try:
        with output.written():
            # Otherwise typer itself explains a wrong usage, with the usage that would be right.
            sys.exit(app(arguments, standalone_mode=not as_json))
    except (HeadwaterError, typer.TyperException) as error:
        output.complain(error, as_json=as_json)
        sys.exit(exits.code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
