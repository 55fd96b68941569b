"""Juju 2.9, 3.6 and 4: from the index to the document of images or agents.

What a private cloud's Juju sees is what stands in the unsigned documents: it has no key for the feed that Keystone's
catalogue names. The signed ones are judged beside them; where they fail, Juju falls back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.format.documents import INDEX_FORMAT, PRODUCTS_FORMAT
from headwater.streams.format.layout import MIRRORS as MIRRORS_PATH
from headwater.streams.format.layout import SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.lint import signatures
from headwater.streams.lint.consumers import juju_rules as rules
from headwater.streams.lint.consumers.consumer import NOTHING, Consumer, all_missed, nothing_for_it
from headwater.streams.lint.consumers.juju_items import AGENTS, AGENTS_KEY, IMAGES, Agents, Images, cloud_of, stream_of
from headwater.streams.lint.documents import NO_INDEX, is_readable, rules_for
from headwater.streams.lint.reading import State, Text, Texts
from headwater.streams.lint.rules import Place, Reach, Rule
from headwater.streams.lint.shapes import OBJECTS, TEXT, TEXTS, Shape, Shapes, index_mismatches, kind, objects, text
from headwater.streams.lint.signatures import NEW_GO, OLD_GO, Verifier
from headwater.streams.lint.verdict import Verdict

_ENTRY: Final[Shape] = {
    **dict.fromkeys(("updated", "format", "datatype", "cloudname", "path"), TEXT),
    **{"clouds": OBJECTS, "products": TEXTS},
}
_PLACED: Final = ("release", "version", "arch", "region", "endpoint")
_ABOVE: Final = {
    "top": dict.fromkeys(("updated", "format", "content_id", "region", "endpoint", "root_store", "virt"), TEXT),
    "product": dict.fromkeys((*_PLACED, "root_store", "virt"), TEXT),
    "version": dict.fromkeys(_PLACED, TEXT),
}
_SHAPES: Final = {
    IMAGES: Shapes(
        **_ABOVE,
        item=dict.fromkeys(("id", "root_store", "virt", "arch", "version", "crsn", "region", "endpoint"), TEXT),
    ),
    AGENTS: Shapes(
        **_ABOVE,
        item={
            **dict.fromkeys(("release", "version", "arch", "path", "ftype", "sha256"), TEXT),
            "size": "a whole number",
        },
    ),
}
_GONE: Final = (State.ABSENT, State.UNAUTHORISED)


class Juju:
    """The reader of one line of releases."""

    def __init__(self, *, refuses_twins: bool, asks_media_type: bool, verifier: Verifier) -> None:
        self._refuses_twins, self._asks_media_type = refuses_twins, asks_media_type
        self._verifier = verifier

    def read(self, texts: Texts, verdict: Verdict) -> None:
        index = self._index(texts, verdict)
        if index is None:
            return
        self._judge_signed(texts, verdict)
        if not self._reads_mirrors(texts, verdict, signed=index.path.endswith(".sjson")):
            _lose(texts, verdict, index, rules.MIRRORS)
            return
        if index.value.get("format") != INDEX_FORMAT:
            found = index.value.get("format")
            verdict.add(rules.FORMAT, index.path, ("format",), reach=Reach.FEED, found=found, expected=INDEX_FORMAT)
            _lose(texts, verdict, index, rules.FORMAT)
            return
        wrong = list(index_mismatches(index.value, {"format": TEXT, "updated": TEXT}, _ENTRY))
        for each in wrong:
            facts: dict[str, Any] = {"found": each.found, "expected": each.expected}
            verdict.add(rules.WRONG_TYPE, index.path, each.place, reach=Reach.FEED, **facts)
        if wrong:
            _lose(texts, verdict, index, rules.WRONG_TYPE)
            return
        self._read_entries(texts, verdict, index)
        if not verdict.sees and not verdict.misses and not verdict.has_errors:
            nothing_for_it(verdict, index.path, "no image ids and no agents of Juju")

    def _index(self, texts: Texts, verdict: Verdict) -> Text | None:
        """Return the index that is read, where it can be."""
        first, second = (texts.get(path) for path in UNSIGNED_INDEXES)
        signed = next((each for each in map(texts.get, SIGNED_INDEXES) if each.is_json), None)
        index = second if first.state in _GONE else first
        if index.state in _GONE:
            if signed is None:
                names = ", ".join((*SIGNED_INDEXES, *UNSIGNED_INDEXES))
                verdict.add(NO_INDEX, UNSIGNED_INDEXES[1], consumer=verdict.program, names=names)
                return None
            verdict.add(rules.SIGNED_ONLY, signed.path)
            index = signed
        if index is first and index.state is not State.READ:
            verdict.add(rules.INDEX_FAILS, index.path, reason=index.reason, other=second.path)
            _lose(texts, verdict, second, rules.INDEX_FAILS)
            return None
        if not is_readable(verdict, index, Reach.FEED):
            return None
        if index is first and second.is_json:
            self._judge_hidden(verdict, first, second)
        return index

    @staticmethod
    def _judge_hidden(verdict: Verdict, first: Text, second: Text) -> None:
        def offers(index: Any) -> set[str]:
            found = {}
            for name, entry in objects(index, "index"):
                kind_of_data = entry.get("datatype")
                if kind_of_data == IMAGES or AGENTS_KEY.fullmatch(name):
                    listed = entry.get("products")
                    found.update(dict.fromkeys(each for each in listed or () if isinstance(each, str)))
            return set(found)

        hidden = sorted(offers(second.value) - offers(first.value))
        if hidden:
            more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
            verdict.add(rules.HIDDEN, first.path, ("index",), what=f"{hidden[0]}{more}")

    def _judge_signed(self, texts: Texts, verdict: Verdict) -> None:
        index = next((each for each in map(texts.get, SIGNED_INDEXES) if each.state not in _GONE), None)
        if index is None or index.state is not State.READ:
            return
        if index.signature:
            verdict.add(rules.FRAME, index.path, problem=index.signature)
        signatures.refused_by(verdict, index, self._verifier)
        for name, entry in objects(index.value, "index"):
            path = text(entry, "path")
            if entry.get("datatype") not in (IMAGES, AGENTS) or not path:
                continue
            signature = texts.get(path).signature if texts.get(path).state is State.READ else ""
            if signature is None:
                verdict.add(rules.SIGNED_LEADS_ASTRAY, index.path, ("index", name, "path"), path=path)
            elif signature:
                verdict.add(rules.FRAME, path, problem=signature)
            elif texts.get(path).state is State.READ:
                signatures.refused_by(verdict, texts.get(path), self._verifier)

    def _reads_mirrors(self, texts: Texts, verdict: Verdict, *, signed: bool) -> bool:
        mirrors = texts.get(MIRRORS_PATH.replace(".json", ".sjson") if signed else MIRRORS_PATH)
        if mirrors.state in _GONE:
            return True
        reason = mirrors.reason or mirrors.broken or ("a byte order mark" if mirrors.bom else "")
        found = mirrors.value.get("mirrors") if isinstance(mirrors.value, dict) else None
        if not reason and (not isinstance(mirrors.value, dict) or not isinstance(found, dict | None)):
            reason = "it is no object with mirrors"
        if reason:
            verdict.add(rules.MIRRORS, mirrors.path, reason=reason)
            return False
        for name, group in (found or {}).items():
            if not isinstance(group, list):
                verdict.add(rules.MIRRORS, mirrors.path, ("mirrors", name), reason=f"it is {kind(group)}, not a list")
                return False
            for number, each in enumerate(group):
                problem = self._mirror_problem(texts, mirrors, name, each)
                if problem:
                    verdict.add(rules.MIRROR_UNUSED, mirrors.path, ("mirrors", name, number), problem=problem)
        return True

    @staticmethod
    def _mirror_problem(texts: Texts, mirrors: Text, name: str, entry: Any) -> str:
        path = text(entry, "path") if isinstance(entry, dict) else ""
        if not AGENTS_KEY.fullmatch(name):
            return "Juju looks for mirrors of com.ubuntu.juju:STREAM:agents only"
        if not path:
            return "it names no path"
        if path == mirrors.path or path in (*SIGNED_INDEXES, *UNSIGNED_INDEXES):
            return f"its path {path} leads back to where the search began: a loop"
        document = texts.get(path)
        if not document.is_json or not isinstance(document.value, dict):
            return f"{path} cannot be read: {document.reason or document.broken or 'it is no object'}"
        if document.value.get("format") != "mirrors:1.0":
            return f"the format of {path} is {document.value.get('format')!r}, not 'mirrors:1.0'"
        listed = document.value.get("mirrors")
        group = listed.get(name) if isinstance(listed, dict) else None
        if not isinstance(group, list) or not any(isinstance(each, dict) and each.get("clouds") for each in group):
            return f"{path} lists no mirror with clouds for {name}, and one without clouds matches nobody"
        return ""

    def _read_entries(self, texts: Texts, verdict: Verdict, index: Text) -> None:
        clouds: dict[tuple[str, tuple[str, str] | None], str] = {}
        for name, entry in objects(index.value, "index"):
            at: Place = ("index", name)
            path, datatype = text(entry, "path"), entry.get("datatype")
            document = texts.get(path) if path else None
            wanted = AGENTS if datatype == AGENTS else IMAGES
            if datatype == AGENTS and name.startswith("com.ubuntu.juju:") and not AGENTS_KEY.fullmatch(name):
                # The twin of old releases beside the right entry is no fault.
                twin = name.rsplit(":", 1)[0] + ":agents"
                level = Level.NOTE if twin in index.value["index"] else Level.ERROR
                verdict.add(rules.AGENTS_KEY, index.path, at, level, name=name)
                continue
            if document is None or (datatype == AGENTS and not AGENTS_KEY.fullmatch(name)):
                continue
            if datatype not in (IMAGES, AGENTS):
                self._judge_datatype(verdict, index, at, document, datatype)
                continue
            if datatype == IMAGES and not _is_for_juju(document, entry):
                continue
            self._judge_clouds(verdict, index, name, entry, clouds)
            if not entry.get("products"):
                if not document.is_json or any(objects(document.value, "products")):
                    verdict.add(rules.NO_PRODUCTS, index.path, (*at, "products"))
                    all_missed(verdict, document.value, path, rules.NO_PRODUCTS)
                continue
            if self._is_taken(verdict, document, wanted):
                self._read_items(verdict, document, entry, wanted)

    @staticmethod
    def _judge_datatype(verdict: Verdict, index: Text, at: Place, document: Text, datatype: Any) -> None:
        name = str(at[-1])
        expected = AGENTS if AGENTS_KEY.fullmatch(name) else IMAGES
        if expected == AGENTS or (document.is_json and _has_ids(document.value)):
            verdict.add(rules.DATATYPE, index.path, (*at, "datatype"), found=datatype, expected=expected)
            all_missed(verdict, document.value, document.path, rules.DATATYPE)

    @staticmethod
    def _judge_clouds(
        verdict: Verdict,
        index: Text,
        name: str,
        entry: Mapping[str, Any],
        clouds: dict[tuple[str, tuple[str, str] | None], str],
    ) -> None:
        for number, cloud in enumerate(entry.get("clouds") or ()):
            missing = [key for key in ("region", "endpoint") if not text(cloud, key)]
            if missing:
                place: Place = ("index", name, "clouds", number)
                verdict.add(rules.CLOUD, index.path, place, missing=" and ".join(missing))
        if entry.get("datatype") != IMAGES:
            return
        pairs: list[tuple[str, str] | None] = [cloud_of(each) for each in entry.get("clouds") or ()]
        streams = {stream_of(each) for each in entry.get("products") or ()}
        for stream in sorted(filter(None, streams)):
            for pair in pairs or [None]:
                other = clouds.setdefault((stream, pair), name)
                if other != name:
                    verdict.add(rules.TWO_ENTRIES, index.path, ("index", name), other=other, stream=stream)

    @staticmethod
    def _is_taken(verdict: Verdict, document: Text, wanted: str) -> bool:
        if not is_readable(verdict, document):
            return False
        found = document.value.get("format")
        if found != PRODUCTS_FORMAT:
            verdict.add(rules.FORMAT, document.path, ("format",), found=found, expected=PRODUCTS_FORMAT)
            all_missed(verdict, document.value, document.path, rules.FORMAT)
            return False
        wrong = list(_SHAPES[wanted].mismatches(document.value))
        for each in wrong:
            verdict.add(rules.WRONG_TYPE, document.path, each.place, found=each.found, expected=each.expected)
        if wrong:
            all_missed(verdict, document.value, document.path, rules.WRONG_TYPE)
        return not wrong

    def _read_items(self, verdict: Verdict, document: Text, entry: Mapping[str, Any], wanted: str) -> None:
        if wanted == IMAGES:
            Images(verdict, document, entry, refuses_twins=self._refuses_twins).judge()
        else:
            Agents(verdict, document).judge()
            if self._asks_media_type:
                verdict.add(rules.AGENT_TYPE, document.path)


def _lose(texts: Texts, verdict: Verdict, index: Text, rule: Rule) -> None:
    """Miss all that an index leads to: Juju does not get as far."""
    for name, entry in objects(index.value, "index"):
        document = texts.get(text(entry, "path"))
        if (entry.get("datatype") == IMAGES and _is_for_juju(document, entry)) or AGENTS_KEY.fullmatch(name):
            all_missed(verdict, document.value, document.path, rule)


def _has_ids(document: Any) -> bool:
    """Return whether a document holds images in a cloud."""
    return any(
        "id" in item
        for _, product in objects(document, "products")
        for _, version in objects(product, "versions")
        for _, item in objects(version, "items")
    )


def _is_for_juju(document: Text, entry: Mapping[str, Any]) -> bool:
    """Return whether an entry of image ids is meant for Juju: MAAS calls its files image ids as well."""
    if not document.is_json:
        return True
    named = [name for name, _ in objects(document.value, "products")]
    if not named:
        return True
    return _has_ids(document.value) or any(stream_of(each) for each in named)


def _consumer(name: str, about: str, reader: Juju) -> Consumer:
    return Consumer(name, "Juju", about, reader.read, _RULES)


_RULES: Final[tuple[Rule, ...]] = (*rules.RULES, NOTHING, *rules_for(), *signatures.RULES)
CONSUMERS: Final = (
    _consumer("juju-2.9", "Juju 2.9", Juju(refuses_twins=True, asks_media_type=False, verifier=OLD_GO)),
    _consumer("juju-3.6", "Juju 3.6", Juju(refuses_twins=True, asks_media_type=False, verifier=NEW_GO)),
    _consumer("juju-4", "Juju 4.x", Juju(refuses_twins=False, asks_media_type=True, verifier=NEW_GO)),
)
