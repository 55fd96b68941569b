"""Signed feeds before the keys of readers: each fault of a signature, and what each consumer makes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headwater.findings import Level
from headwater.streams.lint.check import Report, lint
from headwater.streams.signing.feeds.sign import sign_feed
from headwater.streams.signing.texts import signable
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import Tree
from unit.streams.keys import OpenKey, open_key
from unit.streams.lint.feeds import INDEX, PRODUCTS, boot_images, image_files, image_ids, rules_of, verdict_of, written

SIGNED_INDEX, SIGNED_PRODUCTS = INDEX.replace(".json", ".sjson"), PRODUCTS.replace(".json", ".sjson")
DAY = timedelta(days=1)
NEW_JUJU = {"juju-3.6", "juju-4"}


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key(validity_s=100 * 24 * 3600)


@pytest.fixture(scope="module")
def other() -> OpenKey:
    return open_key()


@pytest.fixture
def tree(tmp_path: Path, key: OpenKey) -> DirectoryTree:
    """Return a signed feed of image ids."""
    made = written(tmp_path, image_ids())
    sign_feed(made, key.signer)
    return made


def judged(tree: Tree, *keys: OpenKey, later: timedelta = timedelta()) -> Report:
    return lint(tree, trusted=[each.certificate for each in keys], now=datetime.now(UTC) + later)


def of(report: Report, rule: str, least: Level = Level.WARNING) -> set[str]:
    """Return whom a rule concerns."""
    found = [each for each in report.findings if each.finding.rule.id == rule and each.finding.level >= least]
    return {name for each in found for name in each.consumers}


def test_what_a_known_key_signed_is_no_fault(tree: DirectoryTree, key: OpenKey) -> None:
    assert not {each for each in rules_of(judged(tree, key), least=Level.NOTE) if each.startswith("signature-")}
    assert verdict_of(judged(tree, key), "sstream").sees.total() == 1


def test_without_keys_nothing_is_said_of_them(tree: DirectoryTree) -> None:
    assert not {each for each in rules_of(lint(tree), least=Level.NOTE) if each.startswith("signature-")}


def test_an_unknown_key_is_the_end_for_gpgv_and_leads_juju_to_what_is_unsigned(
    tree: DirectoryTree, other: OpenKey
) -> None:
    report = judged(tree, other)
    assert of(report, "signature-unknown-key") == {"sstream", "juju-2.9", *NEW_JUJU}
    assert of(report, "signature-unknown-key", Level.ERROR) == {"sstream"}
    assert verdict_of(report, "sstream").sees.total() == 0
    assert verdict_of(report, "juju-3.6").sees.total() == 1
    assert of(report, "signature-beside") == {"everyone"}


def test_maas_takes_nothing_of_an_unknown_key(tmp_path: Path, key: OpenKey, other: OpenKey) -> None:
    tree = written(tmp_path, boot_images())
    sign_feed(tree, key.signer)
    assert verdict_of(judged(tree, key), "maas").sees.total() == 1
    report = judged(tree, other)
    assert "maas" in of(report, "signature-unknown-key", Level.ERROR)
    assert verdict_of(report, "maas").to_dict()["does_not_see"][0]["rule"] == "signature-unknown-key"


@pytest.mark.parametrize("path", [SIGNED_INDEX, SIGNED_PRODUCTS])
def test_a_changed_text_is_refused_by_everybody_who_verifies(tree: DirectoryTree, key: OpenKey, path: str) -> None:
    tree.write(path, tree.read(path).body.replace(b"24.04", b"26.04"))
    report = judged(tree, key)
    assert of(report, "signature-bad", Level.ERROR) == {"sstream"}
    assert of(report, "signature-bad") == {"sstream", "juju-2.9", *NEW_JUJU}
    [finding] = {each.finding for each in report.findings if each.finding.rule.id == "signature-bad" and
                 each.finding.level is Level.ERROR}  # fmt: skip
    assert finding.file == path


def test_an_expired_key_is_refused_by_newer_libraries_and_warned_of_before(tree: DirectoryTree, key: OpenKey) -> None:
    early, late = judged(tree, key, later=80 * DAY), judged(tree, key, later=101 * DAY)
    assert of(early, "signature-ends-soon") == {"sstream", "juju-2.9", *NEW_JUJU}
    assert not of(early, "signature-expired")
    told = {each.finding.sentence for each in late.findings if each.finding.rule.id == "signature-expired"}
    assert of(late, "signature-expired") == {"sstream", "juju-2.9", *NEW_JUJU}
    assert any(each.endswith("Juju refuses it") for each in told)
    assert verdict_of(late, "sstream").sees.total() == 1  # gpgv takes it


@pytest.mark.parametrize("known", [0, 1])
def test_of_two_signatures_gpgv_wants_both_keys(tmp_path: Path, key: OpenKey, other: OpenKey, known: int) -> None:
    tree = written(tmp_path, image_ids())
    sign_feed(tree, key.signer, also=[other.signer])
    report = judged(tree, (key, other)[known])
    assert of(report, "signature-not-all-known", Level.ERROR) == {"sstream"}
    assert verdict_of(report, "sstream").sees.total() == 0
    both = judged(tree, key, other)
    assert not of(both, "signature-not-all-known")
    assert verdict_of(both, "sstream").sees.total() == 1


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda body: body[: len(body) // 2], "sstream-signature"),
        (lambda body: body[: body.rindex(b"=")], "sstream-signature"),
        (lambda body: b"", "document-not-json"),
    ],
    ids=["half", "no end", "empty"],
)
def test_a_truncated_text_is_told_with_keys_and_without(
    tree: DirectoryTree, key: OpenKey, spoil: Callable[[bytes], bytes], rule: str
) -> None:
    tree.write(SIGNED_INDEX, spoil(tree.read(SIGNED_INDEX).body))
    for report in (lint(tree), judged(tree, key)):
        wrong = rules_of(report, "sstream", Level.ERROR)
        assert rule in wrong
        assert verdict_of(report, "sstream").sees.total() == 0


def test_a_text_that_was_signed_twice_is_told(tree: DirectoryTree, key: OpenKey) -> None:
    tree.write(SIGNED_INDEX, key.signer.sign(signable(tree.read(SIGNED_INDEX).body)))
    assert "sstream-signature" in rules_of(judged(tree, key), "sstream", Level.ERROR)


def test_a_signed_index_that_names_what_is_not_signed_is_told_with_keys(tree: DirectoryTree, key: OpenKey) -> None:
    tree.write(SIGNED_INDEX, key.signer.sign(tree.read(INDEX).body))
    report = judged(tree, key)
    assert "sstream-unsigned-products" in rules_of(report, "sstream", Level.ERROR)
    assert "juju-signed-index" in rules_of(report, "juju-3.6")


def test_keys_for_a_feed_that_nobody_signed_are_told(tmp_path: Path, key: OpenKey) -> None:
    assert of(judged(written(tmp_path, image_files()), key), "signature-missing", Level.ERROR) == {"everyone"}


def test_a_signature_beside_that_is_of_another_version_is_told(tree: DirectoryTree, key: OpenKey) -> None:
    tree.write(PRODUCTS, tree.read(PRODUCTS).body + b"\n")
    report = judged(tree, key)
    [found] = [each.finding for each in report.findings if each.finding.rule.id == "signature-beside"]
    assert (found.file, f"{PRODUCTS}.gpg" in found.sentence) == (PRODUCTS, True)
