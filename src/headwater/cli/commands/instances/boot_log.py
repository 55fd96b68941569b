"""``headwater instance boot-log``: what a machine fetched, what it reported, and what that means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import opened
from headwater.cli.commands.instances.app import guest_of
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.instances.boot_log.document import document, time_of
from headwater.instances.boot_log.entries import Entry
from headwater.instances.boot_log.reports import CLOUD_CONFIG, PATH
from headwater.instances.boot_log.verdict import last_boot
from headwater.instances.sources.guests import Guest, Guests, judged

_LOOKS_EVERY_S = 1.0


class JsonDoesNotEnd(SettingsError):
    """What is followed has no end, and JSON needs one."""

    def __init__(self) -> None:
        super().__init__("--follow prints lines as they come; take it without --json")


def boot_log(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name or id.")],
    *,
    every: Annotated[bool, typer.Option("--all", help="Show all boots that are kept; else the last.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, until interrupted.")] = False,
    cloud_config: Annotated[
        bool, typer.Option("--cloud-config", help="Print what lets cloud-init report how it gets on, and nothing else.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a machine fetched when it booted, and say whether it got what it needs.

    A running service writes it down within a second or two.
    """
    if follow and as_json:
        raise JsonDoesNotEnd
    with opened() as database:
        guests = Guests(database)
        found = guest_of(guests, instance)
        if cloud_config:
            server = options.sources().load().settings.server
            output.say(CLOUD_CONFIG.format(endpoint=f"{server.metadata_url}/{PATH}").rstrip())
            return
        entries = guests.boot_log(found)
        shown, verdict = entries if every else last_boot(entries), judged(found, entries)
        if as_json:
            output.say_json(document(found.id, found.name, verdict, shown))
            return
        _say(shown)
        if follow:
            _follow(guests, found, entries)
        for sentence in verdict.sentences:
            output.say(sentence)


def _follow(guests: Guests, guest: Guest, entries: Sequence[Entry]) -> None:
    """Print what comes, until interrupted; entries of several workers may come a moment out of order."""
    known = set(entries)
    while True:
        time.sleep(_LOOKS_EVERY_S)
        entries = guests.boot_log(guest)
        _say([entry for entry in entries if entry not in known])
        known = set(entries)


def _say(entries: Sequence[Entry]) -> None:
    for entry in entries:
        output.say(_line(entry))


def _line(entry: Entry) -> str:
    at = time_of(entry.at)
    if entry.report is not None:
        report = entry.report
        return f"{at}  reports {report.event} {report.name} {report.result or ''}  {report.description}".rstrip()
    broken = "" if entry.complete else " broken off"
    token = " token" if entry.token else ""
    path = f"/{entry.document.removeprefix('ec2/')}"
    return f"{at}  {entry.method:4} {entry.status} {path}{broken}{token}  {entry.ms} ms  {entry.agent}".rstrip()
