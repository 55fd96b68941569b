"""Whether a consumer gets past a file at all: there, allowed, whole, JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.lint.reading import State, Text
from headwater.streams.lint.rules import Reach, Rule
from headwater.streams.lint.verdict import Verdict

MISSING: Final = Rule(
    id="document-missing",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="the index names this document, and {reason}",
    fix="publish the document at this path below the root of the tree, before the index that names it",
    source="every reader fetches the path that an index entry names; 404 ends its reading of the entry",
)
NO_INDEX: Final = Rule(
    id="index-missing",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="there is no index for {consumer}: {names}",
    fix="publish the index under {names}; if the feed lies deeper (images/, tools/), name that directory or URL",
    source=(
        "Juju asks index2 and then index, LXD, Incus and multipass index.json, MAAS and the sstream tools index.sjson"
    ),
)
REFUSED: Final = Rule(
    id="document-refused",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it cannot be read: {reason}",
    fix="let the web server read it (mode 0644, a public container), and answer 404 for what is not there",
    source="only 404 counts as absent (for Juju also 401); 403, 5xx and a broken connection are failures of the feed",
)
PAGE: Final = Rule(
    id="document-page",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it is a page of HTML, such as that of a login, not JSON",
    fix="serve the document itself without a login, and answer 404, not a page with 200, for what is not there",
    source="Juju: an HTML body ends as a JSON error, which is not the same as absent; the others decode it as well",
)
NOT_JSON: Final = Rule(
    id="document-not-json",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it is not JSON: {problem}",
    fix="write it again, whole, and replace it in one step, so that nobody reads half of it",
    source="every reader decodes the whole document at once",
)
BOM: Final = Rule(
    id="document-bom",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it begins with a byte order mark, which {consumer} takes for a fault in the JSON",
    fix="save it as UTF-8 without the mark (the bytes EF BB BF)",
    source="lxc 5.0.2, incus 6.0.4 and 7.0.2: the whole remote fails; Juju and the sstream tools decode the same way",
)
CONSTANT: Final = Rule(
    id="document-no-number",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it holds {name}, which is no number in JSON",
    fix="leave the key out where there is no number",
    source="RFC 8259 section 6; readers in Go fail, readers in Python take it",
)
NO_OBJECT: Final = Rule(
    id="document-no-object",
    level=Level.ERROR,
    reach=Reach.PRODUCTS,
    says="it is not an object at the top",
    fix="write an object with format, updated and index, or format, content_id and products",
    source="both kinds of documents are objects",
)


@dataclass(frozen=True, slots=True)
class Takes:
    """What a reader of JSON forgives."""

    bom: bool = False
    constants: bool = False


def rules_for(takes: Takes = Takes()) -> tuple[Rule, ...]:
    """Return the rules that hold for a reader."""
    strict = (*(() if takes.bom else (BOM,)), *(() if takes.constants else (CONSTANT,)))
    return (NO_INDEX, MISSING, REFUSED, PAGE, NOT_JSON, *strict, NO_OBJECT)


def is_readable(verdict: Verdict, text: Text, reach: Reach = Reach.PRODUCTS, takes: Takes = Takes()) -> bool:
    """Say what keeps the consumer from decoding ``text``; return whether it decodes it.

    Args:
        reach: What the consumer loses when it does not.
    """

    def no(rule: Rule, **facts: Any) -> bool:
        verdict.add(rule, text.path, (), reach=reach, **facts)
        return False

    if text.state is State.ABSENT:
        return no(MISSING, reason=text.reason)
    if text.state is not State.READ:
        return no(REFUSED, reason=text.reason)
    if text.broken:
        return no(PAGE) if text.is_page else no(NOT_JSON, problem=text.broken)
    if text.bom and not takes.bom:
        return no(BOM, consumer=verdict.program)
    if text.constants and not takes.constants:
        return no(CONSTANT, name=text.constants[0])
    if not isinstance(text.value, dict):
        return no(NO_OBJECT)
    return True
