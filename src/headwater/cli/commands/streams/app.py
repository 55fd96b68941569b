"""``headwater streams``: feeds in trees, and the live feed."""

from __future__ import annotations

import typer

from headwater.cli.late import late

_OWN = "headwater.cli.commands.streams"
_JUJU = "headwater.cli.commands.juju_metadata"
app = typer.Typer(
    cls=late(
        {
            "add-image": f"{_OWN}.changing:add_image",
            "add-agent": f"{_OWN}.agents:add_agent",
            "add-boot-image": f"{_OWN}.boot:add_boot_image",
            "add-file": f"{_OWN}.files:add_file",
            "remove": f"{_OWN}.changing:remove",
            "prune": f"{_OWN}.changing:prune",
            "list": f"{_OWN}.changing:list_items",
            "sync": f"{_OWN}.syncing.sync:sync",
            "sources": f"{_OWN}.syncing.sources:app",
            "query": f"{_OWN}.looking.query:query",
            "lint": f"{_OWN}.looking.lint:lint",
            "mirror": f"{_OWN}.copying.mirror:mirror",
            "publish": f"{_OWN}.publish:publish",
            "register": f"{_OWN}.publish:register",
            "pulled": f"{_OWN}.pulling.pulled:app",
            "sign": f"{_OWN}.sign:sign",
            "verify": f"{_OWN}.verify:verify",
            "find-image": f"{_OWN}.juju.find:find_image",
            "find-agent": f"{_OWN}.juju.find:find_agent",
            "import-metadata": f"{_OWN}.juju.find:import_metadata",
            "validate-images": f"{_OWN}.juju.validate:validate_images",
            **dict.fromkeys(
                # As Juju 2, 3 and 1 call it.
                ("validate-agents", "validate-agent-binaries", "validate-tools"),
                f"{_OWN}.juju.validate:validate_agents",
            ),
            "generate-image": f"{_JUJU}.generate_image:generate_image",
            **dict.fromkeys(
                ("generate-agents", "generate-agent-binaries", "generate-tools"),
                f"{_JUJU}.generate_agents:generate_agents",
            ),
            "list-images": f"{_JUJU}.images:list_images",
            "delete-image": f"{_JUJU}.images:delete_image",
            "path": f"{_OWN}.paths:app",
            "why": f"{_OWN}.looking.why:why",
            "explain": f"{_OWN}.looking.explain:explain",
        }
    ),
    no_args_is_help=True,
    help="Simplestreams feeds: in a directory, at a URL, in S3 or Swift, and live.",
)
