from __future__ import annotations

import json
from pathlib import Path

import pytest

from headwater.instances.user_data.checking import faults_of
from headwater.instances.user_data.cloud_config.schema import Schema, installed
from headwater.instances.user_data.errors import SchemaUnusable

# Ours, in the draft that cloud-init's has.
SCHEMA = {
    "type": "object",
    "allOf": [
        {
            "properties": {
                "ntp": {
                    "type": "object",
                    "properties": {"servers": {"type": "array", "items": {"type": "string"}}},
                    "additionalProperties": False,
                },
                "power_state": {"type": "object", "required": ["mode"]},
                "ssh_pwauth": {"oneOf": [{"type": "boolean"}, {"enum": ["unchanged"]}]},
                "swap": {"enum": ["a", "b"]},
                "locale": {"type": ["string", "boolean"]},
            }
        }
    ],
}


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA))
    return Schema(file)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("ntp: {servrs: []}", 2, "it does not know servrs"),
        ("ntp:\n  servers: [1]", 3, "it must be string"),
        ("power_state: {delay: 1}", 2, "it needs mode"),
        ("ssh_pwauth: [S3CRET]", 2, "none of the forms"),
        ("swap: S3CRET", 2, "one of a, b"),
    ],
)
def test_what_the_schema_refuses_is_told_with_its_line_and_without_values(
    schema: Schema, text: str, line: int, says: str
) -> None:
    [fault] = faults_of(f"#cloud-config\n{text}\n".encode(), schema)
    assert (fault.rule.id, fault.line) == ("cloud-config-schema", line)
    assert says in fault.sentence
    assert "S3CRET" not in fault.sentence


def test_what_our_rules_tell_is_not_told_twice(schema: Schema) -> None:
    [fault] = faults_of(b"#cloud-config\nlocale: [1]\n", schema)
    assert fault.rule.id == "cloud-config-type"


def test_what_the_schema_takes_has_no_fault(schema: Schema) -> None:
    assert faults_of(b"#cloud-config\nntp: {servers: [a]}\nssh_pwauth: unchanged\n", schema) == []


@pytest.mark.parametrize("text", [None, "no", '{"type": 3}'])
def test_a_file_that_is_no_schema_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "schema.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SchemaUnusable, match=r"schema\.json"):
        Schema(file)


def test_the_schema_of_an_installed_cloud_init_is_found(tmp_path: Path) -> None:
    assert installed(tmp_path) is None
    for place in ("python3.11/site-packages", "python3/dist-packages"):
        file = tmp_path / place / "cloudinit/config/schemas/schema-cloud-config-v1.json"
        file.parent.mkdir(parents=True)
        file.write_text("{}")
        assert installed(tmp_path) == file
