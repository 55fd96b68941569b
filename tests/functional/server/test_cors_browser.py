"""A real browser: a page of one origin uploads to Headwater, at once and by tus; that of another origin may not.

The page is served under two names, ``127.0.0.1`` and ``localhost``, which are two origins, and tells the test
what came of it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, bare_environment
from functional.users import proof, users_file
from needs import program

PAGE = """<!doctype html><meta charset="utf-8"><title>Upload</title><script>
const images = %(url)s + "/v2/images", who = %(who)s;
async function work() {
  const json = {...who, "Content-Type": "application/json", "Accept": "application/json"};
  const document = JSON.stringify({name: "from a page", disk_format: "raw", container_format: "bare"});
  const made = await fetch(images, {method: "POST", headers: json, body: document});
  const image = await made.json();
  const data = new Uint8Array(3 << 20).fill(7);
  const octets = {...who, "Content-Type": "application/octet-stream", "X-OpenStack-Image-Size": String(data.length)};
  const put = await fetch(images + "/" + image.id + "/file", {method: "PUT", headers: octets, body: data});
  const refused = await fetch(images, {headers: {"X-Auth-Token": "none", "Accept": "application/json"}});
  const said = await refused.json();
  return {made: made.status, location: made.headers.get("Location"), put: put.status, id: image.id,
          request: put.headers.get("X-OpenStack-Request-ID"), refused: refused.status, title: said.title};
}
work().catch(error => ({error: String(error)})).then(
  result => fetch("/result", {method: "POST", body: JSON.stringify(result)}));
</script>"""


# What libraries of tus do: begin, send a part, lose it in the middle, ask, and go on.
TUS_PAGE = """<!doctype html><meta charset="utf-8"><title>tus</title><script>
const images = %(url)s + "/v2/images", who = {...%(who)s, "Tus-Resumable": "1.0.0"};
async function work() {
  const json = {...who, "Content-Type": "application/json", "Accept": "application/json"};
  const document = JSON.stringify({name: "by tus", disk_format: "raw", container_format: "bare"});
  const image = await (await fetch(images, {method: "POST", headers: json, body: document})).json();
  const data = new Uint8Array(3 << 20).fill(7), length = {"Upload-Length": String(data.length)};
  const metadata = {"Upload-Metadata": "filename ZGlzaw=="};
  const headers = {...who, ...length, ...metadata};
  const begun = await fetch(images + "/" + image.id + "/file/tus", {method: "POST", headers: headers});
  const upload = begun.headers.get("Location");
  const part = (offset, end) => fetch(upload, {method: "PATCH", body: data.subarray(offset, end), headers: {
    ...who, "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset)}});
  const first = await part(0, 1 << 20);
  const wrong = await part(5, 10);
  const asked = await fetch(upload, {method: "HEAD", headers: who});
  const kept = Number(asked.headers.get("Upload-Offset"));
  const last = await part(kept, data.length);
  return {id: image.id, begun: begun.status, first: first.status, wrong: wrong.status, kept: kept, last: last.status,
          expires: last.headers.get("Upload-Expires"), tus: last.headers.get("Tus-Resumable")};
}
work().catch(error => ({error: String(error)})).then(
  result => fetch("/result", {method: "POST", body: JSON.stringify(result)}));
</script>"""


class Site:
    """A server of the page, at a port of its own."""

    def __init__(self) -> None:
        self.results: queue.Queue[dict[str, Any]] = queue.Queue()
        self.page = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(site.page.encode())

            def do_POST(self) -> None:
                site.results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def visit(browser: Path, url: str, home: Path, results: queue.Queue[dict[str, Any]]) -> dict[str, Any]:
    """Open ``url`` in a browser of its own, and return what the page says."""
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
    running = subprocess.Popen(
        [str(browser), *words, f"--user-data-dir={home / 'profile'}", "--no-proxy-server", url],
        env=bare_environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return results.get(timeout=90)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.fixture
def service(site: Site, tmp_path: Path) -> Iterator[HeadwaterProcess]:
    """A service that lets one origin of the site call, and asks who calls."""
    toml = users_file(tmp_path, ada=("a", "member"))
    toml += f'[cors]\nallowed_origin = ["http://127.0.0.1:{site.port}"]\n'
    made = HeadwaterProcess(tmp_path, toml=toml)
    made.start()
    yield made
    made.stop()


@pytest.mark.slow
def test_a_page_uploads_where_its_origin_is_allowed(site: Site, service: HeadwaterProcess, tmp_path: Path) -> None:
    browser = program("chromium")
    site.page = PAGE % {"url": json.dumps(service.images_url), "who": json.dumps(proof("ada"))}
    allowed = visit(browser, f"http://127.0.0.1:{site.port}/", tmp_path / "one", site.results)
    assert allowed.get("error") is None, allowed
    assert (allowed["made"], allowed["put"], allowed["refused"]) == (201, 204, 401)
    assert allowed["title"] == "Unauthorized"
    assert allowed["location"] == f"{service.images_url}/v2/images/{allowed['id']}"
    assert allowed["request"].startswith("req-")
    shown = httpx.get(allowed["location"], headers=proof("ada"), trust_env=False).json()
    assert (shown["status"], shown["size"], shown["name"]) == ("active", 3 << 20, "from a page")

    other = visit(browser, f"http://localhost:{site.port}/", tmp_path / "two", site.results)
    assert "Failed to fetch" in other["error"]
    assert [event["path"] for event in service.requests(method="POST")] == ["/v2/images"]


@pytest.mark.slow
def test_a_page_uploads_by_tus(site: Site, service: HeadwaterProcess, tmp_path: Path) -> None:
    site.page = TUS_PAGE % {"url": json.dumps(service.images_url), "who": json.dumps(proof("ada"))}
    done = visit(program("chromium"), f"http://127.0.0.1:{site.port}/", tmp_path / "one", site.results)
    assert done.get("error") is None, done
    assert (done["begun"], done["first"], done["wrong"], done["last"]) == (201, 204, 409, 204)
    assert (done["kept"], done["tus"], done["expires"][-3:]) == (1 << 20, "1.0.0", "GMT")
    shown = httpx.get(f"{service.images_url}/v2/images/{done['id']}", headers=proof("ada"), trust_env=False).json()
    assert (shown["status"], shown["size"], shown["name"]) == ("active", 3 << 20, "by tus")
