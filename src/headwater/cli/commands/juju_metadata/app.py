"""``headwater juju-metadata``: the commands of ``juju metadata``; those that ``streams`` has not stand there too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import typer

from headwater.cli.late import LateGroup

_OWN = "headwater.cli.commands.juju_metadata"
# What Juju takes at every command: what it logs, and how it logs in to a controller.
_FLAGS = frozenset({"--debug", "--verbose", "--quiet", "--show-log", "--no-browser-login", "-B"})
_LEVELS = "--logging-config"


class _JujuMetadata(LateGroup):
    """The commands; what is an option of all of Juju's says nothing here, as nothing is logged and nobody logs in."""

    places: ClassVar[Mapping[str, str]] = {
        "generate-image": f"{_OWN}.generate_image:generate_image",
        **dict.fromkeys(
            ("generate-agent-binaries", "generate-agents", "generate-tools"),
            f"{_OWN}.generate_agents:generate_agents",
        ),
        "validate-images": f"{_OWN}.in_streams:validate_images",
        **dict.fromkeys(
            ("validate-agent-binaries", "validate-agents", "validate-tools"),
            f"{_OWN}.in_streams:validate_agents",
        ),
        "sign": f"{_OWN}.in_streams:sign",
        "images": f"{_OWN}.images:list_images",
        "list-images": f"{_OWN}.images:list_images",
        "add-image": f"{_OWN}.images:add_image",
        "delete-image": f"{_OWN}.images:delete_image",
    }

    def parse_args(self, ctx: Any, args: Sequence[str]) -> Any:
        """As ``TyperGroup`` has it."""
        return super().parse_args(ctx, [*_own(args)])


def _own(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command line but for the options that all commands of Juju have."""
    coming = iter(words)
    for word in coming:
        if word == "--":
            yield word
            yield from coming
        elif word == _LEVELS:
            next(coming, None)
        elif word not in _FLAGS and not word.startswith(f"{_LEVELS}="):
            yield word


app = typer.Typer(
    cls=_JujuMetadata,
    no_args_is_help=True,
    help="Juju's own commands on metadata, in a directory; no controller is asked. What all of Juju's commands take "
    "(--debug, --verbose, --quiet, --show-log, --logging-config, --no-browser-login) is taken and changes nothing.",
)
