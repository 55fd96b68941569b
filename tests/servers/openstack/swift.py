"""A private OpenStack Swift for one test run: one node, one replica, its own environment (``.venv-swift``).

The proxy, account, container and object servers are Swift's own and talk to each other over loopback; one process
holds them all, so that one signal stops or kills Swift. Users are known by tempauth, whose tokens are encrypted, so
that no memcached is needed, or by a Keystone (``swift_of_keystone``). The proxy speaks Swift and, where tempauth knows
the users, S3 by ``s3api``. The files lie where extended attributes of users can be kept: in memory since Linux 6.6, on
ext4 and XFS always.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx2 as httpx
import pytest

from headwater.stores.s3.settings import S3StoreSettings
from headwater.stores.swift.settings import SwiftStoreSettings
from needs import CHECKOUT, not_run
from servers.mortal import MortalServer
from servers.openstack.keystone import Keystone
from servers.process import Server, directory, running

_VENV = CHECKOUT / ".venv-swift"
REGION = "us-east-1"  # what s3api expects in signatures

# The ports of the inner servers are any that are free, and the rings name them, so these are made at each start.
_SERVE = """
import os, sys, warnings
from swift.common import utils
utils.monkey_patch()
import eventlet
from eventlet import wsgi
from swift.common import storage_policy
from swift.common.ring import RingBuilder
from swift.common.wsgi import SwiftHttpProtocol, loadapp
warnings.simplefilter("ignore")
home = os.getcwd()
utils.set_swift_dir(home)
storage_policy.reload_storage_policies()
listeners = {}
for name in ("account", "container", "object"):
    listeners[name] = eventlet.listen(("127.0.0.1", 0), backlog=512)
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "device": "disk", "meta": "",
                     "ip": "127.0.0.1", "port": listeners[name].getsockname()[1]})
    builder.rebalance(seed=0)
    builder.get_ring().save(os.path.join(home, name + ".ring.gz"))
listeners["proxy"] = eventlet.listen(("127.0.0.1", int(sys.argv[1])), backlog=512)
served = []
for name, listener in listeners.items():
    application = loadapp(os.path.join(home, name + "-server.conf"), {"log_name": name})
    served.append(eventlet.spawn(
        wsgi.server, listener, application, utils.NullLogger(), protocol=SwiftHttpProtocol,
        custom_pool=eventlet.GreenPool(1024), capitalize_response_headers=False, socket_timeout=60))
for each in served:
    each.wait()
"""

# In the order that Swift's own proxy-server.conf-sample gives. Timeouts are long, as two busy cores make all wait;
# segments are deleted with their object, as no daemon runs here that would do it later.
_PROXY = """
[DEFAULT]
swift_dir = {home}
log_address = {home}/no-syslog
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats bulk tempurl {who} copy container-quotas \
account-quotas slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 20
node_timeout = 60
recoverable_node_timeout = 60
object_chunk_size = 1048576
client_chunk_size = 1048576
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
{filters}
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:account-quotas]
use = egg:swift#account_quotas
[filter:slo]
use = egg:swift#slo
allow_async_delete = false
[filter:dlo]
use = egg:swift#dlo
"""
_TEMPAUTH = """
[filter:s3api]
use = egg:swift#s3api
location = {region}
[filter:tempauth]
use = egg:swift#tempauth
fernet_key_one = {fernet}
active_fernet_key_id = one
user_{account}_writer = {key} .admin
user_{account}_reader = {reader_key}
"""
# As Swift's documentation of Keystone has it; it asks as the administrator.
_KEYSTONE = """
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = admin
username = admin
password = {password}
delay_auth_decision = true
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
"""
_STORAGE = """
[DEFAULT]
swift_dir = {home}
devices = {home}
mount_check = false
fallocate_reserve = 0
log_address = {home}/no-syslog
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
conn_timeout = 20
node_timeout = 60
container_update_timeout = 60
network_chunk_size = 1048576
disk_chunk_size = 1048576
"""


@dataclass(frozen=True)
class User:
    """Somebody whom Swift knows: by v1 auth as ``name`` with ``key``, by S3 with the two as access and secret key."""

    name: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Site:
    """Where Swift's files are, and whom it knows."""

    home: Path
    account: str
    writer: User  # may do anything in the account
    reader: User  # may do what a container's access list grants


class Swift:
    """A running Swift."""

    def __init__(self, port: int, site: Site) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.auth_url = f"{self.url}/auth/v1.0"
        self.storage_url = f"{self.url}/v1/AUTH_{site.account}"
        self.s3_url = self.url
        self.region = REGION
        self.home = site.home
        self.writer, self.reader = site.writer, site.reader

    def token(self, user: User | None = None) -> str:
        """Return a token for ``user``; for the writer if none is named."""
        user = user or self.writer
        headers = {"X-Auth-User": user.name, "X-Auth-Key": user.key}
        answer = httpx.get(self.auth_url, headers=headers, timeout=60, trust_env=False).raise_for_status()
        token: str = answer.headers["X-Auth-Token"]
        return token

    def ask(self, method: str, path: str = "", **headers: str) -> httpx.Response:
        """Ask for ``CONTAINER/OBJECT`` below the account as the writer; ``_`` in names of headers stands for ``-``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"X-Auth-Token": self.token()}
        url = f"{self.storage_url}/{quote(path)}" if path else self.storage_url
        return httpx.request(method, url, headers=sent, timeout=60, trust_env=False).raise_for_status()

    def container(self, **headers: str) -> str:
        """Make a container, which is a bucket too, and return its name."""
        name = f"container-{uuid.uuid4().hex[:12]}"
        self.ask("PUT", name, **headers)
        return name


def s3_settings(swift: Swift, bucket: str, user: User | None = None, **more: object) -> S3StoreSettings:
    """Return the settings of a store in a bucket of the server, used by the writer if nobody is named."""
    user = user or swift.writer
    keys = {"access_key": user.name, "secret_key": user.key, "region": swift.region}
    return S3StoreSettings.model_validate(
        {"type": "s3", "endpoint": swift.s3_url, "bucket": bucket, "most_parts": 1000} | keys | more
    )


def is_installed() -> bool:
    """Whether Swift's environment is there."""
    return (_VENV / "bin" / "swift-proxy-server").exists()


def swift_settings(swift: Swift, container: str, user: User | None = None, **more: object) -> SwiftStoreSettings:
    """Return the settings of a store in a container of the server, used by the writer if nobody is named."""
    user = user or swift.writer
    who = {"auth": "v1", "auth_url": swift.auth_url, "username": user.name, "password": user.key}
    return SwiftStoreSettings.model_validate({"type": "swift", "container": container} | who | more)


@contextmanager
def prepared() -> Iterator[tuple[Site, Server]]:
    """Write the settings of a new, empty Swift; its files are removed at the end."""
    if not is_installed():
        not_run("Swift (.venv-swift)")
    account = "images"
    with _directory_with_attributes() as home:
        site = Site(
            home,
            account,
            User(f"{account}:writer", secrets.token_hex(16)),
            User(f"{account}:reader", secrets.token_hex(16)),
        )
        _configure(home, "s3api tempauth", _by_tempauth(site))
        yield site, Server(_command, _answers, None, home, signal.SIGTERM)


@pytest.fixture(scope="session")
def swift() -> Iterator[Swift]:
    """A Swift, empty but for what other tests left in containers of their own."""
    with prepared() as (site, server), running(server) as port:
        yield Swift(port, site)


@pytest.fixture
def mortal_swift() -> Iterator[tuple[Swift, MortalServer]]:
    """A Swift of one test, that it may kill and start again."""
    with prepared() as (site, server):
        mortal = MortalServer(server)
        try:
            yield Swift(mortal.port, site), mortal
        finally:
            mortal.close()


@contextmanager
def _directory_with_attributes() -> Iterator[Path]:
    """Give a directory whose files keep extended attributes of users, in which Swift keeps what it knows of each."""
    for in_memory in (True, False):
        with directory("swift", None, in_memory=in_memory) as home:
            try:
                os.setxattr(home, "user.swift", b"")
            except OSError:
                continue
            yield home
            return
    not_run("a file system with extended attributes of users, for Swift", "let TMPDIR name a directory of one")


@pytest.fixture
def swift_of_keystone(keystone: Keystone) -> Iterator[str]:
    """A Swift whose callers Keystone knows, as its catalogue says; return the beginning of the URLs of accounts."""
    if not is_installed() or not list(_VENV.glob("lib/python3*/site-packages/keystonemiddleware")):
        not_run("Swift with Keystone's middleware (.venv-swift)")
    with _directory_with_attributes() as home:
        filters = _KEYSTONE.format(url=keystone.url, password=keystone.admin.password)
        _configure(home, "authtoken keystoneauth", filters)
        with running(Server(_command, _answers, None, home, signal.SIGTERM)) as port:
            accounts = f"http://127.0.0.1:{port}/v1/AUTH_"
            services = (
                keystone.endpoint("identity", "keystone", keystone.url),  # where the middleware asks about tokens
                keystone.endpoint("object-store", "swift", f"{accounts}%(project_id)s"),
            )
            yield accounts
            for each in services:  # other tests have this Keystone too
                keystone.remove_service(each)


def _by_tempauth(site: Site) -> str:
    return _TEMPAUTH.format(
        region=REGION,
        account=site.account,
        fernet=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        key=site.writer.key,
        reader_key=site.reader.key,
    )


def _configure(home: Path, who: str, filters: str) -> None:
    """Write the settings of all servers.

    Args:
        who: The filters that make sure of callers, in their order.
        filters: Their sections.
    """
    (home / "disk").mkdir()
    (home / "swift.conf").write_text(
        f"[swift-hash]\nswift_hash_path_suffix = {secrets.token_hex(8)}\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    for kind in ("account", "container", "object"):
        (home / f"{kind}-server.conf").write_text(_STORAGE.format(home=home, kind=kind))
    (home / "proxy-server.conf").write_text(_PROXY.format(home=home, who=who, filters=filters))


def _command(port: int) -> Sequence[str | Path]:
    return [_VENV / "bin" / "python", "-c", _SERVE, str(port)]


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthcheck", timeout=10, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
