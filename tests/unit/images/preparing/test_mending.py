"""What is planned for a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from headwater.images.preparing import inside
from headwater.images.preparing.mending import NAMES, plan
from unit.images.preparing.guests import CLEAN, DEFAULTS, GRUB_CFG, LEGACY, guest, more


def steps(gathered: Any, packages: Any = None) -> dict[str, tuple[tuple[str, ...], ...]]:
    found = plan(gathered, guest(gathered), packages)
    assert {each.name for each in found} <= set(NAMES)
    return {each.name: each.does for each in found}


def test_nothing_is_planned_for_a_clean_guest() -> None:
    assert steps(CLEAN) == {}


def test_host_keys_stay_where_nothing_makes_new_ones() -> None:
    assert set(steps(LEGACY)) == {"machine-id", "persistent-net", "serial-console"}
    keys = (("remove", "/etc/ssh/ssh_host_rsa_key"), ("remove", "/etc/ssh/ssh_host_rsa_key.pub"))
    assert steps(more(LEGACY, "/usr/bin/cloud-init"))["host-keys"] == keys
    assert steps(more(LEGACY, "/usr/lib/systemd/system/sshd-keygen@.service"))["host-keys"] == keys
    assert steps(LEGACY, "deb")["host-keys"] == keys


def test_host_keys_wait_for_packages_only_where_nothing_else_makes_new_ones() -> None:
    def needs(gathered: Any) -> str | None:
        (step,) = (each for each in plan(gathered, guest(gathered), "deb") if each.name == "host-keys")
        return step.needs

    assert needs(LEGACY) == "cloud-init"
    assert needs(more(LEGACY, "/usr/lib/systemd/system/sshd-keygen@.service")) is None


def test_what_needs_a_step_that_failed_is_not_done() -> None:
    class Refusing:
        """A guest that takes no packages."""

        def __init__(self) -> None:
            self.removed: list[str] = []

        def do(self, words: list[str]) -> None:
            if words[0] == "install":
                raise RuntimeError("dpkg: " + "no room left " * 1000)
            self.removed.append(words[1])

    refusing = Refusing()
    planned = plan(LEGACY, guest(LEGACY), "deb")
    failed = inside.done(refusing, [msgspec.to_builtins(each) for each in planned])  # type: ignore[arg-type] # no disk
    assert failed["host-keys"] == "it needs cloud-init, which was not done"
    assert len(failed["cloud-init"]) < 600
    assert set(failed) == {"cloud-init", "host-keys"}
    assert "/etc/ssh/ssh_host_rsa_key" not in refusing.removed


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "error: Failed dependencies:\n\t/bin/sh is needed by a\n",
            "error: Failed dependencies: /bin/sh is needed by a",
        ),
        ("warning: a.rpm: NOKEY\nerror: no room\nerror: none", "error: no room; error: none"),
        ("warning: alone", "warning: alone"),
    ],
)
def test_what_a_program_said_is_told_without_its_warnings(said: str, told: str) -> None:
    assert inside._in_one_line(said) == told


def test_of_much_that_is_said_the_end_is_told() -> None:
    told = inside._in_one_line("a\n" * 1000 + "package x does not verify")
    assert told.startswith("… ")
    assert told.endswith("a; package x does not verify")
    assert len(told) < 600


class RpmGuest:
    """A guest whose rpm takes packages once it has a key."""

    def __init__(self, keys: list[str], refusal: str) -> None:
        self.keys, self.refusal, self.commands = keys, refusal, list[list[str]]()

    def glob_expand(self, _pattern: str, *, directoryslash: bool) -> list[str]:
        assert not directoryslash
        return self.keys

    def command(self, words: list[str]) -> None:
        self.commands.append(words[:2])
        if words[1] == "--upgrade" and ["rpm", "--import"] not in self.commands:
            raise RuntimeError(self.refusal)
        if words[1] == "--import":
            raise RuntimeError("key 2 is of a kind that rpm does not know")

    def __getattr__(self, name: str) -> Any:
        assert name in ("mkdir_p", "upload", "rm_rf")
        return lambda *_words: None


NO_KEY = "package a does not verify: Header V4 RSA/SHA256 Signature, key ID 1: NOKEY"


def install(guest: RpmGuest, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "packages").mkdir()
    (directory / "packages" / "a.rpm").touch()
    monkeypatch.setattr("sys.argv", ["inside.py", str(directory)])
    inside.Guest(guest, {}).do(["install", "rpm"])


def test_keys_that_lie_in_the_guest_count_where_rpm_asks_for_signatures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = RpmGuest(["/etc/pki/rpm-gpg/RPM-GPG-KEY-a"], NO_KEY)
    install(guest, tmp_path, monkeypatch)
    assert [words[1] for words in guest.commands] == ["--upgrade", "--import", "--upgrade"]


@pytest.mark.parametrize(
    ("keys", "refusal"), [([], NO_KEY), (["/k"], "no room")], ids=["no key", "not for want of a key"]
)
def test_no_key_is_taken_for_another_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str], refusal: str
) -> None:
    guest = RpmGuest(keys, refusal)
    with pytest.raises(RuntimeError, match=refusal):
        install(guest, tmp_path, monkeypatch)
    assert guest.commands == [["rpm", "--upgrade"]]


@pytest.mark.parametrize("word", ["enforcing", "permissive", "disabled"])
def test_packages_in_a_guest_with_selinux_have_their_labels_from_the_first_boot(word: str) -> None:
    config = f"# SELINUX= can take one of these three values\nSELINUX={word}\nSELINUXTYPE=targeted\n"
    does = steps(more(LEGACY, **{"/etc/selinux/config": config}), "rpm")["cloud-init"]
    assert (("write", "/.autorelabel", "") in does) == (word != "disabled")


def test_packages_come_first() -> None:
    assert next(iter(steps(LEGACY, "deb").items())) == ("cloud-init", (("install", "deb"),))


def test_a_console_is_added_to_the_defaults_and_to_lines_that_start_a_kernel() -> None:
    written = {path: text for _, path, text in steps(LEGACY)["serial-console"]}
    added = "console=tty0 console=ttyS0,115200"
    assert written["/etc/default/grub"] == DEFAULTS.replace('LINUX=""', f'LINUX="{added}"')
    assert written["/boot/grub/grub.cfg"] == GRUB_CFG.replace("ro quiet", f"ro quiet {added}")
    again = msgspec.structs.replace(LEGACY, texts={**LEGACY.texts, **written})
    assert "serial-console" not in steps(again)


def environment_block(options: str, size: int = 1024) -> str:
    return f"# GRUB Environment Block\nsaved_entry=1-5.0\nkernelopts={options}\nboot_success=0\n".ljust(size, "#")


def test_options_of_all_entries_in_grubs_environment_get_a_console_and_the_block_keeps_its_size() -> None:
    block = environment_block("root=UUID=1 ro quiet ")
    changed = more(LEGACY, **{"/boot/grub2/grubenv": block, "/boot/loader/entries/1.conf": "options $kernelopts\n"})
    written = {path: text for _, path, text in steps(changed)["serial-console"]}
    assert written["/boot/grub2/grubenv"] == environment_block("root=UUID=1 ro quiet console=tty0 console=ttyS0,115200")
    assert "/boot/loader/entries/1.conf" not in written
    said = more(LEGACY, **{"/boot/grub2/grubenv": environment_block("root=UUID=1 console=ttyS0")})
    assert guest(said).serial_console is True
    assert steps(said).get("serial-console") is None


@pytest.mark.parametrize("blanks", [32, 33, 34, 39, 100])
def test_a_block_keeps_its_size_whatever_stands_at_the_end_of_its_options(blanks: int) -> None:
    changed = more(LEGACY, **{"/boot/grub2/grubenv": environment_block("root=UUID=1 ro" + " " * blanks)})
    written = {path: text for _, path, text in steps(changed)["serial-console"]}
    assert written["/boot/grub2/grubenv"] == environment_block("root=UUID=1 ro console=tty0 console=ttyS0,115200")


@pytest.mark.parametrize(
    "block",
    [environment_block("root=1", size=20), environment_block("root=1\\"), "#" * 9],
    ids=["no room", "goes on", "none"],
)
def test_a_block_without_room_or_options_stays(block: str) -> None:
    changed = more(LEGACY, **{"/boot/grub2/grubenv": block})
    assert "/boot/grub2/grubenv" not in {words[1] for words in steps(changed)["serial-console"]}


def test_defaults_without_the_line_get_one() -> None:
    changed = more(LEGACY, **{"/etc/default/grub": "GRUB_TIMEOUT=5\n"})
    written = {path: text for _, path, text in steps(changed)["serial-console"]}
    assert written["/etc/default/grub"].splitlines()[-1].startswith('GRUB_CMDLINE_LINUX="console=tty0 ')


def test_what_is_not_understood_is_not_changed() -> None:
    continued = "linux /vmlinuz root=/dev/sda1 \\\n  quiet\n"
    texts = {"/etc/default/grub": 'GRUB_CMDLINE_LINUX="a$(b "c")"\n', "/boot/grub/grub.cfg": continued}
    assert "serial-console" not in steps(more(LEGACY, **texts))


def test_text_that_is_no_utf_8_is_not_written_back() -> None:
    assert "serial-console" not in steps(
        more(LEGACY, **{"/etc/default/grub": "\ufffd\n" + DEFAULTS, "/boot/grub/grub.cfg": "\ufffd\n" + GRUB_CFG})
    )


def test_the_seed_of_cloud_init_stays() -> None:
    state = ("/var/lib/cloud/instance", "/var/lib/cloud/seed", "/var/lib/cloud/instances")
    assert steps(more(CLEAN, *state))["cloud-init-state"] == (
        ("remove", "/var/lib/cloud/instance"),
        ("remove", "/var/lib/cloud/instances"),
    )


def test_a_file_that_disables_cloud_init_goes() -> None:
    changed = more(CLEAN, "/etc/cloud/cloud-init.disabled")
    assert steps(changed) == {"cloud-init-enabled": (("remove", "/etc/cloud/cloud-init.disabled"),)}


def test_both_machine_ids_go() -> None:
    changed = more(LEGACY, **{"/var/lib/dbus/machine-id": "0123456789abcdef0123456789abcdef\n"})
    assert steps(changed)["machine-id"] == (
        ("write", "/etc/machine-id", ""),
        ("remove", "/var/lib/dbus/machine-id"),
    )
