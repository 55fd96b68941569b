"""A private Barbican for one test run, that takes the tokens of ``keystone`` beside it: SQLite, its own environment
(``.venv-barbican``), secrets encrypted with a key in its settings (``simple_crypto``).
"""

from __future__ import annotations

import base64
import secrets
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from needs import CHECKOUT, not_run
from servers.openstack.keystone import Keystone
from servers.process import directory, listening, prepare

_VENV = CHECKOUT / ".venv-barbican"
_JSON = {"Accept": "application/json"}

# As Barbican's own settings have it, without what audits and CORS would need.
_PASTE = """
[composite:main]
use = egg:Paste#urlmap
/: versions
/v1: api
[pipeline:api]
pipeline = request_id authtoken context microversion v1
[app:v1]
paste.app_factory = barbican.api.app:create_main_app
[app:versions]
paste.app_factory = barbican.api.app:create_version_app
[filter:context]
paste.filter_factory = barbican.api.middleware.context:ContextMiddleware.factory
[filter:microversion]
paste.filter_factory = barbican.api.middleware.microversion:MicroversionMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory
"""
_SERVE = """
import os, sys
port = int(sys.argv.pop())  # Barbican reads what is left of the command line
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server
from paste.deploy import loadapp
class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
application = loadapp("config:" + os.path.abspath("paste.ini"), name="main")
make_server("127.0.0.1", port, application, server_class=Server).serve_forever()
"""


class Barbican:
    """A running Barbican."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def store(self, token: str, payload: bytes, content_type: str, *, secret_type: str = "certificate") -> str:
        """Keep a secret for the project of the token, and return its id."""
        document: dict[str, Any] = {"name": "signer", "secret_type": secret_type}
        document["payload_content_type"] = content_type
        if content_type == "text/plain":
            document["payload"] = payload.decode()
        else:
            document |= {"payload": base64.b64encode(payload).decode(), "payload_content_encoding": "base64"}
        return self._post(token, document)

    def store_nothing(self, token: str) -> str:
        """Make a certificate that has no payload yet, and return its id."""
        return self._post(token, {"name": "empty", "secret_type": "certificate"})

    def _post(self, token: str, document: dict[str, Any]) -> str:
        headers = {**_JSON, "X-Auth-Token": token}
        answer = httpx.post(f"{self.url}/v1/secrets", json=document, headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 201, answer.text
        reference: str = answer.json()["secret_ref"]
        return reference.rsplit("/", 1)[1]


@pytest.fixture(scope="session")
def barbican(keystone: Keystone) -> Iterator[Barbican]:
    """A Barbican in which every member of a project may keep secrets."""
    if not (_VENV / "bin" / "barbican-manage").exists():
        not_run("Barbican (.venv-barbican)")
    user = keystone.user(keystone.admin_project, "service", "admin")
    keystone.endpoint("identity", "keystone", keystone.url)  # where its middleware looks for Keystone
    with directory("barbican", None) as home:
        # oslo.config looks into the home directory.
        (home / "barbican.conf").write_text(
            f"""
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{home / "barbican.db"}
[secretstore]
enabled_secretstore_plugins = store_crypto
[crypto]
enabled_crypto_plugins = simple_crypto
[simple_crypto_plugin]
kek = {base64.b64encode(secrets.token_bytes(32)).decode()}
[queue]
enable = false
[keystone_authtoken]
auth_type = password
auth_url = {keystone.url}
www_authenticate_uri = {keystone.url}
user_id = {user.id}
password = {user.password}
project_id = {keystone.admin_project}
"""
        )
        (home / "paste.ini").write_text(_PASTE)
        prepare([_VENV / "bin" / "barbican-manage", "db", "upgrade"], owner=None, home=home)

        def command(port: int) -> Sequence[str | Path]:
            return [_VENV / "bin" / "python", "-W", "ignore", "-c", _SERVE, str(port)]

        def answers(port: int) -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/", timeout=10, trust_env=False).status_code == 300
            except httpx.TransportError:
                return False

        with listening(command, answers=answers, owner=None, home=home, stop_signal=signal.SIGTERM) as port:
            yield Barbican(port)
