"""What a machine that is tried is started with, and what its console is read to say."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import pytest

from headwater.errors import UnsupportedMedia
from headwater.server.trying import machine
from headwater.server.trying.machine import Bounds, MachineFailed, boot, command, disk_format
from headwater.server.trying.verdict import plain, signs, verdict

FINISHED = "Cloud-init v. 22.4.2 finished at Thu, 26 Nov 2026 22:00:00 +0000. Datasource {}.  Up 20.54 seconds\n"
OURS = FINISHED.format("DataSourceNoCloud [seed=/dev/vdb][dsmode=net]")


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_found", lambda program: program)


def test_it_has_no_network_but_when_asked() -> None:
    closed = command(3, "qcow2", 4, Bounds(), kvm=False)
    opened = command(3, "qcow2", 4, Bounds(network=True), kvm=False)
    assert "user,model=virtio-net-pci,restrict=on" in closed
    assert "user,model=virtio-net-pci,restrict=off" in opened


def test_nothing_is_written_to_the_image_and_its_format_is_said() -> None:
    words = command(3, "qcow2", 4, Bounds(), kvm=False)
    assert "file=/proc/self/fd/3,format=qcow2,snapshot=on,if=virtio" in words


def test_it_is_confined_and_ends_with_its_parent() -> None:
    words = command(3, "raw", 4, Bounds(memory_mib=512), kvm=True)
    assert words[:3] == ("setpriv", "--pdeathsig", "KILL")
    assert "--as=3758096384" in words
    (written,) = (int(word.removeprefix("--fsize=")) for word in words if word.startswith("--fsize="))
    assert 0 < written <= 16 << 30
    assert {"-nodefaults", "-sandbox", "kvm"} <= set(words)


def test_an_image_that_refers_to_another_file_is_refused() -> None:
    header = bytearray(b"QFI\xfb" + (3).to_bytes(4) + bytes(512))
    header[8:16], header[16:20] = (104).to_bytes(8), (11).to_bytes(4)  # its backing file's place and length
    header[24:32], header[100:104] = (1 << 30).to_bytes(8), (104).to_bytes(4)
    header[104:115] = b"/etc/passwd"
    with pytest.raises(UnsupportedMedia):
        disk_format(io.BytesIO(bytes(header) + bytes(1 << 16)), 60)


def test_a_bare_disk_is_raw() -> None:
    assert disk_format(io.BytesIO(bytes(1 << 16)), 60) == "raw"


def test_a_guest_that_read_its_medium_and_finished_took_it() -> None:
    assert verdict(OURS).taken


@pytest.mark.parametrize(
    ("console", "why"),
    [
        ("", "no cloud-init showed"),
        ("Cloud-init v. 22.4.2 running 'init' at Thu\n", "did not finish"),
        (FINISHED.format("DataSourceNone"), "DataSourceNone"),
        (
            FINISHED.format("DataSourceNoCloud [seed=/var/lib/cloud/seed]"),
            "did not read its medium",
        ),
        ("x - util.py[WARNING]: Failed running /var/lib/cloud/instance/scripts/runcmd\n" + OURS, "had trouble"),
    ],
)
def test_a_guest_that_did_not_take_its_medium_is_told_of(console: str, why: str) -> None:
    found = verdict(console)
    assert not found.taken
    assert why in found.summary


def test_what_a_terminal_would_act_on_is_not_shown() -> None:
    assert plain("\x1b[31mred\x1b[0m\x1b]0;title\x07\x07 \x9b1mend\n") == "red 1mend\n"


@pytest.mark.parametrize(
    ("with_kvm", "console"),
    [("echo 'no MSR' >&2; exit 6", "in software\n"), ("echo guest; exit 6", None), ("echo by KVM", "by KVM\n")],
    ids=["fails-at-once", "fails-later", "works"],
)
def test_a_kvm_that_does_not_work_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, with_kvm: str, console: str | None
) -> None:
    def said(*_: object, kvm: bool) -> tuple[str, ...]:
        return ("sh", "-c", with_kvm if kvm else "echo in software")

    (tmp_path / "kvm").touch()
    monkeypatch.setattr(machine, "_KVM", tmp_path / "kvm")
    monkeypatch.setattr(machine, "command", said)
    shown: list[str] = []
    with (tmp_path / "kvm").open("rb") as disk:
        if console is None:
            with pytest.raises(MachineFailed, match="ended with 6"):
                boot(disk, "raw", b"", Bounds(), shown.append)
            return
        assert boot(disk, "raw", b"", Bounds(), shown.append) == (console, "it powered itself off")
    assert ("KVM does not work here (no MSR)" in "".join(shown)) is (console == "in software\n")


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here"
LISTED = "ci-info: | ssh-ed25519 | {} |    -    | me@here |\n"


@pytest.mark.parametrize("form", ["sha256", "md5"])
def test_what_the_console_shows_of_what_was_given_is_told(form: str) -> None:
    digest = hashlib.new(form, base64.b64decode(KEY.split()[1])).digest().hex(":")
    assert signs(f"\nDebian 12 web1 ttyS0\n\nweb1 login: {LISTED.format(digest)}", "web1", [KEY]) == {
        "host name web1": True,
        "SSH key me@here": True,
    }
    other = LISTED.format(digest.replace("a", "b").replace("1", "2"))
    assert signs(f"localhost login:\n{other}web1\n", "web1", [f"# mine\n{KEY}\n", "text"]) == {
        "host name web1": False,
        "SSH key me@here": False,
    }
