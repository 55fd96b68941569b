from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.user_data import checking
from headwater.instances.user_data.checking import faults_of
from headwater.instances.user_data.cloud_config import rules as cloud_config_rules
from headwater.instances.user_data.composing import composed, part

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6/Vd6bZLg2P6nTYxKGBSSmOF0hbnOdCxUZcmNBYxCG user@host"
RIGHT = f"""\
#cloud-config
hostname: web
package_update: true
packages: [nginx, [curl, '7.88']]
users:
  - default
  - name: ops
    ssh_authorized_keys:
      - {KEY}
      - from="10.0.0.0/8" {KEY}
ssh_authorized_keys: ['{KEY}']
write_files:
  - path: /etc/motd
    permissions: '0644'
    content: |
      a: b
runcmd:
  - echo hi
  - [sh, -c, 'echo a: b']
  -
timezone: Etc/UTC
"""

# What breaks a rule, the line that is told, and what does not break it.
CASES: list[tuple[str, bytes, int | None, bytes]] = [
    ("user-data-empty", b"", None, b"#!/bin/sh\n"),
    ("user-data-broken", b"\x1f\x8bx", None, b"#!/bin/sh\n"),
    ("user-data-unknown", b"hello", None, b"#!/bin/sh\n"),
    ("user-data-byte-order-mark", b"\xef\xbb\xbf#!/bin/sh\n", 1, b"#!/bin/sh\n"),
    ("user-data-utf-16", "#cloud-config\n".encode("utf-16"), None, b"#!/bin/sh\n"),
    ("user-data-base64", base64.b64encode(RIGHT.encode()), None, b"aaaaaaaaaaaaaaaaaaaaaaaa"),
    ("user-data-script-crlf", b"#!/bin/sh\r\necho\r\n", 1, b"#!/bin/sh\necho\r\n"),
    ("user-data-butane", b"variant: fcos\nversion: 1.5.0\n", None, b"#!/bin/sh\n"),
    ("cloud-config-first-line", b"# cloud-config\na: 1\n", 1, b"#cloud-config\nhostname: a\n"),
    ("cloud-config-first-line-loose", b"\n#Cloud-config\nhostname: a\n", 1, b"#cloud-config \nhostname: a\n"),
    (
        "cloud-config-part-replaces",
        composed([part("a", b"#cloud-config\nruncmd: [a]\n"), part("b", b"#cloud-config\nruncmd: [b]\n")]),
        2,
        composed(
            [
                part("a", b"#cloud-config\nruncmd: [a]\n"),
                part(
                    "b", b"#cloud-config\nmerge_how: 'list(append)+dict(no_replace,recurse_list)+str()'\nruncmd: [b]\n"
                ),
                part("c", b"#cloud-config\nhostname: a\n"),
            ]
        ),
    ),
    ("cloud-config-encoding", b"#cloud-config\na: 1\nb: \xff\n", 3, "#cloud-config\nhostname: ä\n".encode()),
    ("cloud-config-crlf", b"#cloud-config\r\nhostname: a\r\n", 1, b"#cloud-config\nhostname: a\n"),
    ("cloud-config-tabs", b"#cloud-config\nruncmd:\n\t- a\n", 3, b"#cloud-config\nruncmd:\n - 'a\tb'\n"),
    ("cloud-config-yaml", b"#cloud-config\nruncmd: [a\n", 3, b"#cloud-config\nruncmd: [a]\n"),
    ("cloud-config-yaml", b"#cloud-config\nruncmd: " + b"[" * 50_000, None, b"#cloud-config\nruncmd: [[a]]\n"),
    ("cloud-config-yaml", b"#cloud-config\nhostname: \x00\n", None, b"#cloud-config\nhostname: a\n"),
    *(
        ("cloud-config-yaml", b"#cloud-config\nhostname: " + value, None, b"#cloud-config\nhostname: a\n")
        for value in (b"!!int ''", b"!!bool x", b"!!timestamp x", b"!!float ''", b"2001-99-99")
    ),
    ("cloud-config-no-mapping", b"#cloud-config\n- a\n", None, b"#cloud-config\nhostname: a\n"),
    ("cloud-config-empty", b"#cloud-config\n# nothing\n", None, b"#cloud-config\nhostname: a\n"),
    ("cloud-config-duplicate-key", b"#cloud-config\nruncmd: []\nruncmd: []\n", 3, b"#cloud-config\nruncmd: []\n"),
    (
        "cloud-config-duplicate-key",
        b"#cloud-config\nwrite_files:\n- path: /a\n  path: /b\n",
        4,
        b"#cloud-config\nwrite_files:\n- path: /a\n- path: /b\n",
    ),
    ("cloud-config-misspelt-key", b"#cloud-config\npackage: [a]\n", 2, b"#cloud-config\npackages: [a]\n"),
    ("cloud-config-misspelt-key", b"#cloud-config\nwrite-files: []\n", 2, b"#cloud-config\nwrite_files: []\n"),
    ("cloud-config-unknown-key", b"#cloud-config\nmy_own_thing: 1\n", 2, b"#cloud-config\nhostname: a\n"),
    ("cloud-config-type", b"#cloud-config\nusers: 3\n", 2, b"#cloud-config\nusers: root\n"),
    (
        "cloud-config-type",
        b"#cloud-config\nusers: [default, {name: a, ssh_authorized_keys: 3}]\n",
        2,
        f"#cloud-config\nusers: [default, {{name: a, ssh_authorized_keys: '{KEY}'}}]\n".encode(),
    ),
    ("cloud-config-type", b"#cloud-config\nusers: [3]\n", 2, b"#cloud-config\nusers: [default]\n"),
    ("cloud-config-type", b"#cloud-config\nwrite_files: {path: /a}\n", 2, b"#cloud-config\nwrite_files:\n"),
    ("cloud-config-type", b"#cloud-config\npackages: {a: b}\n", 2, b"#cloud-config\npackages: a\n"),
    ("cloud-config-type", b"#cloud-config\nhostname: [a]\n", 2, b"#cloud-config\nhostname: 12\n"),
    ("cloud-config-type", b"#cloud-config\npackage_update: {}\n", 2, b"#cloud-config\npackage_update: 1\n"),
    ("cloud-config-type", b"#cloud-config\nruncmd: echo\n", 2, b"#cloud-config\nruncmd: [echo]\n"),
    ("cloud-config-type", b"#cloud-config\nssh_authorized_keys: a\n", 2, b"#cloud-config\nssh_authorized_keys: []\n"),
    ("cloud-config-type", b"#cloud-config\nssh_authorized_keys: [1]\n", 2, b"#cloud-config\nssh_authorized_keys: []\n"),
    ("cloud-config-form", b"#cloud-config\nssh_pwauth: maybe\n", 2, b"#cloud-config\nssh_pwauth: unchanged\n"),
    ("cloud-config-form", b"#cloud-config\npackages: vim\n", 2, b"#cloud-config\npackages: [vim]\n"),
    (
        "cloud-config-user-without-name",
        b"#cloud-config\nusers:\n- default\n- sudo: ALL\n",
        4,
        b"#cloud-config\nusers: [default, {name: a}]\n",
    ),
    (
        "cloud-config-no-default-user",
        b"#cloud-config\nusers: [{name: a}]\n",
        2,
        b"#cloud-config\nusers: [default, {name: a}]\n",
    ),
    (
        "cloud-config-ssh-key",
        b"#cloud-config\nssh_authorized_keys:\n- ssh-rsa AAAA\n",
        3,
        f"#cloud-config\nssh_authorized_keys:\n- {KEY}\n".encode(),
    ),
    (
        "cloud-config-private-key",
        b"#cloud-config\nssh_authorized_keys:\n- |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n",
        3,
        f"#cloud-config\nssh_authorized_keys:\n- {KEY}\n".encode(),
    ),
    (
        "cloud-config-file-without-path",
        b"#cloud-config\nwrite_files:\n- content: a\n",
        3,
        b"#cloud-config\nwrite_files:\n- path: /a\n",
    ),
    (
        "cloud-config-file-relative",
        b"#cloud-config\nwrite_files:\n- path: a\n",
        3,
        b"#cloud-config\nwrite_files:\n- path: /a\n",
    ),
    (
        "cloud-config-permissions",
        b"#cloud-config\nwrite_files:\n- path: /a\n  permissions: 644\n",
        4,
        b"#cloud-config\nwrite_files:\n- path: /a\n  permissions: '0644'\n",
    ),
    (
        "cloud-config-command",
        b"#cloud-config\nruncmd:\n- a\n- echo a: b\n",
        4,
        b"#cloud-config\nruncmd:\n- 'echo a: b'\n",
    ),
]


@pytest.mark.parametrize(("rule", "wrong", "line", "right"), CASES, ids=[f"{each[0]}" for each in CASES])
def test_a_rule_tells_its_line_and_is_silent_where_it_is_kept(
    rule: str, wrong: bytes, line: int | None, right: bytes
) -> None:
    assert [fault.line for fault in faults_of(wrong) if fault.rule.id == rule] == [line]
    assert rule not in [fault.rule.id for fault in faults_of(right)]


def test_every_rule_has_a_case() -> None:
    every = {rule.id for rule in (*checking.RULES, *cloud_config_rules.RULES)} - {cloud_config_rules.BY_SCHEMA.id}
    assert every == {rule for rule, *_ in CASES}


def test_a_right_cloud_config_has_no_fault() -> None:
    assert faults_of(RIGHT.encode()) == []


def test_no_sentence_holds_a_value() -> None:
    wrong = b"#cloud-config\npassword: [S3CRET\nusers: 'S3CRET' x\n"
    assert faults_of(wrong)
    for data in (
        wrong,
        b"#cloud-config\nssh_authorized_keys: [S3CRET]\nhostname: {S3CRET: 1}\nruncmd: [{a: S3CRET}]\n",
    ):
        assert not any("S3CRET" in fault.sentence + fault.fix for fault in faults_of(data))


def test_faults_of_one_piece_among_several_say_which() -> None:
    whole = composed([part("a", b"#!/bin/sh\n"), part("b", b"#cloud-config\nruncmd: x\n")], compress=True)
    [fault] = faults_of(whole)
    assert (fault.part, fault.at) == ("2", "part 2, line 2, runcmd")


def test_a_part_with_a_type_needs_no_first_line() -> None:
    whole = composed([part("a", b"hostname: x\n", "cloud-config"), part("b", b"#!/bin/sh\n")])
    assert faults_of(whole) == []


def test_aliases_that_grow_without_end_are_walked_once() -> None:
    lines = ["#cloud-config", "a: &a0 [x]"]
    lines += [f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(30)]
    assert {fault.rule.id for fault in faults_of("\n".join(lines).encode())} <= {
        "cloud-config-unknown-key",
        "cloud-config-misspelt-key",
    }


@pytest.mark.parametrize(
    "prefix", [b"", b"#cloud-config\n", b"#cloud-config-archive\n", b"Content-Type: text/plain\n\n"]
)
def test_any_bytes_are_judged(prefix: bytes) -> None:
    @given(st.binary(max_size=200))
    def judged(data: bytes) -> None:
        faults_of(prefix + data)

    run: Callable[[], None] = judged
    run()


def test_mappings_that_merge_each_other_again_and_again_are_no_yaml() -> None:
    lines = ["#cloud-config", "m0: &m0 {a: 1, b: 2}"]
    lines += [f"m{n + 1}: &m{n + 1} {{<<: [{', '.join([f'*m{n}'] * 9)}]}}" for n in range(30)]
    [fault] = faults_of("\n".join(lines).encode())
    assert fault.rule.id == "cloud-config-yaml"
    assert "grow beyond all bounds" in fault.sentence
    assert faults_of("\n".join(["#cloud-config-archive", *lines[1:]]).encode())[0].rule.id == "user-data-broken"


def test_what_merges_a_little_is_read() -> None:
    users = b"users:\n- default\n- &u {name: a}\n- {<<: *u, name: b}\n"
    assert faults_of(b"#cloud-config\n" + users) == []
