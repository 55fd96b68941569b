"""What hinders an image in a cloud: rules, each held against what is seen.

Source, where a rule names none of its own: the OpenStack Virtual Machine Image Guide ("Image requirements").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from headwater import findings
from headwater.findings import Level
from headwater.images.preparing.model import Guest, Seen

Facts = dict[str, Any]
_GUIDE: Final = "OpenStack Virtual Machine Image Guide, Image requirements"
_OF_CLOUDS: Final = frozenset({"OpenStack", "ConfigDrive", "Ec2", "NoCloud"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(findings.Rule):
    """One thing that an image should have, or not have."""

    judge: Callable[[Seen], Iterator[Facts]]
    source: str = _GUIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that an image breaks."""

    rule: str
    level: Level
    says: str
    fix: str
    source: str

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return {
            "rule": self.rule,
            "level": str(self.level),
            "says": self.says,
            "fix": self.fix,
            "source": self.source,
        }


def found_in(seen: Seen) -> list[Finding]:
    """Return what is wrong with an image, the worst first."""
    found = [
        Finding(
            rule=rule.id,
            level=rule.level,
            says=rule.says.format_map(facts),
            fix=rule.fix.format_map(facts),
            source=rule.source,
        )
        for rule in RULES
        for facts in rule.judge(seen)
    ]
    return sorted(found, key=lambda each: -each.level)


Judge = Callable[[Seen], Iterator[Facts]]


def _of_guest(judge: Callable[[Guest], Iterator[Facts]]) -> Judge:
    return lambda seen: judge(seen.guest) if seen.guest is not None else iter(())


def _of_linux(judge: Callable[[Guest], Iterator[Facts]]) -> Judge:
    return _of_guest(lambda guest: judge(guest) if guest.type == "linux" else iter(()))


def _when(holds: bool, **facts: Any) -> Iterator[Facts]:
    if holds:
        yield facts


def _not_looked(seen: Seen) -> Iterator[Facts]:
    if seen.not_looked is not None:
        yield {"why": seen.not_looked}


def _no_system(seen: Seen) -> Iterator[Facts]:
    return _when(seen.guest is None and seen.not_looked is None)


def _no_firmware(seen: Seen) -> Iterator[Facts]:
    return _when(seen.disk.firmware == "unknown", table=seen.disk.table)


def _no_disk_driver(guest: Guest) -> Iterator[Facts]:
    reach = [guest.virtio.get("virtio_blk", "unknown"), guest.virtio.get("virtio_scsi", "unknown")]
    late = all(each in ("module", "missing") for each in reach)
    return _when(late and "module" in reach, kernel=guest.kernel)


def _no_disk_driver_at_all(guest: Guest) -> Iterator[Facts]:
    reach = (guest.virtio.get("virtio_blk"), guest.virtio.get("virtio_scsi"))
    return _when(reach == ("missing", "missing"), kernel=guest.kernel)


def _driver_unknown(guest: Guest) -> Iterator[Facts]:
    return _when(guest.virtio.get("virtio_blk") == "unknown", kernel=guest.kernel or "the kernel")


def _windows_without(guest: Guest) -> Iterator[Facts]:
    lacks = [name for name, reach in guest.virtio.items() if reach == "missing"]
    return _when(guest.type == "windows" and "virtio_blk" in lacks and "virtio_scsi" in lacks)


def _disabled(guest: Guest) -> Iterator[Facts]:
    if guest.cloud_init is not None and guest.cloud_init.disabled_by:
        yield {"by": guest.cloud_init.disabled_by}


def _sources(guest: Guest) -> Iterator[Facts]:
    sources = guest.cloud_init.sources if guest.cloud_init is not None else None
    if sources is not None and not _OF_CLOUDS & set(sources):
        yield {"sources": ", ".join(sources) or "nothing"}


def _old_state(guest: Guest) -> Iterator[Facts]:
    if guest.cloud_init is not None and any("/instance" in path for path in guest.cloud_init.state):
        yield {"paths": ", ".join(guest.cloud_init.state)}


def _passwords(guest: Guest) -> Iterator[Facts]:
    names = sorted(name for name, state in guest.accounts.items() if state == "set")
    return _when(bool(names), names=", ".join(names))


def _empty_passwords(guest: Guest) -> Iterator[Facts]:
    names = sorted(name for name, state in guest.accounts.items() if state == "empty")
    return _when(bool(names), names=", ".join(names))


def _password_over_ssh(guest: Guest) -> Iterator[Facts]:
    # sshd's own default is to let passwords in.
    lets_in = guest.ssh.installed and guest.ssh.password_authentication is not False
    return _when(lets_in and "set" in guest.accounts.values(), said=_said(guest.ssh.password_authentication))


def _root_over_ssh(guest: Guest) -> Iterator[Facts]:
    return _when(guest.ssh.permit_root_login == "yes" and guest.ssh.password_authentication is not False)


def _said(value: bool | None) -> str:
    return "is not set, and yes is the default" if value is None else "is yes"


RULES: Final = (
    Rule(
        id="not-looked-into",
        level=Level.NOTE,
        says="the system on the disk was not looked at: {why}",
        fix="install what is missing, and run the command again",
        judge=_not_looked,
        source="libguestfs",
    ),
    Rule(
        id="no-system",
        level=Level.ERROR,
        says="no operating system was found on the disk",
        fix="see whether it is encrypted, or one of several disks of a machine",
        judge=_no_system,
        source="libguestfs's inspection",
    ),
    Rule(
        id="no-boot-loader",
        level=Level.WARNING,
        says="there is neither code that a BIOS would start nor an EFI system partition (partition table: {table})",
        fix="install a boot loader in the image, or boot it with a kernel and RAM disk of its own",
        judge=_no_firmware,
    ),
    Rule(
        id="several-systems",
        level=Level.WARNING,
        says="{count} more systems lie on the disk; the first one is told of",
        fix="make an image of one system",
        judge=_of_guest(lambda guest: _when(bool(guest.others), count=guest.others)),
        source="libguestfs's inspection",
    ),
    Rule(
        id="no-virtio-at-boot",
        level=Level.ERROR,
        says="kernel {kernel} has drivers for virtio disks, but not in its initial RAM disk: it does not find its disk",
        fix="make the RAM disk anew with them (dracut --add-drivers, /etc/initramfs-tools/modules), or boot it with "
        "hw_disk_bus=sata",
        judge=_of_linux(_no_disk_driver),
    ),
    Rule(
        id="no-virtio-disk",
        level=Level.ERROR,
        says="kernel {kernel} has no driver for virtio disks",
        fix="set hw_disk_bus=ide or sata, or install another kernel",
        judge=_of_linux(_no_disk_driver_at_all),
    ),
    Rule(
        id="virtio-not-told",
        level=Level.NOTE,
        says="could not tell whether {kernel} finds a virtio disk at boot",
        fix="boot it once with virtio ('headwater try')",
        judge=_of_linux(_driver_unknown),
    ),
    Rule(
        id="no-virtio-network",
        level=Level.WARNING,
        says="there is no driver for virtio network devices",
        fix="set hw_vif_model=e1000, or install the driver",
        judge=_of_guest(lambda guest: _when(guest.virtio.get("virtio_net") == "missing")),
    ),
    Rule(
        id="windows-without-virtio",
        level=Level.ERROR,
        says="Windows has neither viostor nor vioscsi: with a virtio disk it stops with INACCESSIBLE_BOOT_DEVICE",
        fix="install the virtio-win drivers in it, or set hw_disk_bus=sata",
        judge=_of_guest(_windows_without),
    ),
    Rule(
        id="no-cloud-init",
        level=Level.ERROR,
        says="cloud-init is not installed: machines get no host name, SSH keys or user data",
        fix="put it in: --write NEW --packages DIR, with its package and those that it needs",
        judge=_of_linux(lambda guest: _when(guest.cloud_init is None)),
    ),
    Rule(
        id="no-cloudbase-init",
        level=Level.ERROR,
        says="cloudbase-init is not installed: machines get no host name, password or user data",
        fix="install cloudbase-init in the image, and run sysprep with its answer file",
        judge=_of_guest(lambda guest: _when(guest.type == "windows" and guest.cloud_init is None)),
    ),
    Rule(
        id="cloud-init-disabled",
        level=Level.ERROR,
        says="cloud-init is turned off by {by}",
        fix="take that away (--write takes away a file)",
        judge=_of_guest(_disabled),
        source="cloud-init's documentation, Disable cloud-init",
    ),
    Rule(
        id="data-sources",
        level=Level.ERROR,
        says="cloud-init's datasource_list has none that OpenStack or Headwater answer: {sources}",
        fix="set datasource_list to [ConfigDrive, OpenStack, None] in /etc/cloud/cloud.cfg.d",
        judge=_of_guest(_sources),
        source="cloud-init's documentation, Datasources",
    ),
    Rule(
        id="old-instance",
        level=Level.WARNING,
        says="cloud-init has left what it knows of an instance: {paths}",
        fix="--write takes it out; in the guest: cloud-init clean --logs",
        judge=_of_guest(_old_state),
        source="cloud-init's documentation, cloud-init clean",
    ),
    Rule(
        id="password-set",
        level=Level.WARNING,
        says="a password is set, the same in each machine, for {names}",
        fix="lock it in the guest: passwd --lock NAME",
        judge=_of_guest(_passwords),
    ),
    Rule(
        id="password-empty",
        level=Level.ERROR,
        says="no password is needed to log in as {names}",
        fix="lock it in the guest: passwd --lock NAME",
        judge=_of_guest(_empty_passwords),
    ),
    Rule(
        id="ssh-passwords",
        level=Level.ERROR,
        says="sshd takes passwords (PasswordAuthentication {said}), and one is set",
        fix="set PasswordAuthentication no in /etc/ssh/sshd_config",
        judge=_of_guest(_password_over_ssh),
        source="sshd_config(5)",
    ),
    Rule(
        id="ssh-root",
        level=Level.WARNING,
        says="sshd lets root in with a password (PermitRootLogin yes)",
        fix="set PermitRootLogin prohibit-password in /etc/ssh/sshd_config",
        judge=_of_guest(_root_over_ssh),
        source="sshd_config(5)",
    ),
    Rule(
        id="ssh-host-keys",
        level=Level.ERROR,
        says="SSH host keys are in the image: each machine would have the same, and who has the image knows them",
        fix="--write takes them out, where something makes new ones",
        judge=_of_guest(lambda guest: _when(bool(guest.ssh.host_keys))),
    ),
    Rule(
        id="machine-id",
        level=Level.ERROR,
        says="the image has a machine id, which each machine would share: DHCP servers give them the same address",
        fix="--write empties it; in the guest: truncate --size=0 /etc/machine-id",
        judge=_of_guest(lambda guest: _when(bool(guest.machine_id))),
        source="machine-id(5)",
    ),
    Rule(
        id="network-rules",
        level=Level.ERROR,
        says="{paths} ties names of network devices to the addresses of another machine",
        fix="--write takes it out",
        judge=_of_guest(lambda guest: _when(bool(guest.network_rules), paths=", ".join(guest.network_rules))),
    ),
    Rule(
        id="fixed-address",
        level=Level.WARNING,
        says="{paths} names the hardware address of another machine",
        fix="take the line out, and leave the network to cloud-init",
        judge=_of_guest(lambda guest: _when(bool(guest.fixed_network), paths=", ".join(guest.fixed_network))),
    ),
    Rule(
        id="no-serial-console",
        level=Level.WARNING,
        says="the kernel does not write to a serial port: the console log stays empty",
        fix="--write puts console=ttyS0 on the command line",
        judge=_of_guest(lambda guest: _when(guest.serial_console is False)),
    ),
    Rule(
        id="root-does-not-grow",
        level=Level.WARNING,
        says="nothing makes the root file system as large as the disk of a flavor",
        fix="install growpart (cloud-guest-utils, cloud-utils-growpart)",
        judge=_of_linux(lambda guest: _when(not guest.grows_root)),
    ),
    Rule(
        id="drives-by-name",
        level=Level.ERROR,
        says="/etc/fstab names {drives}: on another bus these have other names",
        fix="name them by UUID= or LABEL= (blkid shows both)",
        judge=_of_guest(lambda guest: _when(bool(guest.drives_by_name), drives=", ".join(guest.drives_by_name))),
        source="fstab(5)",
    ),
)
