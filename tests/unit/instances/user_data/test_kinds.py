from __future__ import annotations

import pytest

from headwater.instances.user_data.kinds import kind_named, kind_of


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"#cloud-config\n", "cloud-config"),
        (b"\n  #Cloud-Config\n", "cloud-config"),
        (b"#cloud-config-archive\n- x\n", "cloud-config-archive"),
        (b"#cloud-config-jsonp\n[]", "cloud-config-jsonp"),
        (b"#!/bin/sh\n", "script"),
        (b"#include\nhttp://x/\n", "include"),
        (b"#include-once\nhttp://x/\n", "include-once"),
        (b"#cloud-boothook\n", "boothook"),
        (b"#part-handler\n", "part-handler"),
        (b"## template: jinja\n#cloud-config\n", "jinja2"),
        (b"#ps1_sysnative\nWrite-Host x\n", "ps1"),
        (b"#ps1\nWrite-Host x\n", "ps1"),
        (b"rem cmd\necho x\n", "cmd"),
        (b"<powershell>\nx\n</powershell>", "ec2config"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "certificate"),
        (b'{"ignition": {"version": "3.4.0"}}', "ignition"),
        (b'{ "ignition": {"version": "3.4.0"}', "ignition"),
        (b"variant: fcos\nversion: 1.5.0\n", "butane"),
        (b"Content-Type: multipart/mixed; boundary=x\n\n", "multipart"),
        (b"From: me\nX-A: b\n c\nMIME-Version: 1.0\n\n", "multipart"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"hello", None),
        (b"", None),
        (b'{"a": {"ignition": 1}}', None),
        (b'{"a": "\xff"}', None),
        (b'{"ignition": "\xff"}', "ignition"),
        (b"# cloud-config\n", None),
        (b"variant: fcos\n", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_beginning_tells_the_kind(data: bytes, name: str | None) -> None:
    found = kind_of(data)
    assert (found.name if found else None) == name


def test_kinds_have_names_and_mime_types() -> None:
    assert kind_named("x-sh") is kind_named("script") is kind_named("text/x-shellscript")
    assert kind_named("nothing") is None
