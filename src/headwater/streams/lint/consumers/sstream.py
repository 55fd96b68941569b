"""The tools of simplestreams: ``sstream-query``, ``sstream-mirror`` and those made of the same library.

They forgive types, for they flatten everything to text, and are strict with signatures and paths. What the start
document is decides: a signed one may name signed ones only, an unsigned one unsigned ones only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.format.documents import INDEX_FORMAT, PRODUCTS_FORMAT, signed_name
from headwater.streams.format.layout import INDEX
from headwater.streams.lint import signatures
from headwater.streams.lint.consumers.consumer import NOTHING, Consumer, all_missed
from headwater.streams.lint.documents import NO_INDEX, Takes, is_readable, rules_for
from headwater.streams.lint.reading import State, Text, Texts
from headwater.streams.lint.rules import Place, Reach, Rule
from headwater.streams.lint.shapes import kind, objects
from headwater.streams.lint.verdict import Verdict

_SIGNED, _UNSIGNED = signed_name(INDEX), INDEX
_TAKES: Final = Takes(constants=True)
RAN: Final = "run against python-simplestreams and gpgv"

UNSIGNED: Final = Rule(
    id="sstream-unsigned",
    level=Level.NOTE,
    reach=Reach.FEED,
    says=(
        "there is no index.sjson, which the tools ask for: they read the feed at its full URL only, and verify nothing"
    ),
    fix="sign the feed, or give the tools the URL up to streams/v1/index.json",
    source="the default of all tools is streams/v1/index.sjson; a start that ends in .json is not verified",
)
FRAME: Final = Rule(
    id="sstream-signature",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the tools cannot read the signed text: {problem}",
    fix=(
        "sign it with nothing before the first line and exactly one header line, Hash:, as "
        "`headwater streams sign` does"
    ),
    source=(
        f"{RAN}: no Hash line, two of them or a Comment line: a JSON error; text before the header: No signature found!"
    ),
)
LINE_ENDS: Final = Rule(
    id="sstream-line-ends",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the signed text holds U+2028, U+2029 or U+0085 as they are, which the tools take for ends of lines",
    fix="write the JSON in ASCII, with \\u2028 for such characters, before signing",
    source=f"{RAN}: the payload is cut with splitlines",
)
SEVERAL: Final = Rule(
    id="sstream-several-signatures",
    level=Level.WARNING,
    reach=Reach.FEED,
    says="it has {count} signatures: who holds one of the keys only is refused",
    fix="give readers the new key first, then sign with that one alone",
    source=f"{RAN}: gpgv exits with 2 if any of the keys is unknown",
)
NOT_SIGNED: Final = Rule(
    id="sstream-unsigned-products",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the signed index names {path}, which is not signed: the tools stop with SignatureMissingException",
    fix="name the .sjson document in the signed index (copying index.json and signing it does not do that)",
    source=f"{RAN}; images.linuxcontainers.org has this fault",
)
SIGNED_BELOW: Final = Rule(
    id="sstream-signed-products",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the unsigned index names {path}, which is a signed text: the tools take it for JSON and fail",
    fix="name the .json document in the unsigned index",
    source=f"{RAN}: from a start that ends in .json, a .sjson document cannot be parsed",
)
FORMAT: Final = Rule(
    id="sstream-format",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="its format is {found!r}, not index:1.0 or products:1.0: the tools stop with TypeError: Unknown format",
    fix='set "format" at the top to index:1.0 or products:1.0',
    source=f"{RAN}: TypeError, Unknown format; mirrors:1.0 is Juju's alone",
)
ENTRY_FORMAT: Final = Rule(
    id="sstream-entry-format",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the format of the entry is {found!r}: the tools copy such an entry and do not look into it",
    fix='set "format": "products:1.0" on the entry',
    source="entries whose format is neither index:1.0 nor products:1.0 are not followed",
)
PATH: Final = Rule(
    id="sstream-path",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the path {path!r} is one that the tools refuse: they stop there",
    fix="write it relative to the root of the mirror, without / before it and without ..",
    source="assert_safe_path: no leading /, no ../, no /../",
)
LOOP: Final = Rule(
    id="sstream-loop",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the index {path} leads back to itself: the tools follow it until they are stopped",
    fix="remove the entry; an index may name another index, never one that names it",
    source="the tools recurse into entries of format index:1.0",
)
TYPE: Final = Rule(
    id="sstream-type",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="it is {found} where the tools expect an object: they stop with a traceback",
    fix="write an object: products, versions and items by their names",
    source="the tools walk products, versions and items as dictionaries",
)
UNVERIFIABLE: Final = Rule(
    id="sstream-unverifiable",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="the item has a path and {problem}: the tools stop at it with {error}",
    fix="set size, the number of bytes, and sha256 on every item that has a path",
    source=f"{RAN}; only sstream-mirror --no-checksumming-reader goes on",
)
CONTENT_ID: Final = Rule(
    id="sstream-content-id",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="it has no content_id: the tools stop with KeyError",
    fix='set "content_id" at the top, the name that the index gives the document',
    source=RAN,
)
RULES: Final = (
    *(
        UNSIGNED,
        FRAME,
        LINE_ENDS,
        SEVERAL,
        NOT_SIGNED,
        SIGNED_BELOW,
        FORMAT,
        ENTRY_FORMAT,
        PATH,
        LOOP,
        TYPE,
        UNVERIFIABLE,
        CONTENT_ID,
    ),
    *(NOTHING, *rules_for(_TAKES), *signatures.RULES),
)


def _read(texts: Texts, verdict: Verdict) -> None:
    index = texts.get(_SIGNED)
    if index.state is State.ABSENT:
        index = texts.get(_UNSIGNED)
        if index.state is State.ABSENT:
            verdict.add(NO_INDEX, _SIGNED, consumer=verdict.program, names=f"{_SIGNED} or, if told, {_UNSIGNED}")
            return
        verdict.add(UNSIGNED, index.path)
    _Walk(texts, verdict, is_signed=index.path == _SIGNED).follow(index, ())
    verdict.take_back()


class _Walk:
    """The way from the start document to the items."""

    def __init__(self, texts: Texts, verdict: Verdict, *, is_signed: bool) -> None:
        self._texts, self._verdict, self._is_signed = texts, verdict, is_signed

    def follow(self, document: Text, above: tuple[str, ...]) -> None:
        # What ends them ends them wholly: nothing of what comes after is read.
        is_framed = self._is_framed(document)
        if not is_readable(self._verdict, document, Reach.FEED, _TAKES) or not is_framed:
            return
        found = document.value.get("format")
        if found == PRODUCTS_FORMAT:
            self._judge_products(document)
        elif found == INDEX_FORMAT:
            self._follow_index(document, (*above, document.path))
        else:
            self._verdict.add(FORMAT, document.path, ("format",), found=found)
            all_missed(self._verdict, document.value, document.path, FORMAT)

    def _is_framed(self, document: Text) -> bool:
        if not self._is_signed:
            return True
        if document.signature:
            self._verdict.add(FRAME, document.path, problem=document.signature)
        if document.odd_line_ends:
            self._verdict.add(LINE_ENDS, document.path)
        if document.signatures > 1:
            self._verdict.add(SEVERAL, document.path, count=document.signatures)
        is_framed = document.signature == "" and not document.odd_line_ends
        return signatures.refused_by(self._verdict, document, signatures.GPGV) is None and is_framed

    def _follow_index(self, index: Text, above: tuple[str, ...]) -> None:
        entries = index.value.get("index")
        if not isinstance(entries, dict):
            self._verdict.add(TYPE, index.path, ("index",), found=kind(entries))
            return
        for name, entry in entries.items():
            at: Place = ("index", name)
            if not isinstance(entry, dict):
                self._verdict.add(TYPE, index.path, at, found=kind(entry))
                continue
            path, found = entry.get("path"), entry.get("format")
            if path is None:
                continue  # passed over
            if not _is_safe(path):
                self._verdict.add(PATH, index.path, (*at, "path"), path=path)
            elif found not in (INDEX_FORMAT, PRODUCTS_FORMAT):
                self._verdict.add(ENTRY_FORMAT, index.path, (*at, "format"), found=found)
                all_missed(self._verdict, self._texts.get(path).value, path, ENTRY_FORMAT)
            elif path in above:
                self._verdict.add(LOOP, index.path, (*at, "path"), path=path)
            else:
                self._enter(index, (*at, "path"), self._texts.get(path), above)

    def _enter(self, index: Text, at: Place, document: Text, above: tuple[str, ...]) -> None:
        if document.state is State.READ and document.is_framed is not self._is_signed:
            rule = NOT_SIGNED if self._is_signed else SIGNED_BELOW
            self._verdict.add(rule, index.path, at, path=document.path)
            all_missed(self._verdict, document.value, document.path, rule)
        else:
            self.follow(document, above)

    def _judge_products(self, document: Text) -> None:
        if document.value.get("content_id") is None:
            self._verdict.add(CONTENT_ID, document.path, ("content_id",))
        wrong = _no_objects(document.value)
        for place, found in wrong:
            self._verdict.add(TYPE, document.path, place, found=found)
        if wrong:
            all_missed(self._verdict, document.value, document.path, TYPE)
            return
        for name, product in objects(document.value, "products"):
            for version_name, version in objects(product, "versions"):
                items = list(objects(version, "items"))
                for item_name, item in items:
                    if item.get("path") is not None:
                        at: Place = ("products", name, "versions", version_name, "items", item_name)
                        self._judge_file(document, at, (item, version, product, document.value))
                self._verdict.seen((document.path, name, version_name), len(items))

    def _judge_file(self, document: Text, at: Place, levels: tuple[Mapping[str, Any], ...]) -> None:
        """Say what is wrong with a file; ``levels`` are its item and all that is above it, from which keys come."""
        path = levels[0]["path"]
        if not _is_safe(path):
            self._verdict.add(PATH, document.path, (*at, "path"), path=path)
            return
        size = next((each["size"] for each in levels if _is_scalar(each.get("size"))), None)
        if not str(size).isdecimal():
            error = "InvalidChecksum: Invalid size" if size is None else "ValueError"
            problem = "no size" if size is None else f"the size {size!r}"
            self._verdict.add(UNVERIFIABLE, document.path, (*at, "size"), problem=problem, error=error)
        if not any(_is_scalar(each.get(key)) for each in levels for key in ("md5", "sha256", "sha512")):
            facts: dict[str, Any] = {"problem": "no md5, sha256 or sha512", "error": "InvalidChecksum"}
            self._verdict.add(UNVERIFIABLE, document.path, (*at, "sha256"), **facts)


def _is_safe(path: object) -> bool:
    """Return whether the tools take a path; ``..`` at its end they take as well."""
    return isinstance(path, str) and path != "" and not path.startswith("/") and "../" not in path


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _no_objects(document: Mapping[str, Any]) -> list[tuple[Place, str]]:
    """Return where the tools expect objects and find something else."""
    found: list[tuple[Place, str]] = []
    level: list[tuple[Place, Mapping[str, Any]]] = [((), document)]
    for key in ("products", "versions", "items"):
        below: list[tuple[Place, Mapping[str, Any]]] = []
        for place, each in level:
            inside = each.get(key, {} if key != "products" else None)
            if not isinstance(inside, dict):
                found.append(((*place, key), kind(inside)))
                continue
            for name, child in inside.items():
                if isinstance(child, dict):
                    below.append(((*place, key, name), child))
                else:
                    found.append(((*place, key, name), kind(child)))
        level = below
    return found


CONSUMERS: Final = (
    Consumer(
        "sstream",
        "the sstream tools",
        "the simplestreams tools: sstream-query, sstream-mirror and their like",
        _read,
        RULES,
    ),
)
