"""What files say, as facts of the system whose they are.

Source: sshd_config(5), fstab(5), os-release(5), machine-id(5), bootparam(7); cloud-init's documentation of how it is
turned off and how its list of data sources is set.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from headwater.images.imports.plugins.guest import os_release
from headwater.images.preparing.asking import LOADERS, Gathered, Kernel
from headwater.images.preparing.model import CloudInit, Guest, Reach, Ssh, Virtio

DRIVERS: tuple[Virtio, ...] = ("virtio_blk", "virtio_scsi", "virtio_net")
_OF_WINDOWS: Mapping[Virtio, str] = {"virtio_blk": "viostor", "virtio_scsi": "vioscsi", "virtio_net": "netkvm"}
_CONSOLE = re.compile(r"\bconsole=(?:ttyS|ttyAMA|hvc|sclp|ttysclp)\d*")
_COMMAND_LINE = re.compile(r"^\s*(?:linux(?:16|efi)?|kernel|append|options)\s+(.+)$", re.IGNORECASE | re.MULTILINE)
_GRUB_DEFAULT = re.compile(r"^\s*GRUB_CMDLINE_LINUX(?:_DEFAULT)?=(.*)$", re.MULTILINE)
# In GRUB's environment block, what entries of RHEL 8 and its kin have as ``$kernelopts``.
KERNEL_OPTIONS = re.compile(r"^kernelopts=([^\n\\]*)$", re.MULTILINE)
_BY_NAME = re.compile(r"/dev/(?:sd|hd|vd|xvd)[a-z]+\d*")
_ADDRESS = re.compile(
    r"^\s*(?:HWADDR|MACADDR|mac-address|MACAddress|hwaddress(?:\s+ether)?|macaddress|PermanentMACAddress)"
    r"\s*[=:\s]\s*[\"']?(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    re.IGNORECASE | re.MULTILINE,
)
_SOURCES = re.compile(r"^datasource_list:\s*\[([^\]\n]*)\]", re.MULTILINE)
_SOURCES_AS_LINES = re.compile(r"^datasource_list:\s*\n((?:\s*-\s*\S+\n?)+)", re.MULTILINE)
_VERSION = re.compile(r"/cloud_init-(\d[\w.]*?)(?:-py[\d.]+)?\.(?:egg|dist)-info")
_NETWORK = ("/etc/network/", "/etc/netplan/", "/etc/sysconfig/network", "/etc/NetworkManager/", "/etc/systemd/network/")
_BOOT = ("/boot/",)


def guest_in(gathered: Gathered, initramfs: Collection[str] | None) -> Guest | None:
    """Return the first system of a disk; ``None``: there is none.

    Args:
        initramfs: The virtio drivers in the newest kernel's initial RAM disk; ``None``: it could not be told.
    """
    if not gathered.systems:
        return None
    system, present = gathered.systems[0], gathered.present
    release = os_release(gathered.texts.get("/etc/os-release") or gathered.texts.get("/usr/lib/os-release", ""))
    windows = system.type == "windows"
    kernel = gathered.kernels.get(gathered.newest_kernel or "")
    loaders = {_loader(path) for paths in gathered.loaders.values() for path in paths} - {""}
    return Guest(
        type=system.type,
        distribution=release.get("ID") or _known(system.distribution),
        version=release.get("VERSION_ID") or _known(system.version.removesuffix(".0")),
        product=_known(system.product),
        architecture=_known(system.architecture),
        packages=_known(system.packages),
        kernel=gathered.newest_kernel,
        virtio=_in_windows(present) if windows else _in_linux(kernel, initramfs),
        loaders=tuple(sorted(loaders)),
        cloud_init=_cloud_init(gathered),
        ssh=_ssh(gathered),
        accounts=gathered.accounts,
        machine_id=_machine_id(gathered.texts),
        network_rules=tuple(dict.fromkeys(path for path in present if "-persistent-net" in path)),
        fixed_network=tuple(
            path for path, text in gathered.texts.items() if path.startswith(_NETWORK) and _ADDRESS.search(text)
        ),
        serial_console=None if windows else _serial_console(gathered.texts),
        grows_root=any(path.endswith(("/growpart", "/growroot")) for path in present),
        drives_by_name=tuple(dict.fromkeys(_by_name(gathered.texts.get("/etc/fstab", "")))),
        guest_agent=any("qemu-ga" in path for path in present),
        others=len(gathered.systems) - 1,
    )


def command_lines(texts: Mapping[str, str]) -> Iterator[str]:
    """Yield what boot loaders give to kernels, and the defaults of GRUB from which it makes that."""
    for path, text in texts.items():
        if path.startswith("/etc/default/grub"):
            yield from (found[1] for found in _GRUB_DEFAULT.finditer(text))
        elif path == "/etc/kernel/cmdline":
            yield text
        elif path.endswith("/grubenv"):
            yield from (found[1] for found in KERNEL_OPTIONS.finditer(text))
        elif path.startswith(_BOOT):
            yield from (found[1] for found in _COMMAND_LINE.finditer(text))


def names_console(text: str) -> bool:
    """Whether a command line has the kernel write to a serial port, or its like."""
    return _CONSOLE.search(text) is not None


def drivers_of(kernel: Kernel) -> dict[Virtio, Reach]:
    """Return where the drivers of a kernel are, without a look into its initial RAM disk."""
    found: dict[Virtio, Reach] = {}
    for driver in DRIVERS:
        file = f"/{driver}.ko"
        if any(file in line for line in kernel.builtin):
            found[driver] = "built in"
        else:
            found[driver] = "module" if any(file in line.partition(":")[0] for line in kernel.modules) else "missing"
    return found


def _in_linux(kernel: Kernel | None, initramfs: Collection[str] | None) -> dict[Virtio, Reach]:
    if kernel is None or not (kernel.builtin or kernel.modules):
        return dict.fromkeys(DRIVERS, "unknown")
    found = drivers_of(kernel)
    for driver in DRIVERS:
        if found[driver] == "module" and initramfs is None and driver != "virtio_net":
            found[driver] = "unknown"
        elif found[driver] == "module" and initramfs is not None and driver in initramfs:
            found[driver] = "initramfs"
    return found


def _in_windows(present: Collection[str]) -> dict[Virtio, Reach]:
    # A file does not tell that Windows starts the driver at boot; that its absence keeps it from that is sure.
    lower = {path.lower() for path in present}
    return {
        driver: "module" if any(path.endswith(f"/{name}.sys") for path in lower) else "missing"
        for driver, name in _OF_WINDOWS.items()
    }


def _cloud_init(gathered: Gathered) -> CloudInit | None:
    present, texts = gathered.present, gathered.texts
    if any("Cloudbase-Init" in path for path in present):
        return CloudInit(version=None, sources=None)
    versions = [found[1] for path in present if (found := _VERSION.search(path))]
    if not versions and not any(path.endswith("/bin/cloud-init") for path in present):
        return None
    disabled = "/etc/cloud/cloud-init.disabled" if "/etc/cloud/cloud-init.disabled" in present else None
    if disabled is None and any("cloud-init=disabled" in line for line in command_lines(texts)):
        disabled = "cloud-init=disabled on the kernel's command line"
    state = tuple(path for path in present if path.startswith("/var/lib/cloud/") and not path.endswith("/seed"))
    return CloudInit(version=max(versions, default=None), sources=_sources(texts), disabled_by=disabled, state=state)


def _sources(texts: Mapping[str, str]) -> tuple[str, ...] | None:
    found = None
    for path in sorted(path for path in texts if path.startswith("/etc/cloud/cloud.cfg")):
        for match in _SOURCES.finditer(texts[path]):
            found = tuple(word.strip(" \"'") for word in match[1].split(",") if word.strip(" \"'"))
        for match in _SOURCES_AS_LINES.finditer(texts[path]):
            found = tuple(line.strip().removeprefix("-").strip(" \"'") for line in match[1].splitlines())
    return found


def _ssh(gathered: Gathered) -> Ssh:
    texts, present = gathered.texts, gathered.present
    # The first value counts; distributions include the directory at the top of the file.
    files = sorted(path for path in texts if path.startswith("/etc/ssh/sshd_config.d/"))
    said: dict[str, str] = {}
    for path in (*files, "/etc/ssh/sshd_config"):
        for line in texts.get(path, "").splitlines():
            words = line.replace("=", " ", 1).split()
            if words and words[0].lower() == "match":
                break
            if len(words) > 1:
                said.setdefault(words[0].lower(), words[1].lower())
    passwords = said.get("passwordauthentication")
    return Ssh(
        installed="/usr/sbin/sshd" in present,
        password_authentication=None if passwords is None else passwords == "yes",
        permit_root_login=said.get("permitrootlogin"),
        host_keys=tuple(path for path in present if path.startswith("/etc/ssh/ssh_host_")),
        makes_host_keys=any("sshd-keygen" in path for path in present),
    )


def _machine_id(texts: Mapping[str, str]) -> str | None:
    found = [texts[path].strip() for path in ("/etc/machine-id", "/var/lib/dbus/machine-id") if path in texts]
    if not found:
        return None
    return next((each for each in found if each not in ("", "uninitialized")), "")


def _serial_console(texts: Mapping[str, str]) -> bool | None:
    lines = list(command_lines(texts))
    return any(map(names_console, lines)) if lines else None


def _by_name(fstab: str) -> Iterator[str]:
    for line in fstab.splitlines():
        words = line.split()
        if words and _BY_NAME.fullmatch(words[0]):
            yield words[0]


def _loader(path: str) -> str:
    name = path.rpartition("/")[2].lower()
    for pattern, loader in LOADERS.items():
        before, _, after = pattern.rpartition("/")[2].lower().partition("*")
        if (
            (name == before)
            if "*" not in pattern.rpartition("/")[2]
            else name.startswith(before) and name.endswith(after)
        ):
            return loader
    return ""


def _known(text: str) -> str | None:
    return text if text and text != "unknown" else None
