"""Incus 6 and 7: the client and the daemon."""

from __future__ import annotations

from typing import Final

from headwater.streams.lint.consumers import image_files, image_rules
from headwater.streams.lint.consumers.consumer import Consumer
from headwater.streams.lint.shapes import TEXT, TEXT_MAP

_KNOWN: Final = frozenset({"secureboot", "cgroup", "nesting", "privileged", "cdrom_agent", "cdrom_cloud_init"})


def _incus(item: dict[str, str]) -> image_files.Reader:
    return image_files.Reader(
        metadata="incus.tar.xz",
        unified="incus_combined.tar.gz",
        shapes=image_files.shapes(product={"requirements": TEXT_MAP}, item=item),
        requirements=_KNOWN,
        requirement_keys=("requirements",),
        needs_size=False,
    )


CONSUMERS: Final = (
    Consumer("incus-6", "Incus", "Incus 6", _incus({}).read, image_rules.RULES),
    # The kind of a unified image, ``combined_type``, is read since May 2026.
    Consumer("incus-7", "Incus", "Incus 7", _incus({"combined_type": TEXT}).read, image_rules.RULES),
)
