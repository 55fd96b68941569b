"""What a change leaves in a feed that MAAS then refuses, said where the change is made, in the words of ``lint``."""

from __future__ import annotations

from typing import Any

from headwater.cli import output
from headwater.streams.format.documents import INDEX_FORMAT
from headwater.streams.lint.consumers import maas
from headwater.streams.writing import image_ids
from headwater.streams.writing.feed import Feed

Warnings = list[dict[str, Any]]


def warnings_of(feed: Feed) -> Warnings:
    """Return a warning for each entry of the index by which MAAS does not see its boot images; none where it has none.

    Each has ``rule``, ``entry``, ``message`` and ``fix``.
    """
    refused = {name: entry.datatype for name, entry in feed.index.index.items() if not maas.takes(entry.datatype)}
    if not refused or not _has_boot_images(feed):
        return []
    rule = maas.DATATYPE
    return [
        {"rule": rule.id, "entry": name, "message": rule.says.format(found=datatype), "fix": rule.fix}
        for name, datatype in refused.items()
    ]


def say(warnings: Warnings) -> None:
    """Print them to standard error."""
    for each in warnings:
        output.say_error(f"warning {each['rule']}: {each['entry']}: {each['message']}\n  fix: {each['fix']}")


def _has_boot_images(feed: Feed) -> bool:
    return any(
        maas.boots(place.item, item.ftype)
        for content_id, entry in feed.index.index.items()
        if entry.format != INDEX_FORMAT and maas.takes(entry.datatype)
        if (products := feed.products(content_id)) is not None
        for place, item in image_ids.items(products)
    )
