"""Multipass: the first entry of downloads in ``index.json``, and files by the names of their items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.format.layout import INDEX
from headwater.streams.lint.consumers.consumer import NOTHING, Consumer, all_missed, nothing_for_it
from headwater.streams.lint.documents import NO_INDEX, Takes, is_readable, rules_for
from headwater.streams.lint.reading import State, Texts
from headwater.streams.lint.rules import Place, Reach, Rule
from headwater.streams.lint.shapes import objects, text
from headwater.streams.lint.verdict import Verdict

READ: Final = "multipass: src/simplestreams"
_TAKES: Final = Takes(bom=True)
_FILES: Final = ("uefi1.img", "disk1.img", "img.xz")  # the last one of Ubuntu Core

LATER: Final = Rule(
    id="multipass-later-entry",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="multipass takes the first entry of image-downloads, {first}, and never looks at this one",
    fix="put the images for multipass into the first such entry, or in a feed of their own",
    source=READ,
)
ITEM_NAME: Final = Rule(
    id="multipass-item-name",
    level=Level.ERROR,
    says="the item of ftype {ftype} is named {name!r}: multipass goes by the names of items and does not see it",
    fix="name the item as its ftype: uefi1.img, disk1.img or img.xz",
    source=f"{READ}: item key names, not ftype",
)
UNSUPPORTED: Final = Rule(
    id="multipass-unsupported",
    level=Level.ERROR,
    says="the product is not supported: true, and devel is none of its aliases: multipass hides it",
    fix='set "supported": true (not in quotation marks) on the product',
    source=f"{READ}: supported, or the alias devel",
)
LACKS: Final = Rule(
    id="multipass-lacks",
    level=Level.ERROR,
    says="it has no {key}: multipass cannot use the image",
    fix='set "{key}" here, on this level',
    source=f"{READ}: product arch, aliases; item path, sha256, size as a number",
)
RULES: Final = (LATER, ITEM_NAME, UNSUPPORTED, LACKS, NOTHING, *rules_for(_TAKES))


def _read(texts: Texts, verdict: Verdict) -> None:
    index = texts.get(INDEX)
    if index.state is State.ABSENT:
        verdict.add(NO_INDEX, INDEX, consumer=verdict.program, names=INDEX)
        return
    if not is_readable(verdict, index, Reach.FEED, _TAKES):
        return
    first: str | None = None
    for name, entry in objects(index.value, "index"):
        if entry.get("datatype") != "image-downloads":
            continue
        document = texts.get(text(entry, "path"))
        if first is None:
            first = name
            if is_readable(verdict, document, Reach.FEED, _TAKES):
                _judge(verdict, document.path, document.value)
        elif document.is_json and _is_for_it(document.value):
            verdict.add(LATER, INDEX, ("index", name), first=first)
            all_missed(verdict, document.value, document.path, LATER)
    if not verdict.sees and not verdict.misses and not verdict.has_errors:
        nothing_for_it(verdict, INDEX, "no entry of image-downloads with items named uefi1.img, disk1.img or img.xz")


def _is_for_it(document: Any) -> bool:
    return any(
        name in _FILES
        for _, product in objects(document, "products")
        for _, version in objects(product, "versions")
        for name, _ in objects(version, "items")
    )


def _judge(verdict: Verdict, file: str, document: Any) -> None:
    for name, product in objects(document, "products"):
        at: Place = ("products", name)
        versions = [(each, dict(objects(version, "items"))) for each, version in objects(product, "versions")]
        if not any(
            key in _FILES or text(item, "ftype") in _FILES for _, items in versions for key, item in items.items()
        ):
            continue
        reason = _judge_product(verdict, file, at, product)
        for version, items in versions:
            place = (*at, "versions", version, "items")
            lost = reason or _judge_items(verdict, file, place, items)
            if lost is None:
                verdict.seen((file, name, version))
            else:
                verdict.missed((file, name, version), lost)


def _judge_product(verdict: Verdict, file: str, at: Place, product: Mapping[str, Any]) -> Rule | None:
    reason = None
    for key in ("arch", "aliases"):
        if not text(product, key):
            verdict.add(LACKS, file, (*at, key), key=key)
            reason = LACKS
    if product.get("supported") is not True and "devel" not in text(product, "aliases").split(","):
        level = Level.NOTE if product.get("supported") is False else Level.ERROR  # as it is meant
        verdict.add(UNSUPPORTED, file, (*at, "supported"), level)
        reason = UNSUPPORTED
    return reason


def _judge_items(verdict: Verdict, file: str, at: Place, items: Mapping[str, Mapping[str, Any]]) -> Rule | None:
    name = next((each for each in _FILES if each in items), None)
    if name is None:
        for key, item in items.items():
            if text(item, "ftype") in _FILES:
                verdict.add(ITEM_NAME, file, (*at, key), ftype=item["ftype"], name=key)
        return ITEM_NAME
    lacking = [key for key in ("path", "sha256") if not text(items[name], key)]
    if not isinstance(items[name].get("size"), int):
        lacking.append("size")
    for key in lacking:
        verdict.add(LACKS, file, (*at, name, key), key=f"{key} as a number" if key == "size" else key)
    return LACKS if lacking else None


CONSUMERS: Final = (Consumer("multipass", "multipass", "multipass", _read, RULES),)
