"""A private Keystone for one test run: SQLite, Fernet tokens, its own environment (``.venv-keystone``).

Two processes share one database and one set of keys. The second differs in the life of the tokens that
it issues, so that a test can hold a token that is about to expire, without waiting for an hour.
"""

from __future__ import annotations

import secrets
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from needs import CHECKOUT, not_run
from servers.process import directory, listening, prepare

SHORT_LIFE_S = 4
_LONG_LIFE_S = 3600
_VENV = CHECKOUT / ".venv-keystone"
_REGION = "RegionOne"

# Commands of keystone-manage, one after the other in one process: its imports take longer than its work.
_PREPARE = """
import os, sys
from keystone.cmd import cli
opening = sys.argv[:3]
owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
for words in (
    ["db_sync"], ["fernet_setup", *owner], ["credential_setup", *owner],
    ["bootstrap", "--bootstrap-password", sys.argv[3], "--bootstrap-region-id", sys.argv[4]],
):
    sys.argv = [*opening, *words]
    cli.main(argv=sys.argv, developer_config_file=None)
    from keystone.conf import CONF
    CONF.clear()
"""
# Many connections, one request at a time: of two that write at once SQLite refuses one, and Keystone answers 500.
_SERVE = """
import os, sys, threading
os.environ["OS_KEYSTONE_CONFIG_DIR"] = os.getcwd()
port = int(sys.argv.pop())  # Keystone reads what is left of the command line
from werkzeug.serving import WSGIRequestHandler, run_simple
from keystone.wsgi.api import application
WSGIRequestHandler.protocol_version = "HTTP/1.1"
turn = threading.Lock()
def one_at_a_time(environ, start_response):
    with turn:
        return application(environ, start_response)
run_simple("127.0.0.1", port, one_at_a_time, threaded=True)
"""


@dataclass(frozen=True)
class User:
    """Somebody who can ask for tokens."""

    id: str
    name: str
    password: str = field(repr=False)


class Keystone:
    """A running Keystone, and what its administrator can do."""

    def __init__(self, port: int, admin_password: str) -> None:
        self.url = f"http://127.0.0.1:{port}/v3"
        self.region = _REGION
        self._http = httpx.Client(timeout=30, trust_env=False)
        self.admin = User(self._own_id(admin_password), "admin", admin_password)
        self.admin_project = self.find("projects", "admin")

    def _own_id(self, password: str) -> str:
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        answer = self._http.post(f"{self.url}/auth/tokens", json=body).raise_for_status()
        self._http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        own_id: str = answer.json()["token"]["user"]["id"]
        return own_id

    def find(self, kind: str, name: str) -> str:
        """Return the id of the only one with this name; ``kind`` is a collection such as ``roles``."""
        found = self._http.get(f"{self.url}/{kind}", params={"name": name}).raise_for_status().json()[kind]
        assert len(found) == 1, (kind, name, found)
        its_id: str = found[0]["id"]
        return its_id

    def _make(self, kind: str, **attributes: Any) -> dict[str, Any]:
        one = kind.removesuffix("s")
        made: dict[str, Any] = (
            self._http.post(f"{self.url}/{kind}", json={one: attributes}).raise_for_status().json()[one]
        )
        return made

    def project(self, name: str | None = None) -> str:
        """Return the id of the project of this name, made if there is none; without a name, of a new one."""
        found: list[dict[str, Any]] = []
        if name is not None:
            found = self._http.get(f"{self.url}/projects", params={"name": name}).raise_for_status().json()["projects"]
        name = name or f"project-{uuid.uuid4().hex[:8]}"
        its_id: str = (found[0] if found else self._make("projects", name=name, domain_id="default"))["id"]
        return its_id

    def role(self, name: str) -> str:
        """Return the id of the role of this name, made if there is none."""
        found = self._http.get(f"{self.url}/roles", params={"name": name}).raise_for_status().json()["roles"]
        its_id: str = found[0]["id"] if found else self._make("roles", name=name)["id"]
        return its_id

    def user(self, project: str | None = None, *roles: str, name: str | None = None) -> User:
        """Make a user who has ``roles`` in ``project``."""
        password = secrets.token_hex(12)
        name = name or f"user-{uuid.uuid4().hex[:8]}"
        made = self._make("users", name=name, password=password, domain_id="default")
        user = User(made["id"], name, password)
        for role in roles:
            assert project is not None, "roles are given in a project"
            self.grant(user, f"projects/{project}", role)
        return user

    def grant(self, user: User, place: str, role: str) -> None:
        """Give a role in ``projects/ID``, ``domains/ID`` or ``system``."""
        self._http.put(f"{self.url}/{place}/users/{user.id}/roles/{self.role(role)}").raise_for_status()

    def take_away(self, user: User, project: str, role: str) -> None:
        """Take a role in a project away again."""
        path = f"projects/{project}/users/{user.id}/roles/{self.role(role)}"
        self._http.delete(f"{self.url}/{path}").raise_for_status()

    def disable(self, kind: str, its_id: str) -> None:
        """Switch ``projects`` or ``users`` off."""
        change = {kind.removesuffix("s"): {"enabled": False}}
        self._http.patch(f"{self.url}/{kind}/{its_id}", json=change).raise_for_status()

    def token(self, user: User, project: str | None = None, *, scope: dict[str, Any] | None = None) -> str:
        """Return a token of ``user``, for a project, or with a scope as the Identity API writes it."""
        who = {"id": user.id, "password": user.password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if project is not None:
            scope = {"project": {"id": project}}
        auth["scope"] = scope or "unscoped"
        return self._token(auth)

    def _token(self, auth: dict[str, Any]) -> str:
        with httpx.Client(timeout=30, trust_env=False) as anybody:
            answer = anybody.post(f"{self.url}/auth/tokens", json={"auth": auth}).raise_for_status()
        token: str = answer.headers["X-Subject-Token"]
        return token

    def application_credential(self, user: User, project: str, **attributes: Any) -> tuple[str, str]:
        """Make an application credential of ``user`` for a project, and return its id and its secret."""
        headers = {"X-Auth-Token": self.token(user, project)}
        wanted = {"name": f"credential-{uuid.uuid4().hex[:8]}", **attributes}
        url = f"{self.url}/users/{user.id}/application_credentials"
        answer = self._http.post(url, json={"application_credential": wanted}, headers=headers).raise_for_status()
        made = answer.json()["application_credential"]
        return made["id"], made["secret"]

    def application_token(self, credential: tuple[str, str]) -> str:
        """Return a token for an application credential."""
        named = {"id": credential[0], "secret": credential[1]}
        return self._token({"identity": {"methods": ["application_credential"], "application_credential": named}})

    def revoke(self, token: str) -> None:
        """Make a token invalid from now on."""
        self._http.delete(f"{self.url}/auth/tokens", headers={"X-Subject-Token": token}).raise_for_status()

    def knows(self, token: str) -> bool:
        """Whether Keystone itself takes the token as valid."""
        return self._http.get(f"{self.url}/auth/tokens", headers={"X-Subject-Token": token}).status_code == 200

    def image_endpoint(self, url: str) -> str:
        """Let the catalogue say that the Image service of the region is at ``url``; return the service's id."""
        return self.endpoint("image", "glance", url)

    def endpoint(self, kind: str, name: str, url: str) -> str:
        """Let the catalogue say that the only service of a kind is at ``url``; return the service's id."""
        services = self._http.get(f"{self.url}/services", params={"type": kind}).raise_for_status().json()["services"]
        for service in services:
            self._http.delete(f"{self.url}/services/{service['id']}").raise_for_status()
        its_id = self.service(kind, name)
        self.place(its_id, url)
        return its_id

    def service(self, kind: str, name: str) -> str:
        """Enter a service of a kind such as ``image`` into the catalogue, and return its id."""
        its_id: str = self._make("services", name=name, type=kind)["id"]
        return its_id

    def remove_service(self, its_id: str) -> None:
        """Take a service out of the catalogue, with its endpoints."""
        self._http.delete(f"{self.url}/services/{its_id}").raise_for_status()

    def place(
        self,
        service: str,
        url: str,
        *,
        region: str = _REGION,
        interfaces: Sequence[str] = ("public", "internal", "admin"),
    ) -> None:
        """Let the catalogue say that a service is at ``url`` in a region, which must be there."""
        for interface in interfaces:
            self._make("endpoints", service_id=service, interface=interface, url=url, region_id=region)

    def add_region(self, region: str) -> None:
        """Enter another region."""
        self._make("regions", id=region)

    def register_limit(self, service: str, resource: str, default: int, *, region: str | None = _REGION) -> str:
        """Register a limit for every project, and return its id."""
        limit = {
            "service_id": service,
            "region_id": region,
            "resource_name": resource,
            "default_limit": default,
        }
        answer = self._http.post(f"{self.url}/registered_limits", json={"registered_limits": [limit]})
        its_id: str = answer.raise_for_status().json()["registered_limits"][0]["id"]
        return its_id

    def limit(self, service: str, resource: str, project: str, number: int, *, region: str | None = _REGION) -> str:
        """Give a project a limit of its own, and return its id."""
        limit = {
            "service_id": service,
            "region_id": region,
            "resource_name": resource,
            "project_id": project,
            "resource_limit": number,
        }
        answer = self._http.post(f"{self.url}/limits", json={"limits": [limit]})
        its_id: str = answer.raise_for_status().json()["limits"][0]["id"]
        return its_id

    def change_limit(self, its_id: str, number: int) -> None:
        """Change a project's limit."""
        body = {"limit": {"resource_limit": number}}
        self._http.patch(f"{self.url}/limits/{its_id}", json=body).raise_for_status()

    def endpoint_id(self, service: str) -> str:
        """Return the id of the public endpoint of a service."""
        query = {"service_id": service, "interface": "public"}
        its_id: str = (
            self._http.get(f"{self.url}/endpoints", params=query).raise_for_status().json()["endpoints"][0]["id"]
        )
        return its_id

    def forget_limits(self) -> None:
        """Remove all limits, of projects and registered."""
        for kind in ("limits", "registered_limits"):
            for each in self._http.get(f"{self.url}/{kind}").raise_for_status().json()[kind]:
                self._http.delete(f"{self.url}/{kind}/{each['id']}").raise_for_status()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


@dataclass(frozen=True)
class Site:
    """Where Keystone's files are."""

    home: Path
    password: str = field(repr=False)


def is_installed() -> bool:
    """Whether Keystone's environment is there."""
    return (_VENV / "bin" / "keystone-manage").exists()


@contextmanager
def prepared() -> Iterator[Site]:
    """Make the database, the keys and what Keystone's bootstrap enters, and remove them at the end."""
    if not is_installed():
        not_run("Keystone (.venv-keystone)")
    password = secrets.token_hex(16)  # nothing that a command line takes for an option
    with directory("keystone", None) as home:
        _configure(home, home, _LONG_LIFE_S)
        opening = ["keystone-manage", "--config-dir", str(home)]
        prepare([_VENV / "bin" / "python", "-c", _PREPARE, *opening[1:], password, _REGION], owner=None, home=home)
        yield Site(home, password)


@contextmanager
def running(site: Site) -> Iterator[Keystone]:
    """Keep Keystone running on the files of ``site``."""
    with _serving(site.home) as port:
        server = Keystone(port, site.password)
        try:
            yield server
        finally:
            server.close()


@pytest.fixture(scope="session")
def _keystone_site() -> Iterator[Site]:
    with prepared() as site:
        yield site


@pytest.fixture(scope="session")
def keystone(_keystone_site: Site) -> Iterator[Keystone]:
    """A Keystone with the roles that its bootstrap makes: admin, manager, member, reader, service."""
    with running(_keystone_site) as server:
        yield server


@pytest.fixture(scope="session")
def hasty_keystone(_keystone_site: Site, keystone: Keystone) -> Iterator[Keystone]:
    """The same Keystone at another port, whose tokens expire after ``SHORT_LIFE_S`` seconds."""
    with directory("keystone", None) as home:
        _configure(home, _keystone_site.home, SHORT_LIFE_S)
        with running(Site(home, _keystone_site.password)) as server:
            yield server


# What Keystone reads again and again is kept in its memory: its calls take a sixth of the processor time then.
def _configure(home: Path, site: Path, token_life_s: int) -> None:
    (home / "keystone.conf").write_text(
        f"""
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{site / "keystone.db"}
sqlite_synchronous = false
[cache]
enabled = true
backend = dogpile.cache.memory
[token]
provider = fernet
expiration = {token_life_s}
[fernet_tokens]
key_repository = {site / "fernet"}
[credential]
key_repository = {site / "credential"}
[identity]
password_hash_rounds = 4
"""
    )
    for name in ("fernet", "credential"):
        (site / name).mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _serving(home: Path) -> Iterator[int]:
    def command(port: int) -> Sequence[str | Path]:
        return [_VENV / "bin" / "python", "-c", _SERVE, str(port)]

    def answers(port: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/v3", timeout=10, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    with listening(command, answers=answers, owner=None, home=home, stop_signal=signal.SIGTERM) as port:
        yield port
