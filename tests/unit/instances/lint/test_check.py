from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.findings import Level
from headwater.instances.lint.check import Consumer, NoSuchConsumer, lint, presumed, sarif, worst
from headwater.instances.lint.rules import Versions
from headwater.instances.user_data.composing import composed, part
from unit.instances.examples import BARE, KEY, WEB_1


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (None, ["cloud-init"]),
        (b"#cloud-config\n", ["cloud-init"]),
        (b"hello", ["cloud-init"]),
        (b'{"ignition": {"version": "3.4.0"}}', ["ignition", "afterburn"]),
        (b"variant: fcos\nversion: 1.5.0\n", ["ignition", "afterburn"]),
        (b"#ps1\nx\n", ["cloudbase-init"]),
        (b"-----BEGIN CERTIFICATE-----\n", ["cloudbase-init"]),
        (composed([part("a", b"#ps1\nx\n"), part("b", b"#cloud-config\nhostname: a\n")]), ["cloudbase-init"]),
    ],
)
def test_the_user_data_tells_whom_a_record_is_for(data: bytes | None, names: list[str]) -> None:
    assert [each.name for each in presumed(replace(BARE, user_data=data))] == names


@pytest.mark.parametrize("text", ["cloud-init", "cloud-init@22.4", "cloudbase-init@1.1.8", "ignition@2.15"])
def test_a_consumer_is_named_with_its_release_or_without(text: str) -> None:
    found = Consumer.named(text)
    assert "@".join(each for each in (found.name, found.version) if each) == text


@pytest.mark.parametrize("text", ["", "docker", "cloud-init@", "cloud-init@x", "cloud-init@1.", "everyone"])
def test_a_consumer_that_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(NoSuchConsumer, match=r"cloud-init@22\.4"):
        Consumer.named(text)


def test_the_worst_is_told_first() -> None:
    found = lint(replace(BARE, tokens="required", hop_limit=1, user_data=b"hello"))
    levels = [each.level for each in found]
    assert levels == sorted(levels, reverse=True)
    assert worst(found) is Level.ERROR
    assert worst([]) is None


def test_what_is_wrong_with_user_data_is_told_with_the_record() -> None:
    [found] = [
        each for each in lint(replace(WEB_1, user_data=b"#cloud-config\nruncmd: x\n")) if each.level is Level.ERROR
    ]
    assert (found.rule, found.instance, found.field) == ("cloud-config-type", "Web 1", "user_data: line 2, runcmd")


def test_faults_of_cloud_configs_are_none_of_ignitions() -> None:
    found = lint(replace(BARE, user_data=b"#cloud-config\nruncmd: x\n"), [Consumer("ignition")])
    assert "cloud-config-type" not in [each.rule for each in found]


def test_the_example_of_the_specification_has_no_error() -> None:
    assert [each.rule for each in lint(WEB_1) if each.level is Level.ERROR] == []


def test_sarif_points_to_rules_and_fields() -> None:
    log = sarif(lint(replace(BARE, keys=WEB_1.keys, tokens="required")))
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len(rules) == len({rule["id"] for rule in rules}) > 25
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    [places] = [each["locations"] for each in run["results"] if each["ruleId"] == "cloud-init-tokens-elsewhere"]
    assert places[0]["logicalLocations"] == [{"fullyQualifiedName": "tokens"}]
    assert KEY not in str(log)
    [run] = sarif(lint(replace(WEB_1, tokens="required")))["runs"]
    uris = {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in run["results"]}
    assert uris == {"Web%201"}


def test_releases_compare_as_numbers() -> None:
    assert not Versions(before="2.10.0").have("2.10")
    assert Versions(before="23.2").have("22.10")
    assert Versions(since="5.2.0").have("5.2")
    assert not Versions(since="5.2.0").have("5.1.9")
    assert str(Versions(since="1", before="2")) == "since 1 and before 2"
