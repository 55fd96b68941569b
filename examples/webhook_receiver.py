"""Receive Headwater's events, check that they are Headwater's, and print one line for each.

    WEBHOOK_SECRET=whsec_… python3 webhook_receiver.py 8080

It needs nothing but Python. A real receiver does its work elsewhere and answers at once: the next event comes
when this one is answered, and one that is not answered in time comes again. That is why it keeps the ids of
the events that it has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE_S = 300  # what was signed longer ago was recorded by somebody, and is sent again
LIMIT = 16 << 20  # bytes of one event
seen: dict[str, None] = {}


def is_signed(headers: dict[str, str], body: bytes) -> bool:
    """Return whether the request has a fresh signature of our secret."""
    signed_at = headers.get("webhook-timestamp", "")
    if not signed_at.isdecimal() or abs(time.time() - int(signed_at)) > TOLERANCE_S:
        return False
    content = f"{headers.get('webhook-id', '')}.{signed_at}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    # Several may stand there, divided by blanks, while a secret is being replaced.
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(expected.encode(), each.encode()) for each in given)


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to an event, 401 to what is not signed."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802 - as its parent calls it
        """Take one event."""
        length = int(self.headers.get("Content-Length", "0"))
        if length > LIMIT:
            self.close_connection = True
            self.answer(413)
            return
        body = self.rfile.read(length)
        if not is_signed({name.lower(): value for name, value in self.headers.items()}, body):
            self.answer(401)
            return
        event = json.loads(body)
        if event["id"] not in seen:
            seen[event["id"]] = None
            if len(seen) > 10_000:
                del seen[next(iter(seen))]
            print(event["time"], event["type"], event.get("subject", "-"), flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        """Answer without a body."""
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
