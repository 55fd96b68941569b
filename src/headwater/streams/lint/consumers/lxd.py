"""LXD 5: the client ``lxc`` and the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.lint.consumers import image_files, image_rules
from headwater.streams.lint.consumers.consumer import Consumer
from headwater.streams.lint.rules import Place, Rule
from headwater.streams.lint.shapes import TEXT_MAP, judged
from headwater.streams.lint.verdict import Verdict

NEWER: Final = Rule(
    id="lxd-newer-requirements",
    level=Level.WARNING,
    says="it is {found}, not {expected}: lxc 5.0 does not read it, and newer releases fail on the whole remote",
    fix='write it as {expected}, such as "false" in quotation marks',
    source="requirements with a true or false: ignored by lxc 5.0.2; the whole remote fails on Incus, which decodes it",
)
EMPTY: Final = Rule(
    id="lxd-empty-requirements",
    level=Level.WARNING,
    says="lxd_requirements is empty, and wins over requirements all the same: LXD applies none",
    fix="remove the empty lxd_requirements, or write there what is to hold for LXD",
    source="LXD: lxd_requirements wins over requirements even when it is an empty object",
)


def _requirements(verdict: Verdict, file: str, at: Place, product: Mapping[str, Any]) -> None:
    for each in judged(product, {"requirements": TEXT_MAP}, at):
        verdict.add(NEWER, file, each.place, found=each.found, expected=each.expected)
    if product.get("lxd_requirements") == {} and product.get("requirements"):
        verdict.add(EMPTY, file, (*at, "lxd_requirements"))


_LXD: Final = image_files.Reader(
    metadata="lxd.tar.xz",
    unified="lxd_combined.tar.gz",
    shapes=image_files.shapes(product={"lxd_requirements": TEXT_MAP}, item={}),
    requirements=frozenset({"secureboot", "cgroup", "nesting"}),
    requirement_keys=("requirements", "lxd_requirements"),
    needs_size=True,
    more=_requirements,
)
CONSUMERS: Final = (
    Consumer("lxd-5", "LXD", "LXD 5: lxc and the daemon", _LXD.read, (*image_rules.RULES, NEWER, EMPTY)),
)
