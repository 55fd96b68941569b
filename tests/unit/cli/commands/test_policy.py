"""``headwater policy``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from headwater.cli.commands import policy
from headwater.errors import SettingsError
from headwater.identity.policy.file import read_policy
from headwater.server.apis.policies import BY_NAME, RULES


def test_the_sample_holds_every_rule_with_its_default() -> None:
    lines = CliRunner().invoke(policy.app, ["sample"]).stdout.splitlines()
    assert all(line.startswith("#") or not line for line in lines)
    switched_on = "\n".join(line[1:] for line in lines if line.startswith('#"'))
    assert yaml.safe_load(switched_on) == {rule.name: rule.check for rule in RULES}


def test_the_sample_switched_on_is_a_file_that_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("\n".join(line[1:] for line in policy.sample_text().splitlines() if line.startswith('#"')))
    assert len(read_policy(file, BY_NAME, remote_checks=False)) == len(RULES)
    done = CliRunner().invoke(policy.app, ["check", "--file", str(file)])
    assert (done.exit_code, done.stdout) == (0, f"{file}: {len(RULES)} rules, 0 warnings\n")


def test_a_rule_that_nothing_asks_and_a_field_that_nobody_has_are_warnings(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        '"get_imagine": "@"\n"owner": "project_id:%(owner)s"\n'
        '"get_image": "rule:owner or user_domain_id:x or \'y.z\':%(name)s or True:%(protected)s"\n'
    )
    done = CliRunner().invoke(policy.app, ["check", "--file", str(file), "--json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["rules"] == 3
    assert [(each["line"], each["rule"]) for each in found["warnings"]] == [(1, "get_imagine"), (3, "get_image")]
    assert "user_domain_id" in found["warnings"][1]["message"]


def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"get_image": "nonsense"\n')
    for words in (["check", "--file", str(file)], ["check", "--file", str(tmp_path / "none")], ["check"]):
        assert isinstance(CliRunner().invoke(policy.app, words).exception, SettingsError)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_says_what_it_guards(rule: object) -> None:
    assert getattr(rule, "guards", "")
