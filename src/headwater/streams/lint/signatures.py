"""Signatures of a feed before the keys that its readers hold: who takes what is signed, who refuses it, and until when.

Source: gpgv, which the simplestreams tools and MAAS call, was run: a key that it does not have, or one among several,
is its exit code 2, and a keyring's own keys it takes although they have expired or are revoked. Juju since 3.6 reads
with a library that refuses these, older ones do not, and each takes the unsigned documents when what is signed is of
no use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pysequoia import Cert

from headwater.findings import Level
from headwater.streams.format.layout import SIGNED_INDEXES, UNSIGNED_INDEXES
from headwater.streams.lint.reading import State, Text, Texts
from headwater.streams.lint.rules import Reach, Rule
from headwater.streams.lint.shapes import objects, text
from headwater.streams.lint.verdict import Verdict
from headwater.streams.signing.certificates import Why
from headwater.streams.signing.verifying import BadSignature, verified_detached
from headwater.streams.trees.tree import PathNotFound, TreeRefused

UNKNOWN: Final = Rule(
    id="signature-unknown-key",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="{reader} with these keys refuses it: {problem}",
    fix="sign with a key that is in the keyring of readers, or bring them that key first",
    source="gpgv (run): exit code 2 without the public key; Juju: signature made by unknown entity",
)
NOT_ALL_KNOWN: Final = Rule(
    id="signature-not-all-known",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="it has {count} signatures, and {known} are by these keys: gpgv refuses all of it to {reader}",
    fix="give readers every key that signs, or sign with one alone",
    source="gpgv (run): exit code 2 if any of the keys is unknown; Juju takes one good signature",
)
CHANGED: Final = Rule(
    id="signature-bad",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="{reader} refuses it: {problem}",
    fix="publish the document and its signature again, both of one signing (`headwater streams sign`)",
    source="gpgv (run): exit code 1 for one changed byte; every reader refuses it",
)
EXPIRED: Final = Rule(
    id="signature-expired",
    level=Level.WARNING,
    reach=Reach.FEED,
    says="{problem}: {effect}",
    fix="sign with a key that is in force, or give the key a later end and readers its new public part",
    source="ProtonMail/go-crypto refuses expired keys and signatures; gpgv (run) takes a key that has expired since",
)
REVOKED: Final = Rule(
    id="signature-revoked-key",
    level=Level.WARNING,
    reach=Reach.FEED,
    says="{problem}: {effect}",
    fix="sign with another key, after readers have its public part",
    source="ProtonMail/go-crypto refuses revoked keys; gpgv (run) takes them from its keyring",
)
ENDS_SOON: Final = Rule(
    id="signature-ends-soon",
    level=Level.WARNING,
    reach=Reach.FEED,
    says="{warning}",
    fix="give the key a later end and readers its new public part, or bring them another key, before that day",
    source="headwater warns 30 days before",
)
NONE: Final = Rule(
    id="signature-missing",
    level=Level.ERROR,
    reach=Reach.FEED,
    says="there are keys for this feed, and neither a signed index nor a signature beside it: nobody can verify it",
    fix="sign it with `headwater streams sign`",
    source="the simplestreams tools and MAAS ask for index.sjson; without one nothing is verified",
)
BESIDE: Final = Rule(
    id="signature-beside",
    level=Level.WARNING,
    reach=Reach.PRODUCTS,
    says="{beside}: {problem}",
    fix="publish the document and its signature again, both of one signing; *.sjson cannot come apart",
    source="lxc/lxc#3557: an index and its detached signature were out of step on a mirror",
)
RULES: Final = (UNKNOWN, NOT_ALL_KNOWN, CHANGED, EXPIRED, REVOKED, ENDS_SOON)
OF_FEEDS: Final = (NONE, BESIDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """How a consumer verifies, and what it loses by a signature that it does not take."""

    level: Level
    refuses_ended_keys: bool
    wants_every_key: bool


GPGV: Final = Verifier(level=Level.ERROR, refuses_ended_keys=False, wants_every_key=True)
OLD_GO: Final = Verifier(level=Level.WARNING, refuses_ended_keys=False, wants_every_key=False)
NEW_GO: Final = Verifier(level=Level.WARNING, refuses_ended_keys=True, wants_every_key=False)


def refused_by(verdict: Verdict, document: Text, verifier: Verifier) -> Rule | None:
    """Say what is wrong with the signature of a document; return why the consumer refuses it, if it does.

    Without keys, and of a text in no right frame, nothing is known and nothing said.
    """
    reader = verdict.program
    if document.proof is None:
        return None
    if isinstance(document.proof, BadSignature):
        problem = document.proof.problem
        rule = _RULE_OF.get(document.proof.why, CHANGED)
        if rule in (EXPIRED, REVOKED):
            refuses = verifier.refuses_ended_keys
            effect = (
                f"{reader} refuses it" if refuses else f"{reader} takes it, and readers with newer libraries do not"
            )
            verdict.add(rule, document.path, problem=problem, effect=effect)
            return rule if refuses else None
        verdict.add(rule, document.path, level=verifier.level, reader=reader, problem=problem)
        return rule
    known = len(document.proof.signed_by)
    for by in document.proof.ending:
        verdict.add(ENDS_SOON, document.path, warning=by)
    if verifier.wants_every_key and document.proof.signatures > known:
        count = document.proof.signatures
        verdict.add(NOT_ALL_KNOWN, document.path, level=verifier.level, count=count, known=known, reader=reader)
        return NOT_ALL_KNOWN
    return None


_RULE_OF: Final = {Why.UNKNOWN: UNKNOWN, Why.EXPIRED: EXPIRED, Why.REVOKED: REVOKED}


def judge_feed(texts: Texts, verdict: Verdict, trusted: Sequence[Cert], now: datetime) -> None:
    """Say whether the feed is signed at all, and what is wrong with signatures that lie beside documents."""
    has_index = any(texts.get(path).state is State.READ for path in UNSIGNED_INDEXES)
    is_signed = any(texts.get(path).state is State.READ for path in SIGNED_INDEXES)
    paths = list(UNSIGNED_INDEXES)
    for index in map(texts.get, UNSIGNED_INDEXES):
        paths += [path for _, entry in objects(index.value, "index") if (path := text(entry, "path"))]
    for path in dict.fromkeys(paths):
        if texts.get(path).state is State.READ:
            is_signed = _judge_beside(texts, verdict, path, trusted, now) or is_signed
    if has_index and not is_signed:
        verdict.add(NONE, next(path for path in UNSIGNED_INDEXES if texts.get(path).state is State.READ))


def _judge_beside(texts: Texts, verdict: Verdict, path: str, trusted: Sequence[Cert], now: datetime) -> bool:
    """Return whether there is a signature beside a document."""
    beside = f"{path}.gpg"
    try:
        signature = texts.tree.read(beside, 1 << 20).body
        body = texts.tree.read(path).body
    except (PathNotFound, TreeRefused):
        return False
    try:
        verified_detached(body, signature, trusted, now)
    except BadSignature as error:
        verdict.add(BESIDE, path, beside=beside, problem=error.problem)
    return True
