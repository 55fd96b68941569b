"""``headwater metadata-proxy``: the metadata of one machine, on a channel that its hypervisor gives to it alone."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.catalogue import opened
from headwater.cli.machines import looking


def metadata_proxy(
    *,
    instance: Annotated[str, typer.Option("--instance", metavar="INSTANCE", help="Name or id of the machine.")],
    listen: Annotated[
        str | None,
        typer.Option(metavar="CHANNEL", help="unix:PATH, vsock:PORT or vsock:CID:PORT, instead of one connection."),
    ] = None,
) -> None:
    """Answer one machine as the metadata port does, whatever its address.

    Without --listen it answers one connection, on standard input and output: QEMU starts it for each connection of the
    guest (guestfwd=tcp:169.254.169.254:80-cmd:...). With it, until it is stopped.
    """
    # The other commands start without the server.
    from headwater.server import log  # noqa: PLC0415 - see above
    from headwater.server.guests import channels, serving  # noqa: PLC0415 - see above

    settings = options.sources().load().settings
    log.configure(settings.log.format, settings.log.level)
    with opened(writes=True) as database:
        instance_id = looking(database).id_of(instance)
        if listen is None:
            serving.serve_one(database, settings, instance_id, channels.standard_streams(), listens=False)
            return
        with channels.listening(listen) as listening:
            serving.serve_one(database, settings, instance_id, listening, listens=True)
