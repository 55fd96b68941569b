"""What is said of user data is what real cloud-init does with it, and what is rendered is what a guest reads."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess
from headwater.instances.user_data.checking import faults_of
from headwater.instances.user_data.cloud_config import documented
from headwater.instances.user_data.cloud_config import rules as cloud_config_rules
from headwater.instances.user_data.cloud_config.schema import Schema
from headwater.instances.user_data.composing import Part, composed, part
from headwater.instances.user_data.kinds import OF_CLOUD_INIT
from headwater.instances.user_data.taking_apart import pieces
from needs import CHECKOUT
from unit.instances.user_data.test_checking import CASES, RIGHT

MISSPELT = cloud_config_rules.MISSPELT.id
CONFIG = b"#cloud-config\nhostname: x\n"
# After these faults cloud-init has nothing of the user data.
FATAL = {
    "user-data-empty",
    "user-data-broken",
    "user-data-unknown",
    "user-data-byte-order-mark",
    "user-data-utf-16",
    "user-data-base64",
    "user-data-butane",
    "cloud-config-first-line",
    "cloud-config-encoding",
    "cloud-config-tabs",
    "cloud-config-yaml",
    "cloud-config-no-mapping",
    "cloud-config-empty",
}


@dataclass(frozen=True)
class CloudInit:
    """The real one, in a process of its own."""

    python: Path
    modules: Path

    def takes(self, *given: bytes) -> list[dict[str, Any]]:
        done = subprocess.run(
            [self.python, "-m", "functional.instances.cloud_init.user_data"],
            input=json.dumps([base64.b64encode(each).decode() for each in given]),
            env={
                "PYTHONPATH": f"{self.modules}{os.pathsep}{CHECKOUT / 'tests'}",
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        taken: list[dict[str, Any]] = json.loads(done.stdout)
        return taken

    def schema(self) -> Path:
        return self.modules / "cloudinit" / "config" / "schemas" / "schema-cloud-config-v1.json"

    def has_old_schema(self) -> bool:
        return "create_hostname_file" not in self.schema().read_text()


@pytest.fixture(scope="module")
def cloud_init(clients_python: Path, cloud_init_modules: Path) -> CloudInit:
    return CloudInit(clients_python, cloud_init_modules)


def has_something(taken: dict[str, Any]) -> bool:
    others = [each for each in taken["parts"] if each["type"] not in ("text/cloud-config", "text/x-not-multipart")]
    return bool(taken["config"] or others)


def test_cloud_init_has_nothing_of_what_is_told_to_be_nothing_to_it(cloud_init: CloudInit) -> None:
    cases = [(rule, wrong) for rule, wrong, _, _ in CASES if rule in FATAL]
    assert {rule for rule, _ in cases} == FATAL
    taken = cloud_init.takes(*(wrong for _, wrong in cases))
    assert [rule for (rule, _), each in zip(cases, taken, strict=True) if has_something(each)] == []


def test_cloud_init_takes_what_has_no_error(cloud_init: CloudInit) -> None:
    right = [each for *_, each in CASES if not {fault.rule.id for fault in faults_of(each)} & FATAL]
    assert len(right) > 30
    taken = cloud_init.takes(RIGHT.encode(), *right)
    lost = [data for data, each in zip([RIGHT.encode(), *right], taken, strict=True) if not has_something(each)]
    assert lost == []


def test_cloud_init_finds_each_part_of_what_is_composed_byte_for_byte(cloud_init: CloudInit) -> None:
    parts = [
        part("a.yaml", CONFIG),
        part("b.sh", "#!/bin/sh\r\necho ä\n".encode()),
        part("c", b"#cloud-boothook\necho\n"),
        part("d", b"## template: jinja\n#cloud-config\n"),
        part("e", b"#part-handler\n"),
        part("f", b"x", "script-per-boot"),
        part("g", b"#ps1\nWrite-Host x\n"),
        part("h", b"anything", "text/x-own"),
    ]
    for each in cloud_init.takes(composed(parts), composed(parts, compress=True)):
        found = [(part["type"], part["name"], base64.b64decode(part["data"])) for part in each["parts"]]
        assert found == [(each.mime, each.name, each.data) for each in parts]


def test_the_kinds_and_names_are_what_cloud_init_makes_of_it(cloud_init: CloudInit) -> None:
    given = [
        CONFIG,
        b"#!/bin/sh\n",
        b"#cloud-boothook\n",
        b"#part-handler\n",
        b"#cloud-config-jsonp\n[]\n",
        b"## template: jinja\n#!/bin/sh\n",
        b"#cloud-config-archive\n- 'hostname: x'\n- '#!/bin/sh'\n- {type: text/x-own, content: a, filename: f}\n",
        composed([Part(mime="text/plain", name="a", data=CONFIG)]),
    ]
    for data, taken in zip(given, cloud_init.takes(*given), strict=True):
        ours = [(piece.kind.mime if piece.kind else piece.mime) for piece in pieces(data)]
        assert ours == [each["type"] for each in taken["parts"]]
    assert "cloud-config" in OF_CLOUD_INIT


def test_what_is_documented_is_what_the_schema_of_a_real_cloud_init_takes(cloud_init: CloudInit) -> None:
    schema = Schema(cloud_init.schema())
    samples: dict[str, list[Any]] = {"bool": [True, False], "number": [1], "text": ["a"], "texts": [["a", "b"]]}
    # Documented since 24.1; and what its core reads, which newer schemas leave out.
    another = {"locale"} if cloud_init.has_old_schema() else {"def_log_file", "syslog_fix_perms"}
    asked = 0
    for key, forms in tomllib.loads(documented.FILE.read_text(encoding="utf-8")).items():
        if key in another or not key.isidentifier():
            continue
        for form in forms.split():
            for value in samples.get(form, []) if form in samples else [form[1:]] if form[0] == "=" else []:
                assert documented.faults_of({key: value}) == []
                assert schema.faults_of({key: value}) == [], (key, value)
                asked += 1
    assert asked > 50


def test_a_later_part_replaces_what_an_earlier_one_says_as_is_told(cloud_init: CloudInit) -> None:
    [(wrong, right)] = [(wrong, right) for rule, wrong, _, right in CASES if rule == "cloud-config-part-replaces"]
    replaced, merged = cloud_init.takes(wrong, right)
    assert replaced["config"] == {"runcmd": ["b"]}
    assert merged["config"]["runcmd"] == ["a", "b"]


def test_every_key_of_the_real_schema_is_known(cloud_init: CloudInit) -> None:
    definitions = json.loads(cloud_init.schema().read_bytes())["$defs"]
    modules = [each for name, each in definitions.items() if name.startswith("cc_") or name == "base_config"]
    assert len(modules) > 40
    assert {key for each in modules for key in each.get("properties", ())} - cloud_config_rules.KEYS == set()


def named(schema: dict[str, Any], node: dict[str, Any], depth: int = 0) -> Iterator[Any]:
    """Yield documents of one key each, at any depth, with nothing for its value: every key that a schema names."""
    yield None
    if depth > 12:
        return
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    for each in (*node.get("oneOf", ()), *node.get("anyOf", ()), *node.get("allOf", ())):
        yield from named(schema, each, depth + 1)
    items = node.get("items", [])
    for each in items if isinstance(items, list) else [items]:
        yield from ([below] for below in named(schema, each, depth + 1))
    for key, each in node.get("properties", {}).items():
        yield from ({key: below} for below in named(schema, each, depth + 1))
    for each in node.get("patternProperties", {}).values():
        yield from ({"any": below} for below in named(schema, each, depth + 1))


def test_no_key_that_the_real_schema_names_is_told_to_be_misspelt(cloud_init: CloudInit) -> None:
    schema = json.loads(cloud_init.schema().read_bytes())
    told, asked = set(), 0
    for name, module in schema["$defs"].items():
        if name.startswith("cc_") or name == "base_config":
            for document in named(schema, module):
                asked += 1
                told |= {fault.path for fault in documented.faults_of(document) if fault.rule.id == MISSPELT}
    assert asked > 500
    assert told == set()


def test_the_real_schema_is_asked(cloud_init: CloudInit) -> None:
    schema = Schema(cloud_init.schema())
    assert faults_of(RIGHT.encode(), schema) == []
    [fault] = faults_of(b"#cloud-config\nntp: {servrs: [a]}\n", schema)
    assert (fault.rule.id, fault.line) == ("cloud-config-schema", 2)
    assert "servrs" in fault.sentence


# --- The real program ------------------------------------------------------------------------------


@pytest.fixture
def service(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    return fresh_headwater()


def run(service: HeadwaterProcess, *words: str, code: int = 0) -> str:
    done = service.command("instance", *words)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 or done.stdout else done.stderr


def test_a_guest_reads_what_was_composed_and_what_was_rendered(service: HeadwaterProcess) -> None:
    here = service.directory
    (here / "a.yaml").write_bytes(CONFIG)
    (here / "b.sh").write_bytes(b"#!/bin/sh\necho hi\n")
    (here / "t.yaml").write_text("#cloud-config\nfqdn: {{ hostname }}.{{ meta.domain }}\n")
    run(service, "user-data", "compose", "a.yaml", "b.sh", "--gzip", "-o", "composed")
    run(service, "add", "--name", "web", "--address", "127.0.0.1", "--user-data", "@composed")
    assert run(service, "user-data", "show", "--instance", "web", "--part", "2") == "#!/bin/sh\necho hi\n"
    got = httpx.get(f"{service.metadata_url}/openstack/latest/user_data", timeout=30)
    assert got.content == (here / "composed").read_bytes()
    run(service, "remove", "web")
    words = ["add", "--name", "db", "--address", "127.0.0.1", "--user-data-template", "@t.yaml"]
    assert "line 2" in run(service, *words, code=2)
    run(service, *words, "--meta", "domain=example.org")
    got = httpx.get(f"{service.metadata_url}/latest/user-data", timeout=30)
    assert got.content == b"#cloud-config\nfqdn: db.example.org\n"


def test_records_are_judged_before_anything_boots(service: HeadwaterProcess) -> None:
    run(service, "add", "--name", "web", "--tokens", "required", "--user-data", "#cloud-config\nruncmd: x\n")
    told = run(service, "lint", "web", code=1)
    assert "error cloud-init-tokens-elsewhere [cloud-init]" in told
    assert "web: user_data: line 2, runcmd: it is a text" in told
    log = json.loads(run(service, "lint", "--all", "--format", "sarif", code=1))
    assert log["runs"][0]["tool"]["driver"]["name"] == "headwater instance lint"
    assert "there are no rules for 'docker'" in run(service, "lint", "web", "--consumer", "docker", code=2)
