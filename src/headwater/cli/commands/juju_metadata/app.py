"""``headwater juju-metadata``: the commands of ``juju metadata``; those that ``streams`` has not stand there too."""

from __future__ import annotations

import typer

from headwater.cli.late import late

_OWN = "headwater.cli.commands.juju_metadata"
_STREAMS = "headwater.cli.commands.streams"
app = typer.Typer(
    cls=late(
        {
            "generate-image": f"{_OWN}.generate_image:generate_image",
            **dict.fromkeys(
                ("generate-agent-binaries", "generate-agents", "generate-tools"),
                f"{_OWN}.generate_agents:generate_agents",
            ),
            "validate-images": f"{_STREAMS}.juju.validate:validate_images",
            **dict.fromkeys(
                ("validate-agent-binaries", "validate-agents", "validate-tools"),
                f"{_STREAMS}.juju.validate:validate_agents",
            ),
            "sign": f"{_STREAMS}.sign:sign",
            "images": f"{_OWN}.images:list_images",
            "list-images": f"{_OWN}.images:list_images",
            "add-image": f"{_OWN}.images:add_image",
            "delete-image": f"{_OWN}.images:delete_image",
        }
    ),
    no_args_is_help=True,
    help="Juju's own commands on metadata, in a directory; no controller is asked.",
)
