"""One service that is asked about instances, as Nova asks its dynamic targets."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import msgspec

from headwater.client.proof import NotProved, Proof
from headwater.fetching.posting import NoReply, Poster, Reply
from headwater.instances.vendor_data.answers import NOTHING, TargetFailed
from headwater.instances.vendor_data.question import HEADERS

_PAUSE_S = 0.2  # before a service is asked again


class Target:
    """A service; safe to use from several threads."""

    def __init__(self, name: str, poster: Poster, *, retries: int, proof: Proof | None = None) -> None:
        """Take what asks it.

        Args:
            retries: How often it is asked again when it cannot be reached or answers 5xx.
            proof: What shows who asks; ``None``: nothing does.
        """
        self.name = name
        self._poster, self._retries, self._proof = poster, retries, proof

    def ask(self, body: bytes, deadline: float) -> bytes:
        """Return what it answers, as ``Asked`` says."""
        try:
            reply = self._reply(body, deadline)
        except NotProved as error:
            raise TargetFailed(self.name, "Keystone gives Headwater no token for it") from error
        except NoReply as error:
            raise TargetFailed(self.name, error.reason) from error
        if not 200 <= reply.status < 300:
            raise TargetFailed(self.name, f"it answers {reply.status}")
        return self._read(reply.body)

    def _reply(self, body: bytes, deadline: float) -> Reply:
        left, was_refused = self._retries, False
        while True:
            try:
                reply = self._poster.post(body, {**HEADERS, **self._shown()}, deadline)
            except NoReply:
                if not self._may_again(left, deadline):
                    raise
            else:
                if reply.status == 401 and self._proof is not None and not was_refused:
                    was_refused = True
                    self._proof.renew()  # the token may have been revoked
                    continue
                if reply.status < 500 or not self._may_again(left, deadline):
                    return reply
            left -= 1
            time.sleep(_PAUSE_S)

    def _shown(self) -> Mapping[str, str]:
        return {} if self._proof is None else self._proof.headers()

    @staticmethod
    def _may_again(left: int, deadline: float) -> bool:
        return left > 0 and time.monotonic() + _PAUSE_S < deadline

    def _read(self, body: bytes) -> bytes:
        if not body.strip():
            return NOTHING
        try:
            return json.dumps(msgspec.json.decode(body)).encode("ascii")
        except (ValueError, RecursionError) as error:
            raise TargetFailed(self.name, "its answer is no JSON") from error
