"""What Juju makes of the items of a document: which images and agents it takes, and which it cannot tell apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.format.arches import JUJU_ARCHES
from headwater.streams.lint.consumers import juju_rules as rules
from headwater.streams.lint.reading import Text
from headwater.streams.lint.rules import Place, Rule
from headwater.streams.lint.shapes import objects, text
from headwater.streams.lint.verdict import Build, Verdict

IMAGES: Final = "image-ids"
AGENTS: Final = "content-download"
AGENTS_KEY: Final = re.compile(r"com\.ubuntu\.juju:[^:]+:agents")

_PRODUCT: Final = re.compile(r"com\.ubuntu\.cloud(?:\.([^:]+))?:server:([^:]+):([^:]+)")
_AGENT_PRODUCT: Final = re.compile(r"com\.ubuntu\.juju:[^:]+:[^:]+")
# Ubuntu by number; others as Juju's table of releases has them, such as centos7 and debian12.
_RELEASE: Final = re.compile(r"[0-9]{2}\.[0-9]{2}|[a-z][a-z-]*[0-9][0-9a-z.-]*")
# Juju's own words. Source: Juju: core/arch.
_ARCHES: Final = frozenset({"amd64", "arm64", "ppc64el", "s390x", "riscv64", "i386", "armhf"})
_VERSION: Final = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}(?:\.[0-9]{1,9}|-[a-z]+[0-9]{1,9})(?:\.[0-9]{1,9})?")
_INHERITED: Final = ("arch", "version", "region", "endpoint", "virt", "root_store", "release")
_NOT_FROM_VERSION: Final = frozenset({"virt", "root_store"})


def stream_of(product: object) -> str | None:
    """Return the stream of a product id that Juju could ask for; ``None``: it is another one."""
    found = _PRODUCT.fullmatch(product) if isinstance(product, str) else None
    return None if found is None else found[1] or "released"


def cloud_of(cloud: object) -> tuple[str, str]:
    """Return a cloud as the index is compared: the region without case and blanks, one slash at the end of the URL."""
    known = cloud if isinstance(cloud, dict) else {}
    return _plain(text(known, "region")), text(known, "endpoint").rstrip("/") + "/"


def _plain(region: str) -> str:
    return region.replace(" ", "").lower()


class Images:
    """The images of one document."""

    def __init__(self, verdict: Verdict, document: Text, entry: Mapping[str, Any], *, refuses_twins: bool) -> None:
        self._verdict, self._file, self._document = verdict, document.path, document.value
        self._refuses_twins = refuses_twins
        self._listed = {each for each in entry.get("products") or () if isinstance(each, str)}
        regions = (text(cloud, "region") for cloud in entry.get("clouds") or () if isinstance(cloud, dict))
        self._regions = {_plain(each): each for each in regions}

    def judge(self) -> None:
        for name, product in objects(self._document, "products"):
            at: Place = ("products", name)
            problem = _problem_of(name)
            if problem:
                self._verdict.add(rules.PRODUCT_NAME, self._file, at, problem=problem)
                for version, each in objects(product, "versions"):
                    self._verdict.missed(
                        (self._file, name, version), rules.PRODUCT_NAME, len(list(objects(each, "items")))
                    )
                continue
            if name not in self._listed:
                self._verdict.add(rules.NOT_LISTED, self._file, at)
            self._judge_product(name, product)

    def _judge_product(self, name: str, product: Mapping[str, Any]) -> None:
        given: set[tuple[str, ...]] = set()  # by newer versions
        aliases = self._document.get("_aliases")
        above = {key: text(product, key) or text(self._document, key) for key in _INHERITED}
        for version_name, version in sorted(objects(product, "versions"), reverse=True):
            here = {key: (key not in _NOT_FROM_VERSION and text(version, key)) or above[key] for key in _INHERITED}
            taken: dict[tuple[str, ...], str] = {}
            build = (self._file, name, version_name)
            for item_name, item in objects(version, "items"):
                whole = _whole(item, aliases, here)
                key = (whole["region"], whole["version"], whole["arch"], whole["virt"], whole["root_store"])
                if key in given:
                    continue  # a newer one is there: no fault
                at: Place = ("products", name, "versions", version_name, "items", item_name)
                obstacle = self._obstacle(name, whole, at)
                if obstacle is not None:
                    self._verdict.missed(build, obstacle)
                elif key in taken:
                    self._say_twins(build, at, taken[key], whole, key)
                else:
                    taken[key] = item_name
                    self._verdict.seen(build)
            given |= taken.keys()

    def _obstacle(self, product: str, item: Mapping[str, str], at: Place) -> Rule | None:
        """Say what keeps Juju from taking an item; return the rule."""
        _, version, arch = _PRODUCT.fullmatch(product).groups()  # type: ignore[union-attr]  # judged before
        obstacle: Rule | None = None

        def say(rule: Rule, key: str, **facts: Any) -> Rule | None:
            self._verdict.add(rule, self._file, (*at, key), **facts)
            return obstacle or (rule if rule.level is Level.ERROR else None)

        if not item["id"]:
            obstacle = say(rules.NO_ID, "id")
        region = item["region"]
        if not region:
            obstacle = say(rules.NO_REGION, "region")
        elif self._regions and _plain(region) not in self._regions:
            obstacle = say(rules.NOT_IN_CLOUDS, "region", region=region)
        elif self._regions and self._regions[_plain(region)] != region:
            say(rules.REGION_SPELLED, "region", region=region, other=self._regions[_plain(region)])
        if not item["endpoint"]:
            say(rules.NO_ENDPOINT, "endpoint")
        if item["arch"] != arch:
            obstacle = say(rules.ITEM_ARCH, "arch", found=item["arch"] or "missing", wanted=arch)
        if item["version"] != version:
            say(rules.ITEM_VERSION, "version", found=item["version"] or "missing", wanted=version)
        return obstacle

    def _say_twins(self, build: Build, at: Place, other: str, item: Mapping[str, str], key: tuple[str, ...]) -> None:
        words = ["images in", item["region"], "for", item["arch"], item["virt"], item["root_store"]]
        effect = (
            "Juju refuses the whole batch, and machines fail with: no metadata for images in the region"
            if self._refuses_twins
            else "Juju takes either"
        )
        facts: dict[str, Any] = {
            "other": other,
            "what": " ".join(filter(None, words)),
            "version": item["version"],
            "effect": effect,
        }
        level = Level.ERROR if self._refuses_twins else Level.WARNING
        self._verdict.add(rules.TWINS, self._file, at, level, **facts)
        if self._refuses_twins:
            images = self._verdict.sees.pop(build, 0)
            self._verdict.missed(build, rules.TWINS, images + 1)
        else:
            self._verdict.seen(build)


def _problem_of(product: str) -> str:
    found = _PRODUCT.fullmatch(product)
    if found is None:
        return "it is not com.ubuntu.cloud:server:VERSION:ARCH"
    _, version, arch = found.groups()
    if not _RELEASE.fullmatch(version):
        return f"{version!r} is no version such as 24.04"
    if arch not in _ARCHES:
        hint = f"; Juju's word is {JUJU_ARCHES[arch]}" if arch in JUJU_ARCHES else ""
        return f"{arch!r} is no arch of Juju{hint}"
    return ""


def _whole(item: Mapping[str, Any], aliases: Any, above: Mapping[str, str]) -> dict[str, str]:
    """Return an item with what aliases put over its own keys, and with what it inherits."""
    known = {key: text(item, key) for key in ("id", "crsn", *_INHERITED)}
    for key, value in known.copy().items() if isinstance(aliases, dict) else ():
        table = aliases.get(key)
        more = table.get(value) if value and isinstance(table, dict) else None
        if isinstance(more, dict):
            known |= {name: each for name, each in more.items() if isinstance(each, str)}
    return {key: value or above.get(key, "") for key, value in known.items()}


class Agents:
    """The agents of one document."""

    def __init__(self, verdict: Verdict, document: Text) -> None:
        self._verdict, self._file, self._document = verdict, document.path, document.value

    def judge(self) -> None:
        for name, product in objects(self._document, "products"):
            if not _AGENT_PRODUCT.fullmatch(name):
                self._verdict.add(rules.AGENT_PRODUCT, self._file, ("products", name))
                for version_name, _ in objects(product, "versions"):
                    self._verdict.missed((self._file, name, version_name), rules.AGENT_PRODUCT)
                continue
            for version_name, version in objects(product, "versions"):
                for item_name, item in objects(version, "items"):
                    at: Place = ("products", name, "versions", version_name, "items", item_name)
                    self._judge_item((self._file, name, version_name), at, item, (version, product, self._document))

    def _judge_item(
        self, build: Build, at: Place, item: Mapping[str, Any], above: tuple[Mapping[str, Any], ...]
    ) -> None:
        version = next(filter(None, (text(each, "version") for each in (item, *above))), "")
        lacking = list(_lacking(item, above))
        if version and not _VERSION.fullmatch(version):
            self._verdict.add(rules.AGENT_VERSION, self._file, (*at, "version"), found=version)
            self._verdict.missed(build, rules.AGENT_VERSION)
            return
        for key in lacking:
            self._verdict.add(rules.AGENT_LACKS, self._file, (*at, key), key=key)
        if lacking:
            self._verdict.missed(build, rules.AGENT_LACKS)
        else:
            self._verdict.seen(build)


def _lacking(item: Mapping[str, Any], above: tuple[Mapping[str, Any], ...]) -> Iterator[str]:
    for key in ("release", "version", "arch"):
        if not any(text(each, key) for each in (item, *above)):
            yield key
    yield from (key for key in ("path", "sha256", "size") if not item.get(key))
