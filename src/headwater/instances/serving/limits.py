"""How many requests one instance may make, so that a guest that asks in a loop costs the others nothing.

A guest has a bucket of tokens, in each worker, that holds several boots. Who has used it up is not refused at once:
cloud-init before 25.1 takes any failure as final, while every consumer waits for an answer. So a request waits for its
token, which costs no thread, and only one that would wait too long gets 503 with ``Retry-After``; 429 is retried no
more widely, and no proxy of Neutron lets it pass.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from headwater.errors import Unavailable

MOST_WAIT_S = 4.0  # below the 5 s that cloud-init waits for a leaf of the EC2 tree
REMEMBERED = 65536  # instances


class AskedTooOften(Unavailable):
    """The instance makes more requests than it may."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("This machine asks too often; try again later.")
        self.headers = {"Retry-After": str(max(1, math.ceil(wait_s)))}


@dataclass(slots=True)
class _Bucket:
    tokens: float  # below 0: so many requests wait
    at: float


class Limits:
    """The buckets of one worker; used from its event loop only."""

    def __init__(self, rate: float, burst: int, clock_s: Callable[[], float], *, remembered: int = REMEMBERED) -> None:
        """Begin with full buckets.

        Args:
            rate: Requests a second of one instance; 0: no limit.
            burst: Requests at once.
            clock_s: Any clock that never goes back, in seconds.
            remembered: How many instances have a bucket; the one that has asked least recently gets a full one again.
        """
        self._rate, self._burst, self._clock_s, self._remembered = rate, burst, clock_s, remembered
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def turn(self, instance_id: str) -> None:
        """Wait until it is this request's turn.

        Raises:
            AskedTooOften: That would take too long.
        """
        if wait_s := self.wait_s(instance_id):
            await anyio.sleep(wait_s)

    def wait_s(self, instance_id: str) -> float:
        """Take a token, and return for how many seconds the request has to wait for it.

        Raises:
            AskedTooOften: It would be too long; no token is taken.
        """
        if not self._rate:
            return 0.0
        at = self._clock_s()
        bucket = self._buckets.get(instance_id)
        if bucket is None:
            bucket = self._buckets[instance_id] = _Bucket(float(self._burst), at)
            if len(self._buckets) > self._remembered:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(instance_id)
        tokens = min(self._burst, bucket.tokens + (at - bucket.at) * self._rate) - 1
        wait_s = max(0.0, -tokens / self._rate)
        if wait_s > MOST_WAIT_S:
            raise AskedTooOften(wait_s)
        bucket.tokens, bucket.at = tokens, at
        return wait_s
