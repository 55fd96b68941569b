"""What LXD and Incus have in common: both read ``index.json`` and the image files that it leads to.

Their readers have one origin and the same rules; ``lxd.py`` and ``incus.py`` say in what they differ. Images that lack
something are passed over without a word, so that ``image list`` is empty and exits with 0: nobody else says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.format.layout import INDEX
from headwater.streams.lint.consumers import image_rules as rules
from headwater.streams.lint.consumers.consumer import all_missed, nothing_for_it
from headwater.streams.lint.documents import NO_INDEX, is_readable
from headwater.streams.lint.reading import State, Texts
from headwater.streams.lint.rules import Place, Reach, Rule
from headwater.streams.lint.shapes import (
    FLAG,
    NUMBER,
    TEXT,
    TEXTS,
    Mismatch,
    Shape,
    Shapes,
    index_mismatches,
    objects,
    text,
)
from headwater.streams.lint.verdict import Build, Verdict

DOWNLOADS: Final = "image-downloads"

# The root file's ftype, and the keys of its fingerprint on the metadata item.
# Source: Incus: shared/simplestreams/products.go.
ROOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "squashfs": ("combined_squashfs_sha256",),
    "root.tar.xz": ("combined_rootxz_sha256", "combined_sha256"),
    "disk-kvm.img": ("combined_disk-kvm-img_sha256",),
    "uefi1.img": ("combined_uefi1-img_sha256",),
    "disk1.img": ("combined_disk1-img_sha256",),
}
METADATA: Final = frozenset({"lxd.tar.xz", "incus.tar.xz"})
UNIFIED: Final = frozenset({"lxd_combined.tar.gz", "incus_combined.tar.gz"})
FTYPES: Final = METADATA.union(UNIFIED, ROOTS)
# What both know by name. Source: their table of architectures, names and aliases.
ARCHES: Final = frozenset(
    (
        *("amd64", "x86_64", "arm64", "aarch64", "armhf", "armv7l", "armel", "armv6l", "armv8l", "i386", "i686"),
        *("ppc64el", "ppc64le", "powerpc64", "ppc64", "powerpc", "ppc", "s390x", "riscv64", "riscv32"),
        *("mips", "mips64", "loongarch64"),
    )
)
INDEX_TOP: Final[Shape] = {"format": TEXT}
INDEX_ENTRY: Final[Shape] = {"datatype": TEXT, "path": TEXT, "updated": TEXT, "format": TEXT, "products": TEXTS}
COMBINED: Final = ("combined_sha256", *(keys[0] for keys in ROOTS.values()))

_HASH: Final = re.compile(r"[0-9a-f]{64}")


def shapes(product: dict[str, str], item: dict[str, str]) -> Shapes:
    """Return what both decode, with what only one does."""
    names = (
        "aliases",
        "arch",
        "os",
        "release",
        "release_title",
        "version",
        "variant",
        "support_eol",
        "release_codename",
    )
    hashes = dict.fromkeys(("ftype", "path", "sha256", "delta_base", *COMBINED), TEXT)
    return Shapes(
        top=dict.fromkeys(("content_id", "datatype", "format", "updated"), TEXT),
        product=dict.fromkeys(names, TEXT) | {"supported": FLAG} | product,
        version={"label": TEXT},
        item={**hashes, "size": NUMBER, **item},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """In what one program, in one line of releases, differs from the other."""

    metadata: str  # ftype of the item that carries the fingerprints
    unified: str  # ftype of the item that is metadata and root in one
    shapes: Shapes
    requirements: frozenset[str]
    requirement_keys: tuple[str, ...]
    needs_size: bool
    more: Callable[[Verdict, str, Place, Mapping[str, Any]], None] | None = None  # asked of each product

    def read(self, texts: Texts, verdict: Verdict) -> None:
        """Read the feed as this program does."""
        index = texts.get(INDEX)
        if index.state is State.ABSENT:
            verdict.add(NO_INDEX, INDEX, consumer=verdict.program, names=INDEX)
            return
        if not is_readable(verdict, index, Reach.FEED):
            return
        _say_types(verdict, INDEX, index_mismatches(index.value, INDEX_TOP, INDEX_ENTRY))
        names: dict[str, str] = {}
        for content_id, entry in objects(index.value, "index"):
            self._read_entry(texts, verdict, entry, ("index", content_id), names)
        verdict.take_back()
        if not verdict.sees and not verdict.misses and not verdict.has_errors:
            nothing_for_it(verdict, INDEX, f"no entry of image-downloads with items of the ftype {self.metadata}")

    def _read_entry(
        self, texts: Texts, verdict: Verdict, entry: Mapping[str, Any], at: Place, names: dict[str, str]
    ) -> None:
        path = text(entry, "path").lstrip("/")  # one before it makes no difference to these readers
        if not path:
            return
        document = texts.get(path)
        datatype = entry.get("datatype")
        if datatype != DOWNLOADS:
            if document.is_json and _is_for_these(document.value):
                verdict.add(rules.DATATYPE, INDEX, (*at, "datatype"), datatype=datatype, consumer=verdict.program)
                all_missed(verdict, document.value, path, rules.DATATYPE)
            return
        if not entry.get("products"):
            if not document.is_json or any(objects(document.value, "products")):
                verdict.add(rules.NO_PRODUCTS, INDEX, (*at, "products"), consumer=verdict.program)
                all_missed(verdict, document.value, path, rules.NO_PRODUCTS)
            return
        base = path.rsplit("/", 1)[-1]
        if names.setdefault(base, path) != path:
            verdict.add(rules.SAME_NAME, INDEX, (*at, "path"), other=names[base], consumer=verdict.program)
        # One document that cannot be read, and no image of the whole remote is listed.
        if not is_readable(verdict, document, Reach.FEED):
            return
        _say_types(verdict, path, self.shapes.mismatches(document.value))
        _Document(self, verdict, path).judge(document.value)


def _say_types(verdict: Verdict, file: str, wrong: Iterable[Mismatch]) -> None:
    for each in wrong:
        facts: dict[str, Any] = {"found": each.found, "expected": each.expected, "consumer": verdict.program}
        verdict.add(rules.WRONG_TYPE, file, each.place, **facts)


def _is_for_these(document: Any) -> bool:
    """Return whether a document holds what these readers take, whatever its datatype says."""
    for _, product in objects(document, "products"):
        for _, version in objects(product, "versions"):
            for _, item in objects(version, "items"):
                if text(item, "ftype") in METADATA | UNIFIED:
                    return True
    return False


class _Document:
    """One products document on its way through a reader."""

    def __init__(self, reader: Reader, verdict: Verdict, file: str) -> None:
        self._reader, self._verdict, self._file = reader, verdict, file
        self._aliases: dict[tuple[str, str], str] = {}

    def judge(self, document: Any) -> None:
        for name, product in objects(document, "products"):
            at: Place = ("products", name)
            versions = list(objects(product, "versions"))
            if not any(_concerns(version, product, document) for _, version in versions):
                continue
            lost = self._judge_arch(product, versions, at)
            if lost is None:
                self._judge_product(name, product, at)
            for version_name, version in versions:
                self._judge_version((self._file, name, version_name), version, (product, document), lost)

    def _say(self, rule: Rule, at: Place, level: Level | None = None, **facts: Any) -> None:
        self._verdict.add(rule, self._file, at, level, consumer=self._verdict.program, **facts)

    def _judge_arch(
        self, product: Mapping[str, Any], versions: list[tuple[str, dict[str, Any]]], at: Place
    ) -> Rule | None:
        arch = product.get("arch")
        if not arch:
            lower = any(
                "arch" in version or any("arch" in item for _, item in objects(version, "items"))
                for _, version in versions
            )
            self._say(rules.NO_ARCH, (*at, "arch"), elsewhere=", which stands further down" if lower else "")
            return rules.NO_ARCH
        if isinstance(arch, str) and arch not in ARCHES:
            self._say(rules.ARCH, (*at, "arch"), arch=arch)
            return rules.ARCH
        return None

    def _judge_product(self, name: str, product: Mapping[str, Any], at: Place) -> None:
        aliases = text(product, "aliases")
        if not aliases and not isinstance(product.get("aliases"), list):
            self._say(rules.NO_ALIASES, (*at, "aliases"))
        for alias in filter(None, aliases.split(",")):
            if alias != alias.strip():
                self._say(rules.SPACES, (*at, "aliases"), alias=alias, bare=alias.strip())
            other = self._aliases.setdefault((alias, text(product, "arch")), name)
            if other != name:
                self._say(rules.ALIAS_TWICE, (*at, "aliases"), alias=alias, arch=text(product, "arch"), other=other)
        for key in self._reader.requirement_keys:
            found = product.get(key)
            for requirement in found if isinstance(found, dict) else ():
                if requirement not in self._reader.requirements:
                    known = ", ".join(sorted(self._reader.requirements))
                    self._say(rules.REQUIREMENT, (*at, key, requirement), name=requirement, known=known)
        if self._reader.more is not None:
            self._reader.more(self._verdict, self._file, at, product)

    def _judge_version(
        self, build: Build, version: Mapping[str, Any], above: tuple[Mapping[str, Any], Any], lost: Rule | None
    ) -> None:
        _, product_name, name = build
        at: Place = ("products", product_name, "versions", name)
        items = list(objects(version, "items"))
        roots = [(key, item) for key, item in items if text(item, "ftype") in ROOTS]
        count = max(1, len(roots))
        if not _is_date(name):
            self._say(rules.VERSION_NAME, at, name=name)
            lost = lost or rules.VERSION_NAME
        if lost is not None:
            self._verdict.missed(build, lost, count)
            return
        unified = [(key, item) for key, item in items if text(item, "ftype") == self._reader.unified]
        for key, item in unified:
            self._judge_file(item, (*at, "items", key))
            self._verdict.seen(build)
        metadata = next(((key, item) for key, item in items if text(item, "ftype") == self._reader.metadata), None)
        if metadata is None:
            if not unified:
                self._say_no_metadata(build, at, items, (version, *above), count)
            return
        if not roots:
            self._say(rules.NO_ROOT, at)
            self._verdict.missed(build, rules.NO_ROOT)
            return
        self._judge_file(metadata[1], (*at, "items", metadata[0]))
        for key, item in roots:
            if self._has_fingerprint(metadata, item, at):
                self._judge_file(item, (*at, "items", key))
                self._verdict.seen(build)
            else:
                self._verdict.missed(build, rules.NO_COMBINED)
        self._judge_deltas(items, above[0], at)

    def _say_no_metadata(
        self,
        build: Build,
        at: Place,
        items: list[tuple[str, dict[str, Any]]],
        above: tuple[Mapping[str, Any], ...],
        count: int,
    ) -> None:
        levels = zip(("version", "product", "document"), above, strict=True)
        hoisted = next((level for level, each in levels if isinstance(each, dict) and "ftype" in each), None)
        if hoisted and not all("ftype" in item for _, item in items):
            self._say(rules.HOISTED_FTYPE, at, where=hoisted)
            self._verdict.missed(build, rules.HOISTED_FTYPE, count)
            return
        others = sorted({text(item, "ftype") for _, item in items} & (METADATA | UNIFIED))
        other = f", only {', '.join(others)}, which is for the other program" if others else ""
        self._say(rules.NO_METADATA, at, wanted=self._reader.metadata, other=other)
        self._verdict.missed(build, rules.NO_METADATA, count)

    def _has_fingerprint(self, metadata: tuple[str, Mapping[str, Any]], root: Mapping[str, Any], at: Place) -> bool:
        name, item = metadata
        ftype = text(root, "ftype")
        key = next((each for each in ROOTS[ftype] if item.get(each)), None)
        if key is None:
            self._say(rules.NO_COMBINED, (*at, "items", name), key=ROOTS[ftype][0], ftype=ftype)
            return False
        value = item[key]
        if isinstance(value, str) and not _HASH.fullmatch(value):
            self._say(rules.BAD_HASH, (*at, "items", name, key), value=value)
        return True

    def _judge_file(self, item: Mapping[str, Any], at: Place) -> None:
        """Say what keeps a file of a listed image from being downloaded."""
        digest, path = item.get("sha256"), item.get("path")
        if not digest:
            self._say(rules.NO_HASH, (*at, "sha256"))
        elif isinstance(digest, str) and not _HASH.fullmatch(digest):
            self._say(rules.BAD_HASH, (*at, "sha256"), value=digest)
        if not path:
            self._say(rules.NO_PATH, (*at, "path"))
        elif isinstance(path, str) and (path.startswith("/") or "://" in path):
            self._say(rules.FAR_PATH, (*at, "path"), path=path)
        if item.get("size") is None:
            self._say(rules.NO_SIZE, (*at, "size"), None if self._reader.needs_size else Level.NOTE)

    def _judge_deltas(self, items: list[tuple[str, dict[str, Any]]], product: Mapping[str, Any], at: Place) -> None:
        versions = product.get("versions") or {}
        for key, item in items:
            if not text(item, "ftype").endswith(".vcdiff"):
                continue
            place: Place = (*at, "items", key, "delta_base")
            base = text(item, "delta_base")
            if not base:
                self._say(rules.DELTA, place, problem="names no delta_base")
            elif base not in versions:
                # Old versions go, and the delta of the oldest one that is left loses its base: nothing is wrong.
                level = Level.NOTE if base < min(versions) else Level.WARNING
                self._say(rules.DELTA, place, level, problem=f"is from {base!r}, which the product does not have")


def _concerns(version: Mapping[str, Any], *above: Any) -> bool:
    """Return whether a version is meant for LXD or Incus: it has a file of theirs, or files of no ftype at all."""
    kinds = {text(item, "ftype") for _, item in objects(version, "items")}
    kinds |= {text(each, "ftype") for each in (version, *above) if isinstance(each, dict)}
    return not kinds.isdisjoint(FTYPES)


def _is_date(name: str) -> bool:
    try:
        date(int(name[:4]), int(name[4:6]), int(name[6:8]))
    except ValueError:
        return False
    return name[:8].isascii() and name[:8].isdecimal()
