"""Faults on purpose, to test images: what a guest does when its metadata is late, refused, broken off or old.

They stand between a guest that is known and its answer. Nothing of this is there unless settings say so.
"""

from __future__ import annotations

import fnmatch
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, TypeVar

import anyio
from pydantic import Field, model_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.config import Section
from headwater.errors import ClientDisconnected
from headwater.http.context import context

K = TypeVar("K")
V = TypeVar("V")

_KEPT = 1000  # answers that stale ones are taken from, and counts of requests


class FaultSettings(Section):
    """Section ``[metadata.faults.NAME]``: one fault; several of its kinds may be joined."""

    path: Annotated[
        str, Field(description="Which paths: * stands for any characters, ? for one.", min_length=1, max_length=500)
    ]
    times: Annotated[
        int,
        Field(description="How many requests of each instance get it, from the first one on; 0: all.", ge=0, le=10**6),
    ] = 0
    skip: Annotated[int, Field(description="How many of them get the right answer before.", ge=0, le=10**6)] = 0
    delay_s: Annotated[float, Field(description="How long the answer waits, in seconds.", ge=0, le=3600)] = 0.0
    status: Annotated[
        int | None, Field(description="The status in place of the right one, with no document.", ge=400, le=599)
    ] = None
    retry_after_s: Annotated[
        int | None, Field(description="With status: what Retry-After says, in seconds.", ge=0, le=86400)
    ] = None
    drop_after: Annotated[
        int | None,
        Field(description="After how many bytes of the document the connection is closed.", ge=0, le=2**30),
    ] = None
    stale: Annotated[bool, Field(description="Whether the first answer that the instance got is given again.")] = False

    @model_validator(mode="after")
    def _does_something(self) -> FaultSettings:
        if not (self.delay_s or self.status or self.drop_after is not None or self.stale):
            raise ValueError("it does nothing: give delay_s, status, drop_after or stale")
        if self.status is not None and (self.drop_after is not None or self.stale):
            raise ValueError("with status there is no document that could be dropped or stale")
        if self.retry_after_s is not None and self.status is None:
            raise ValueError("retry_after_s says nothing without status")
        return self


class Faulty:
    """An application whose answers have faults; used from one event loop."""

    def __init__(self, app: ASGIApp, faults: Sequence[FaultSettings]) -> None:
        self._app, self._faults = app, faults
        self._counts: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._first: OrderedDict[tuple[str, str], list[Message]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fitting = [at for at, each in enumerate(self._faults) if fnmatch.fnmatchcase(scope["path"], each.path)]
        if not fitting:
            await self._app(scope, receive, send)
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        instance_id = context(scope).instance_id
        fault = None if instance_id is None else self._due(fitting, instance_id)
        if instance_id is not None:
            first = _remember(self._first, (instance_id, scope["path"]), answer)
            if fault is not None and fault.stale:
                answer = first
        if fault is None:
            for message in answer:
                await send(message)
            return
        if fault.delay_s:
            await anyio.sleep(fault.delay_s)
        await _send(fault, answer, send)

    def _due(self, fitting: Sequence[int], instance_id: str) -> FaultSettings | None:
        """Count the request, and return the first fault that is due."""
        due = None
        for at in fitting:
            fault = self._faults[at]
            count = _remember(self._counts, (at, instance_id), 0)
            self._counts[at, instance_id] = count + 1
            if due is None and count >= fault.skip and (not fault.times or count < fault.skip + fault.times):
                due = fault
        return due


async def _send(fault: FaultSettings, answer: Sequence[Message], send: Send) -> None:
    if fault.status is not None:
        headers = [(b"content-type", b"text/plain; charset=UTF-8"), (b"content-length", b"0")]
        if fault.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % fault.retry_after_s))
        await send({"type": "http.response.start", "status": fault.status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    if fault.drop_after is None:
        for message in answer:
            await send(message)
        return
    start, *bodies = answer
    body = b"".join(message.get("body", b"") for message in bodies)
    if fault.drop_after:
        await send(start)
        await send({"type": "http.response.body", "body": body[: fault.drop_after], "more_body": True})
    raise Dropped


class Dropped(ClientDisconnected):
    """The connection ends here on purpose."""


def _remember(kept: OrderedDict[K, V], key: K, value: V) -> V:
    """Return what is kept under a key, ``value`` if there is nothing yet; the oldest is forgotten beyond a limit."""
    found = kept.setdefault(key, value)
    if len(kept) > _KEPT:
        kept.popitem(last=False)
    return found
