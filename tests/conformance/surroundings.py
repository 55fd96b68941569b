"""What the suites need around them: Keystone, Headwater in as many forms as there are runs, files to fetch.

One Keystone serves all runs. Its catalogue has a region for each run, with the Headwater of that run in it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from conformance.page import Run
from functional.headwater_process import HeadwaterProcess
from headwater.images.quotas.limits import RESOURCES
from servers.openstack.keystone import Keystone, User, prepared, running
from unit.images.inspection import disk_images

# tempest deletes an image through one process and looks at it through the other.
OTHER_PROCESS = "image_remote"  # a service type of the catalogue
OWN_ADDRESS = "address-of-this-machine"  # stands in the settings of a run


@dataclass(frozen=True)
class Cloud:
    """What is running."""

    keystone: Keystone
    files_url: str

    def tempest_values(self, run: Run) -> dict[str, str]:
        """Return what ``tempest.conf.in`` needs for one run."""
        return {
            "admin_password": self.keystone.admin.password,
            "identity_url": self.keystone.url,
            "identity_region": self.keystone.region,
            "region": run.name,
            "other_process": OTHER_PROCESS,
            "qcow2_url": f"{self.files_url}/disk.qcow2",
        }


@contextmanager
def cloud(directory: Path, runs: Sequence[Run]) -> Iterator[Cloud]:
    """Start everything in ``directory``, and stop it at the end."""
    with ExitStack() as started:
        files_url = started.enter_context(_files(directory))
        keystone = started.enter_context(running(started.enter_context(prepared())))
        services = keystone.project("service")
        user = keystone.user(services, "service", "admin", name="headwater")
        keystone.grant(user, "system", "reader")  # it sees the limits of all projects
        # tempest looks for Keystone itself in the catalogue too.
        keystone.endpoint("identity", "keystone", keystone.url)
        image, other = keystone.service("image", "glance"), keystone.service(OTHER_PROCESS, "glance-other")
        identity = _identity(keystone, user)
        for resource in RESOURCES:
            # More than any test needs that sets none for its project.
            keystone.register_limit(image, resource, 1000)
        for run in runs:
            home = directory / run.name
            settings = run.settings.replace(OWN_ADDRESS, _own_address())
            keystone.add_region(run.name)
            keystone.place(image, _headwater(started, home, settings, identity), region=run.name)
            keystone.place(other, _headwater(started, home, settings, identity), region=run.name)
        yield Cloud(keystone, files_url)


def _own_address() -> str:
    """Return the address that this machine calls from: tempest serves a file there. Loopback when it has no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("1.1.1.1", 80))  # sends nothing; as tempest finds it
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _identity(keystone: Keystone, user: User) -> Mapping[str, str]:
    """Return the variables that say who Headwater is; they win over what a run's settings say."""
    return {
        "HEADWATER_AUTH__MODE": "keystone",
        "HEADWATER_AUTH__KEYSTONE__AUTH_URL": keystone.url,
        "HEADWATER_AUTH__KEYSTONE__USERNAME": user.name,
        "HEADWATER_AUTH__KEYSTONE__PASSWORD": user.password,
    }


def _headwater(started: ExitStack, home: Path, settings: str, env: Mapping[str, str]) -> str:
    """Start another process of a run's service, on the catalogue and the store of the first; return its URL."""
    directory = home / f"process-{len(list(home.glob('process-*')))}"
    directory.mkdir(parents=True)
    process = HeadwaterProcess(directory, toml=settings, env=env)
    process.data_dir = home / "data"
    process.start()
    started.callback(process.kill)
    return process.images_url


@contextmanager
def _files(directory: Path) -> Iterator[str]:
    """Serve a qcow2 disk on loopback; give the URL above it."""
    root = directory / "files"
    root.mkdir()
    (root / "disk.qcow2").write_bytes(disk_images.qcow2())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the class calls it
        """Say nothing."""
