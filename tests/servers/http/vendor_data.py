"""Services on loopback that are asked about instances, as Nova asks its dynamic targets: a path for each answer."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "s3cret-of-the-target"


class VendorDataServices:
    """``/join`` and ``/cloud-init`` answer well; what the others do, their names say."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []  # path, headers in lower case, document
        self.counts: Counter[str] = Counter()  # by path and id of the instance
        self.refused_tokens: set[str] = set()
        self.is_well = True  # whether /moody answers
        self.open = threading.Event()  # until then /hanging does not answer
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"services": self}))
        self._scheme = "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}{path}?key={SECRET}"

    def stop(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    services: VendorDataServices
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        document = json.loads(self.rfile.read(int(headers["content-length"])))
        path = self.path.partition("?")[0]
        services = self.services
        services.asked.append((path, headers, document))
        services.counts[f"{path} {document['instance-id']}"] += 1
        with contextlib.suppress(OSError):  # who asked may be gone
            if headers.get("x-auth-token") in services.refused_tokens:
                self._answer(401)
            elif path in ("/join", "/far") or (path == "/moody" and services.is_well):
                self._answer(200, {"host": document["hostname"], "name": "Grün"})
            elif path == "/cloud-init":
                self._answer(200, "#cloud-config\nntp: {enabled: true}\n")
            elif path == "/empty":
                self._answer(204)
            elif path == "/hanging":
                services.open.wait()
            elif path == "/huge":
                self._answer(200, "x" * 5000)
            elif path == "/text":
                self._answer(200, b'{"a": NaN}')
            elif path == "/elsewhere":
                self._answer(307)
            elif path == "/trickling":
                self._trickle()
            else:
                self._answer(500)

    def _answer(self, status: int, body: Any = b"") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status == 307:
            self.send_header("Location", self.services.url("/join"))
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        while not self.services.open.wait(0.05):
            self.wfile.write(b" ")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its parent calls it
        pass


@contextmanager
def vendor_data_services(tls: ssl.SSLContext | None = None) -> Iterator[VendorDataServices]:
    services = VendorDataServices(tls)
    try:
        yield services
    finally:
        services.stop()
