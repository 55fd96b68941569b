"""A private Glance, the Image service that others run: SQLite, a directory, its own environment (``.venv-glance``).

It makes sure of nobody, and its policy lets everybody do everything: what is tried with it is what we send and read.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2 as httpx
import pytest

from needs import CHECKOUT, not_run
from servers.process import directory, listening, prepare

_VENV = CHECKOUT / ".venv-glance"
_OPEN = (
    *("get_images", "get_image", "add_image", "modify_image", "delete_image", "publicize_image", "download_image"),
    *("upload_image", "communitize_image", "add_member", "get_member", "get_members", "modify_member", "delete_member"),
    *("deactivate", "reactivate"),
)
# As Glance's own settings have it, without what logs in, caches and traces.
_PASTE = """
[composite:glance-api]
use = egg:Paste#urlmap
/: api
[pipeline:api]
pipeline = versionnegotiation unauthenticated-context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:unauthenticated-context]
paste.filter_factory = glance.api.middleware.context:UnauthenticatedContextMiddleware.factory
"""
_SERVE = """
import os, sys
port = int(sys.argv.pop())  # Glance reads what is left of the command line
os.environ["OS_GLANCE_CONFIG_DIR"], os.environ["OS_GLANCE_CONFIG_FILES"] = os.getcwd(), "glance-api.conf"
from glance.wsgi.api import application
from waitress import serve
serve(application, host="127.0.0.1", port=port, threads=8)
"""


@pytest.fixture(scope="session")
def glance_service() -> Iterator[str]:
    """Start it, and return its URL."""
    if not (_VENV / "bin" / "glance-manage").exists():
        not_run("Glance (.venv-glance)")
    with directory("glance", None) as home:
        stores = {"files": "images", "os_glance_tasks_store": "tasks", "os_glance_staging_store": "staging"}
        sections = "".join(f"[{name}]\nfilesystem_store_datadir = {home / at}\n" for name, at in stores.items())
        (home / "glance-api.conf").write_text(
            f"""
[DEFAULT]
enabled_backends = files:file
use_stderr = true
[database]
connection = sqlite:///{home / "glance.db"}
[glance_store]
default_backend = files
[paste_deploy]
config_file = {home / "paste.ini"}
[oslo_policy]
enforce_new_defaults = false
enforce_scope = false
policy_file = {home / "policy.yaml"}
{sections}
"""
        )
        (home / "paste.ini").write_text(_PASTE)
        (home / "policy.yaml").write_text("".join(f'"{rule}": ""\n' for rule in _OPEN))
        manage: list[str | Path] = [_VENV / "bin" / "glance-manage", "--config-file", home / "glance-api.conf"]
        prepare([*manage, "db_sync"], owner=None, home=home)

        def command(port: int) -> Sequence[str | Path]:
            return [_VENV / "bin" / "python", "-W", "ignore", "-c", _SERVE, str(port)]

        def answers(port: int) -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/v2/images", timeout=10, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        with listening(command, answers=answers, owner=None, home=home, stop_signal=signal.SIGTERM) as port:
            yield f"http://127.0.0.1:{port}"
