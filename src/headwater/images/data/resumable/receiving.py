"""A part of an upload between a client and the use cases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from headwater.errors import HeadwaterError, Unavailable
from headwater.http.threads import Threads
from headwater.images.catalogue.upload_records import UploadLost
from headwater.images.data.buffers import LoopBuffers
from headwater.images.data.resumable.parts import LastPart, Part, Progress
from headwater.images.data.session import Digests
from headwater.images.data.transfer import Body, gather
from headwater.threads import Pool

LOOK_S = 1.0  # how soon a request ends whose upload another one has taken over


async def _nobody_is_told() -> None:
    """Tell nobody."""


async def receive_part(
    body: Body,
    begin: Callable[[], Part | LastPart],
    threads: Threads,
    tell: Callable[[], Awaitable[None]] = _nobody_is_told,
    behind: Callable[[], Digests] = lambda: (),
) -> Progress:
    """Return how far the upload is, once all of ``body`` is kept; when that fails, what came of it is.

    Args:
        begin: Takes the upload over; see ``ResumableUploading.part``.
        tell: Tells the client of the upload. Not before it is taken over, as that would take it from the client's
            next request, were that one faster.
        behind: Returns what follows the body, once it has ended, says of this part.
    """
    part = await threads.transfers.run(begin)
    buffers = LoopBuffers()
    try:
        await tell()
        if part.needs_preparation:
            await threads.transfers.run(part.prepare)
        await _while_held(gather(body, part, buffers, keeps=True), part, threads.catalogue)
        part.expect(behind())
        await buffers.settle()
        return await threads.transfers.run(part.finish)
    except BaseException as error:
        await asyncio.shield(_abandon(part, error, buffers, threads.transfers))
        raise
    finally:
        buffers.close()


async def receive_first_part(
    body: Body,
    begin: Callable[[], Part | LastPart],
    cancel: Callable[[], None],
    threads: Threads,
    behind: Callable[[], Digests] = lambda: (),
) -> Progress:
    """Do as ``receive_part``, but give the upload up when that fails: its client does not know how to ask for it."""
    try:
        return await receive_part(body, begin, threads, behind=behind)
    except BaseException:
        with contextlib.suppress(HeadwaterError):  # given up already; or its time will end it
            await asyncio.shield(threads.transfers.run(cancel))
        raise


async def _while_held(work: Coroutine[Any, Any, None], part: Part | LastPart, calls: Pool) -> None:
    """Do ``work`` unless another request takes the upload over: the client may be there again while this one waits."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=LOOK_S))[0]:
            with contextlib.suppress(Unavailable):  # nobody can take it over then
                if not await calls.run(lambda: part.is_held):
                    raise UploadLost(part.image_id)
        task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


async def _abandon(part: Part | LastPart, error: BaseException, buffers: LoopBuffers, transfers: Pool) -> None:
    await buffers.settle()
    await transfers.run(lambda: part.abandon(error))
