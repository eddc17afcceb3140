"""Killable processes for reading what servers send. The door to trio-parallel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio_parallel

from digestd.errors import ParserFailed
from digestd.ingest import parsing
from digestd.log import get_logger
from digestd.model import Document

PARSE_TIMEOUT_SECONDS = 20.0
IDLE_SECONDS = 60.0


class FeedParser:
    """Reads feeds in processes of its own, at most `processes` at one time; see :class:`digestd.kinds.ParseFeed`."""

    def __init__(self, context: trio_parallel.WorkerContext, processes: int) -> None:
        self._context = context
        self._limiter = trio.CapacityLimiter(processes)

    async def __call__(self, body: bytes, url: str, content_type: str | None) -> Document:
        """Read `body`. Raises :class:`digestd.errors.NotAFeed` or :class:`digestd.errors.ParserFailed`.

        Resource handling: a worker that dies is replaced at the next document. Cancellation: kills the worker.
        """
        async with self._limiter:
            return await self._read(body, url, content_type)

    async def _read(self, body: bytes, url: str, content_type: str | None) -> Document:
        try:
            with trio.fail_after(PARSE_TIMEOUT_SECONDS):
                document: Document = await self._context.run_sync(
                    parsing.parse_document,
                    body,
                    url,
                    content_type,
                    kill_on_cancel=True,
                    limiter=trio.CapacityLimiter(1),
                )
                return document
        except trio.TooSlowError:
            reason = f"it could not be read within {PARSE_TIMEOUT_SECONDS:g} s; its parser was stopped"
        except trio_parallel.BrokenWorkerError:
            reason = "its parser died while reading it (out of memory or time, or killed from outside)"
        raise ParserFailed(reason)


@asynccontextmanager
async def open_parser(processes: int) -> AsyncIterator[FeedParser]:
    """A parser with up to `processes` workers, started when first needed and again after an idle minute.

    Resource handling: no worker is left when the block ends; a busy one is killed with the task that waits for it.
    """
    try:
        async with trio_parallel.open_worker_context(
            idle_timeout=IDLE_SECONDS, init=parsing.confine, retire=parsing.is_spent, grace_period=2.0
        ) as context:
            yield FeedParser(context, processes)
    except trio_parallel.BrokenWorkerError:
        # An idle worker did not leave within its grace and was killed. It held nothing.
        get_logger().warning("worker.parser.killed", reason="it did not end by itself")
