"""``headwater image``: images of a service, and what belongs to them."""

from __future__ import annotations

from headwater.cli.commands.images import lint, members, prepare, retention
from headwater.cli.commands.images.image import app

app.command("lint")(lint.check)
app.command("prepare")(prepare.prepare)
app.add_typer(members.app, name="members")
app.add_typer(retention.app, name="retention")
