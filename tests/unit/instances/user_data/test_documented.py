from __future__ import annotations

import tomllib

import pytest

from headwater.instances.user_data.checking import faults_of
from headwater.instances.user_data.cloud_config import documented, rules

FORMS = tomllib.loads(documented.FILE.read_text(encoding="utf-8"))


def told(text: str) -> list[tuple[str, str]]:
    return [(fault.rule.id, fault.path) for fault in faults_of(f"#cloud-config\n{text}\n".encode())]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("ssh_pwauth: maybe", "ssh_pwauth"),
        ("packages: vim", "packages"),
        ("packages: [vim, 3]", "packages[1]"),
        ("package_update: 'yes'", "package_update"),
        ("hostname: 12", "hostname"),
        ("ntp: {servers: a}", "ntp.servers"),
        ("ntp: {servers: [1]}", "ntp.servers"),
        ("ntp: {config: {packages: {}}}", "ntp.config.packages"),
        ("growpart: {mode: fast}", "growpart.mode"),
        ("power_state: {mode: off}", "power_state.mode"),
        ("users: [default, {name: a, plain_text_passwd: 1234}]", "users[1].plain_text_passwd"),
        ("write_files: [{path: /a, encoding: base32}]", "write_files[0].encoding"),
        ("disk_setup: {/dev/vdb: {table_type: bsd}}", "disk_setup./dev/vdb.table_type"),
        ("apt: {sources: {a.list: {source: [1]}}}", "apt.sources.a.list.source"),
        ("ssh_genkeytypes: [rsa, dss]", "ssh_genkeytypes[1]"),
        ("phone_home: {post: none}", "phone_home.post"),
    ],
)
def test_another_form_than_the_documented_one_is_told(text: str, path: str) -> None:
    assert told(text) == [("cloud-config-form", path)]


@pytest.mark.parametrize(
    "text",
    [
        "ssh_pwauth: yes",
        "ssh_pwauth:",
        "packages: [vim, [curl, '8'], {snap: [lxd]}]",
        "growpart: {mode: off, devices: [/]}",
        "users: [default, {name: a, expiredate: 2026-11-27, uid: 1000, sudo: false, groups: [a]}]",
        "write_files: [{path: /a, content: !!binary aGk=, encoding: b64}]",
        "runcmd: [[sleep, 5], ls, null]",
        "ntp: {1: 2, a_key_of_a_release_to_come: 3}",
        "ntp:",
        "swap: {size: auto, maxsize: 1024}",
        "phone_home: {url: 'http://a', post: [pub_key_rsa], tries: 3}",
    ],
)
def test_what_is_documented_is_taken(text: str) -> None:
    assert told(text) == []


def test_a_key_below_another_that_is_nearly_a_documented_one_is_misspelt() -> None:
    assert told("ntp: {srvers: [a]}") == [("cloud-config-misspelt-key", "ntp.srvers")]
    assert told("users: [default, {name: a, shel: /bin/sh}]") == [("cloud-config-misspelt-key", "users[1].shel")]


def test_no_value_is_told() -> None:
    text = "#cloud-config\nssh_pwauth: S3CRET\npackages: S3CRET\nntp: {pools: S3CRET}\nphone_home: {post: S3CRET}\n"
    found = faults_of(text.encode())
    assert len(found) == 4
    assert not any("S3CRET" in fault.sentence + fault.fix for fault in found)


def test_every_form_is_known_and_every_key_is_one_that_a_module_reads() -> None:
    for path, forms in FORMS.items():
        assert path.split(".")[0].removesuffix("[]") in rules.KEYS, path
        assert forms.split(), path
        assert all(form in documented._TYPES or form.startswith("=") for form in forms.split()), path


def test_what_aliases_repeat_is_looked_at_once_and_faults_have_an_end() -> None:
    wide = "a: &a [" + "x," * 20_000 + "]\npackages: [" + "*a," * 20_000 + "]"
    assert told(wide) == [("cloud-config-unknown-key", "a")]
    assert len(told("packages: [" + "1," * 20_000 + "]")) == 50
