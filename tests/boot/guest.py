"""The guest: what it is told, and what it reports on its serial port that it took."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from functional.headwater_process import HeadwaterProcess

OPENSTACK = "OpenStack Nova"

USER_DATA = """\
#cloud-config
write_files:
  - path: /run/report
    content: |
      import json, pathlib, subprocess
      def said(*words):
          return subprocess.run(words, capture_output=True, text=True).stdout.strip()
      homes = [pathlib.Path.home(), *pathlib.Path("/home").iterdir()]
      keys = [home / ".ssh/authorized_keys" for home in homes]
      report = {
          "hostname": said("hostname"),
          "keys": [key.read_text() for key in keys if key.exists()],
          "platform": said("cloud-init", "query", "platform"),
          "instance_id": said("cloud-init", "query", "instance_id"),
          "zone": said("cloud-init", "query", "availability_zone"),
          "metadata": json.loads(said("cloud-init", "query", "ds.meta_data")),
          "vendor": pathlib.Path("/run/vendor").exists(),
          "errors": json.loads(pathlib.Path("/run/cloud-init/status.json").read_text())["v1"]["init"]["errors"],
      }
      with open("/dev/ttyS0", "w") as port:
          port.write("\\nREPORT " + json.dumps(report) + "\\n")
runcmd:
  - [python3, /run/report]
power_state: {mode: poweroff}
"""
VENDOR_DATA = json.dumps({"cloud-init": "#cloud-config\nbootcmd: [[touch, /run/vendor]]\n"})


def registered(service: HeadwaterProcess, directory: Path, name: str, *more: str) -> str:
    """Register a machine with all that it can be told, and return its key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", "key"], cwd=directory, check=True)
    key = (directory / "key.pub").read_text().strip()
    (directory / "user-data").write_text(USER_DATA)
    told = ("--hostname", f"{name}.example.org", "--ssh-key", key, "--user-data", f"@{directory / 'user-data'}")
    facts = ("--meta", f"role={name} ünïcode", "--availability-zone", "attic", "--vendor-data", VENDOR_DATA)
    done = service.command("instance", "add", "--name", name, "--image", "debian", *told, *facts, *more)
    assert done.returncode == 0, done.stderr
    return key


def reported(console: str) -> dict[str, Any]:
    found = re.search(r"^REPORT (\{.*\})\s*$", console, re.MULTILINE)
    assert found is not None, console[-4000:]
    report: dict[str, Any] = json.loads(found[1])
    return report


def require_taken(report: dict[str, Any], service: HeadwaterProcess, name: str, key: str) -> None:
    shown = json.loads(service.command("instance", "show", name, "--json").stdout)
    assert report["errors"] == []
    assert (report["hostname"], report["metadata"]["hostname"]) == (name, f"{name}.example.org")
    assert any(key in keys for keys in report["keys"]), report["keys"]
    assert (report["instance_id"], report["zone"]) == (shown["id"], "attic")
    assert report["metadata"]["meta"]["role"] == f"{name} ünïcode"
    assert report["vendor"]
