"""A machine: QEMU in software, with a disk, its serial console in a file, and what else the test gives it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from needs import program

BOOT_S = 420  # a guest in software takes a minute and a half where nothing else runs
MEMORY_MIB = 512


class Machine:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[bytes], console: Path) -> None:
        self._process, self._console = process, console

    def console(self) -> str:
        """Return what the guest has written to its serial port."""
        return self._console.read_text(errors="replace")

    def powered_off(self) -> str:
        """Wait until the guest powers itself off, and return its console."""
        try:
            self._process.wait(BOOT_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the guest has not powered itself off within {BOOT_S} s:\n{self.console()[-4000:]}")
        assert self._process.returncode == 0, self.console()[-4000:]
        return self.console()


@contextmanager
def machine(directory: Path, disk: Path, *arguments: str) -> Iterator[Machine]:
    """Start a machine; it writes to a layer over ``disk``, and ends with the block at the latest.

    Software emulation everywhere: what hardware helps with differs between machines, and some break old boot loaders.

    Args:
        arguments: More of QEMU's.
    """
    layer, console = directory / "layer.qcow2", directory / "console"
    create = ["create", "-q", "-f", "qcow2", "-b", str(disk), "-F", "qcow2", str(layer)]
    subprocess.run([program("qemu-img"), *create], check=True)
    console.touch()
    process = subprocess.Popen(
        [str(program("qemu-system-x86_64")), *_MACHINE, *_layer(layer), "-serial", f"file:{console}", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Machine(process, console)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


_MACHINE = (
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-m",
    str(MEMORY_MIB),
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-no-reboot",
    "-device",
    "virtio-rng-pci",
)


def _layer(layer: Path) -> Sequence[str]:
    return "-drive", f"file={layer},if=virtio,format=qcow2,cache=unsafe"


def product(name: str) -> tuple[str, str]:
    """Return what tells a guest which cloud it is in: cloud-init looks for no data source elsewhere."""
    return "-smbios", f"type=1,product={name}"
