"""``headwater juju-metadata``: the commands of ``juju metadata``; those that ``streams`` has not stand there too."""

from __future__ import annotations

import typer

from headwater.cli.late import late

_OWN = "headwater.cli.commands.juju_metadata"
app = typer.Typer(
    cls=late(
        {
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
    ),
    no_args_is_help=True,
    help="Juju's own commands on metadata, in a directory; no controller is asked.",
)
