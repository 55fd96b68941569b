"""MAAS: a schema for each kind of document, and one thing amiss makes the whole of it invalid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.format.documents import signed_name
from headwater.streams.format.layout import INDEX
from headwater.streams.lint import signatures
from headwater.streams.lint.consumers.consumer import NOTHING, Consumer, all_missed, nothing_for_it
from headwater.streams.lint.dates import date_problem
from headwater.streams.lint.documents import NO_INDEX, Takes, is_readable, rules_for
from headwater.streams.lint.reading import State, Text, Texts
from headwater.streams.lint.rules import Place, Reach, Rule
from headwater.streams.lint.shapes import SIZE, TEXT, TEXTS, Shape, Shapes, index_mismatches, objects, text
from headwater.streams.lint.verdict import Verdict

SCHEMA: Final = "MAAS (2026): maasservicelayer/simplestreams/models.py"
_TAKES: Final = Takes(bom=True)
_SIGNED, _UNSIGNED = signed_name(INDEX), INDEX

UNSIGNED: Final = Rule(
    id="maas-unsigned",
    level=Level.WARNING,
    reach=Reach.FEED,
    says="there is no index.sjson: MAAS takes the feed only at its full URL, with the check of signatures switched off",
    fix="sign the feed, or give MAAS the URL up to index.json and skip_keyring_verification",
    source="MAAS asks index.sjson unless the URL names a file; unsigned content with verification on is an error",
)
FRAME: Final = Rule(
    id="maas-signature",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="MAAS cannot verify it: {problem}",
    fix="sign the index and all that it names, inline, with the key whose keyring MAAS is given",
    source="gpgv with the keyring of the boot source is mandatory for what is signed",
)
TYPE: Final = Rule(
    id="maas-type",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it is {found}, and MAAS takes {expected} only: the whole document is invalid",
    fix="write it as {expected}",
    source=SCHEMA,
)
DATE: Final = Rule(
    id="maas-updated",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="updated {problem}: the whole index is invalid",
    fix='set "updated" at the top and on each entry, such as "Thu, 01 Jan 2026 00:00:00 +0000"',
    source=f"{SCHEMA}: RFC 2822 with a numeric zone, or ISO 8601; GMT is refused",
)
ENTRY_LACKS: Final = Rule(
    id="maas-entry-lacks",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the entry has no {key}: the whole index is invalid",
    fix='set "{key}" on the entry',
    source=f"{SCHEMA}: path and products are required",
)
DATATYPE: Final = Rule(
    id="maas-datatype",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the datatype {found!r} is not known to MAAS: this one entry makes the whole index invalid",
    fix="keep agents and other files in an index of their own: MAAS takes image-ids and image-downloads",
    source=f"{SCHEMA}: one content-download entry makes the whole index invalid (run)",
)
PRODUCT_LACKS: Final = Rule(
    id="maas-product-lacks",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the product has no {key} of its own{elsewhere}: the whole document is invalid",
    fix='set "{key}" on the product itself; MAAS does not inherit keys',
    source=f"{SCHEMA}: moving label to the version fails (run)",
)
ITEM_LACKS: Final = Rule(
    id="maas-item-lacks",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the item has no {key}: the whole document is invalid",
    fix='set "{key}" on the item; MAAS does not inherit keys',
    source=f"{SCHEMA}: items need ftype, path, sha256, size",
)
FILES: Final = Rule(
    id="maas-files",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the version has no {missing}: the whole document is invalid",
    fix="add what is missing: {wanted}",
    source=(
        f"{SCHEMA}: boot-initrd, boot-kernel and manifest with squashfs or root-image.gz; manifest "
        "with root-tgz; boot loaders"
    ),
)
MIXED: Final = Rule(
    id="maas-mixed",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the product is {found}, and others of the document are {other}: no schema takes the whole document",
    fix="put boot loaders, images of several files and images of one file into documents of their own",
    source=SCHEMA,
)
NAME: Final = Rule(
    id="maas-product-name",
    level=Level.WARNING,
    says="MAAS of 2024 passes over the product: its name has none of {wanted}",
    fix=(
        "name it such as com.example.maas:v3:boot:24.04:amd64:ga-24.04, boot loaders "
        "com.example.maas:1:grub-efi-signed:uefi:amd64"
    ),
    source="MAAS (2024), import_images: Ubuntu's products must hold :v2:, :v3: or :v3+platform:, boot loaders :1:",
)
RULES: Final = (
    *(UNSIGNED, FRAME, TYPE, DATE, ENTRY_LACKS, DATATYPE, PRODUCT_LACKS, ITEM_LACKS, FILES, MIXED, NAME, NOTHING),
    *rules_for(_TAKES),
    *signatures.RULES,
)

_LOADERS: Final = frozenset({"grub2-signed", "shim-signed", "grub2", "syslinux"})
_BOOT: Final = frozenset({"boot-kernel", "boot-initrd", "root-image.gz", "root-tgz", *_LOADERS})
_LOADER, _SEVERAL, _ONE = "boot loaders", "images of several files", "images of one file"
_PRODUCT_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    _LOADER: ("arch", "arches", "bootloader-type", "label", "os"),
    _SEVERAL: ("arch", "label", "os", "release", "release_title", "subarch", "subarches", "version"),
    _ONE: ("arch", "label", "os", "release", "release_title", "subarch", "subarches", "version"),
}
_ITEM_NEEDS: Final = ("ftype", "path", "sha256", "size")
_SOURCES: Final = ("src_package", "src_release", "src_version")
_ENTRY: Final[Shape] = {"path": TEXT, "products": TEXTS, "format": TEXT, "datatype": TEXT, "updated": TEXT}
_SHAPES: Final = Shapes(
    top=dict.fromkeys(("content_id", "datatype", "format", "updated"), TEXT),
    product=dict.fromkeys({key for keys in _PRODUCT_NEEDS.values() for key in keys}, TEXT),
    item={**dict.fromkeys(("ftype", "path", "sha256", *_SOURCES), TEXT), "size": SIZE},
)
_UBUNTU_NAME: Final = re.compile(r":v[23](\+platform)?:")


def _read(texts: Texts, verdict: Verdict) -> None:
    index = texts.get(_SIGNED)
    if index.state is State.ABSENT:
        index = texts.get(_UNSIGNED)
    if index.state is State.ABSENT:
        verdict.add(NO_INDEX, _SIGNED, consumer=verdict.program, names=_SIGNED)
        return
    is_signed = index.path == _SIGNED
    if is_signed and index.signature:
        verdict.add(FRAME, index.path, problem=index.signature)
    if not is_readable(verdict, index, Reach.FEED, _TAKES):
        return
    entries = [(name, entry, texts.get(text(entry, "path"))) for name, entry in objects(index.value, "index")]
    if not verdict.asked_for and not any(_is_for_maas(document) for _, _, document in entries):
        nothing_for_it(verdict, index.path, "no boot loaders and no boot images")
        return
    if not is_signed:
        verdict.add(UNSIGNED, index.path)
    refused = signatures.refused_by(verdict, index, signatures.GPGV) if is_signed else None
    is_valid = _judge_index(verdict, index)
    for name, _, document in entries:
        reads = is_readable(verdict, document, Reach.PRODUCTS, _TAKES)
        if reads and is_signed and document.signature != "":
            problem = document.signature or "the signed index names it, and it is not signed"
            verdict.add(FRAME, index.path, ("index", name, "path"), problem=problem)
            all_missed(verdict, document.value, document.path, FRAME)
        elif reads and is_signed and (rule := signatures.refused_by(verdict, document, signatures.GPGV) or refused):
            all_missed(verdict, document.value, document.path, rule)
        elif reads and _judge_document(verdict, document):
            if is_valid:
                _all_seen(verdict, document)
            else:
                all_missed(verdict, document.value, document.path, ENTRY_LACKS)


def takes(datatype: object) -> bool:
    """Return whether an index may have entries of this datatype."""
    return datatype in (None, "image-ids", "image-downloads")


def boots(item: str, ftype: str | None) -> bool:
    """Return whether an item of this name and type is one that machines boot from, so that the feed is for MAAS."""
    return item in _BOOT or ftype in _BOOT


def _all_seen(verdict: Verdict, document: Text) -> None:
    for name, product in objects(document.value, "products"):
        for version, _ in objects(product, "versions"):
            verdict.seen((document.path, name, version))


def _is_for_maas(document: Text) -> bool:
    if not document.is_json:
        return False
    return any(
        boots(item_name, text(item, "ftype"))
        for _, product in objects(document.value, "products")
        for _, version in objects(product, "versions")
        for item_name, item in objects(version, "items")
    )


def _judge_index(verdict: Verdict, index: Text) -> bool:
    is_valid = True

    def no(rule: Rule, place: Place, **facts: Any) -> None:
        nonlocal is_valid
        is_valid = False
        verdict.add(rule, index.path, place, reach=Reach.FEED, **facts)

    for each in index_mismatches(index.value, {"format": TEXT, "updated": TEXT}, _ENTRY):
        no(TYPE, each.place, found=each.found, expected=each.expected)
    problem = _date_problem(index.value.get("updated"))
    if problem:
        no(DATE, ("updated",), problem=problem)
    for name, entry in objects(index.value, "index"):
        at: Place = ("index", name)
        for key in ("path", "products"):
            if entry.get(key) is None:
                no(ENTRY_LACKS, (*at, key), key=key)
        problem = _date_problem(entry.get("updated"))
        if problem:
            no(DATE, (*at, "updated"), problem=problem)
        datatype = entry.get("datatype")
        if not takes(datatype):
            no(DATATYPE, (*at, "datatype"), found=datatype)
    return is_valid


def _date_problem(value: object) -> str:
    if value is None:
        return "is missing"
    return date_problem(value) if isinstance(value, str) else ""  # another type is said as such


def _judge_document(verdict: Verdict, document: Text) -> bool:
    for each in _SHAPES.mismatches(document.value):
        verdict.add(TYPE, document.path, each.place, found=each.found, expected=each.expected)
    first: str | None = None
    for name, product in objects(document.value, "products"):
        at: Place = ("products", name)
        kind = _kind_of(product)
        first = first or kind
        if kind != first:
            verdict.add(MIXED, document.path, at, found=f"one of {kind}", other=first)
        _judge_product(verdict, document.path, at, product, kind)
    wrong = [each for each in verdict.findings if each.file == document.path and each.level is Level.ERROR]
    if wrong:
        all_missed(verdict, document.value, document.path, wrong[0].rule)
    return not wrong


def _kind_of(product: Mapping[str, Any]) -> str:
    names = {name for _, version in objects(product, "versions") for name, _ in objects(version, "items")}
    if "bootloader-type" in product or names & _LOADERS:
        return _LOADER
    return _ONE if "root-tgz" in names and not names & {"boot-kernel", "boot-initrd"} else _SEVERAL


def _judge_product(verdict: Verdict, file: str, at: Place, product: Mapping[str, Any], kind: str) -> None:
    versions = list(objects(product, "versions"))
    for key in _PRODUCT_NEEDS[kind]:
        if product.get(key) is None:
            lower = any(key in version for _, version in versions)
            elsewhere = ", it stands on the version" if lower else ""
            verdict.add(PRODUCT_LACKS, file, (*at, key), key=key, elsewhere=elsewhere)
    name = str(at[-1])
    if kind == _LOADER and ":1:" not in name:
        verdict.add(NAME, file, at, wanted=":1:")
    elif kind == _SEVERAL and product.get("os", "ubuntu") == "ubuntu" and not _UBUNTU_NAME.search(name):
        verdict.add(NAME, file, at, wanted=":v2:, :v3: and :v3+platform:")
    for version_name, version in versions:
        in_product: Place = (*at, "versions", version_name)
        items = dict(objects(version, "items"))
        missing, wanted = _missing(items, kind)
        if missing:
            verdict.add(FILES, file, in_product, missing=missing, wanted=wanted)
        for item_name, item in items.items():
            for key in (*_ITEM_NEEDS, *(_SOURCES if kind == _LOADER and item_name in _LOADERS else ())):
                if item.get(key) is None:
                    verdict.add(ITEM_LACKS, file, (*in_product, "items", item_name, key), key=key)


def _missing(items: Mapping[str, Any], kind: str) -> tuple[str, str]:
    """Return what of the files is missing, and what is wanted."""
    if kind == _LOADER:
        wanted = f"one of {', '.join(sorted(_LOADERS))}"
        return ("" if _LOADERS & items.keys() else wanted), wanted
    if kind == _ONE:
        return ", ".join(sorted({"manifest", "root-tgz"} - items.keys())), "the items manifest and root-tgz"
    lacking = sorted({"boot-initrd", "boot-kernel", "manifest"} - items.keys())
    if not {"squashfs", "root-image.gz"} & items.keys():
        lacking.append("squashfs or root-image.gz")
    return ", ".join(lacking), "the items boot-initrd, boot-kernel, manifest, and squashfs or root-image.gz"


CONSUMERS: Final = (Consumer("maas", "MAAS", "MAAS of 2026, with what older releases want besides", _read, RULES),)
