"""What hypervisors are told; QEMU itself, where it is there, takes the words."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from headwater.instances.errors import InstanceInvalid
from headwater.instances.media.arguments import CarrierFull, carried, for_libvirt, for_qemu, is_ignition, quoted
from headwater.instances.model import File
from needs import program
from unit.instances.examples import BARE, WEB_1

URL = "http://192.0.2.1:8775/seed/abc,def/"
IGNITION = b'{"ignition": {"version": "3.4.0"}}'
COREOS = replace(WEB_1, user_data=IGNITION)
KEYS = "".join(f"{key.data}\n" for key in WEB_1.keys if key.type == "ssh").encode()


def as_a_shell_reads(line: str) -> list[str]:
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, timeout=60)
    return done.stdout.decode().split("\0")[:-1]


def test_credentials_go_in_files_and_what_has_lines_is_base64() -> None:
    what = carried(WEB_1)
    assert what.files() == {
        "smbios-system.hostname": b"io.systemd.credential:system.hostname=" + WEB_1.hostname.encode(),
        "smbios-ssh.authorized_keys.root": b"io.systemd.credential.binary:ssh.authorized_keys.root="
        + base64.b64encode(KEYS),
    }
    words = for_qemu(what, Path("/run/a,b"))
    assert as_a_shell_reads(quoted(["-x", "it's $(no) \\ command"])) == ["-x", "it's $(no) \\ command"]
    assert words == [
        *("-uuid", WEB_1.id),
        *("-smbios", "type=11,path=/run/a,,b/smbios-system.hostname"),
        *("-smbios", "type=11,path=/run/a,,b/smbios-ssh.authorized_keys.root"),
    ]
    assert "ssh-" not in " ".join(words)
    assert as_a_shell_reads(quoted(words)) == words


def test_ignition_goes_by_fw_cfg_and_cloud_config_is_said_not_to_go() -> None:
    what = carried(COREOS, by="fw-cfg")
    assert what.entries["opt/com.coreos/config"] == IGNITION
    assert what.entries["opt/io.systemd.credentials/ssh.authorized_keys.root"] == KEYS
    assert not what.strings
    assert not what.left_out
    assert "-fw_cfg" in for_qemu(what, Path("/d"))
    assert carried(WEB_1).left_out
    [left_out] = carried(replace(BARE, files=(File(path="/a", data=b""),))).left_out
    assert left_out.startswith("the files: ")
    assert not carried(WEB_1, seed_url=URL).left_out


@pytest.mark.parametrize(
    "text", [b"", b"#cloud-config", b"[]", b'{"ignition": 1}', b"[" * 100_000, b"\xff", b'{"ignition": "\xff"}']
)
def test_other_user_data_is_not_ignition(text: bytes) -> None:
    assert not is_ignition(text)


def test_a_seed_url_is_the_serial_number() -> None:
    words = for_qemu(carried(WEB_1, seed_url=URL), Path("/d"))
    assert words[2:4] == ["-smbios", f"type=1,serial=ds=nocloud;s={URL.replace(',', ',,')}"]
    assert as_a_shell_reads(quoted(words)) == words


@pytest.mark.parametrize(
    "url", ["", "ftp://h/", "http://h/x", "http://h/a b/", "http://h/;x/", "http:///", "http://h/\n/"]
)
def test_a_url_that_cloud_init_would_not_follow_is_refused(url: str) -> None:
    with pytest.raises(InstanceInvalid, match="seed URL"):
        carried(WEB_1, seed_url=url)


def test_libvirt_gets_parts_of_a_domain() -> None:
    what = carried(COREOS, seed_url=URL, by="fw-cfg")
    domain = ElementTree.fromstring(for_libvirt(what, Path("/d<&")))
    assert domain.findtext("uuid") == WEB_1.id
    assert domain.find("os/smbios[@mode='sysinfo']") is not None
    assert domain.findtext("sysinfo[@type='smbios']/system/entry[@name='serial']") == f"ds=nocloud;s={URL}"
    entries = {each.attrib["name"]: each.attrib["file"] for each in domain.findall("sysinfo[@type='fwcfg']/entry")}
    assert entries["opt/com.coreos/config"] == "/d<&/fw_cfg-com.coreos-config"
    assert domain.find(".//oemStrings") is None
    inline = ElementTree.fromstring(for_libvirt(carried(WEB_1), Path("/d")))
    assert len(inline.findall("sysinfo/oemStrings/entry")) == 2


def test_what_smbios_does_not_hold_is_refused() -> None:
    key = next(key for key in WEB_1.keys if key.type == "ssh")
    many = tuple(replace(key, name=f"key-{number}") for number in range(1000))
    with pytest.raises(CarrierFull, match="fw-cfg"):
        carried(replace(WEB_1, keys=many))
    assert carried(replace(WEB_1, keys=many), by="fw-cfg").entries


@pytest.mark.parametrize("by", ["smbios", "fw-cfg"])
def test_qemu_takes_the_arguments(tmp_path: Path, by: str) -> None:
    what = carried(COREOS, seed_url=URL, by=by)  # type: ignore[arg-type]  # of two values
    for name, body in what.files().items():
        (tmp_path / name).write_bytes(body)
    done = subprocess.run(
        [program("qemu-system-x86_64"), "-display", "none", "-S", "-qmp", "stdio", *for_qemu(what, tmp_path)],
        input=b'{"execute":"qmp_capabilities"}{"execute":"query-uuid"}{"execute":"quit"}',
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told = [json.loads(line).get("return") for line in done.stdout.splitlines()]
    assert {"UUID": WEB_1.id} in told
