"""Killable processes for reading what servers send. The door to trio-parallel."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing.context import SpawnContext

import trio
import trio_parallel
from trio_parallel import _proc

from digestd.errors import ParserBusy, ParserFailed
from digestd.ingest import parsing
from digestd.log import get_logger
from digestd.model import Document, Entry


class _ParserProcesses(SpawnContext):
    Process = parsing.ParserProcess


# trio-parallel has no public place for the class of its processes.
_proc.SpawnProcWorker.mp_context = _ParserProcesses()

PARSE_TIMEOUT_SECONDS = 20.0
IDLE_SECONDS = 60.0
# Waiting counts against the poll's deadline, and its slot is of use to other sources meanwhile.
QUEUE_SECONDS = 8.0
BUSY_RETRY_SECONDS = 10.0


class FeedParser:
    """Reads feeds in processes of its own, at most `processes` at one time; see :class:`digestd.kinds.ParseFeed`."""

    def __init__(self, context: trio_parallel.WorkerContext, processes: int) -> None:
        self._context = context
        self._limiter = trio.CapacityLimiter(processes)

    async def __call__(self, body: bytes, url: str, content_type: str | None) -> Document:
        """Read `body`. Raises :class:`digestd.errors.NotAFeed` or :class:`digestd.errors.ParserFailed`, and
        :class:`digestd.errors.ParserBusy` when every parser stays at work on other documents.

        Resource handling: a worker that dies is replaced at the next document. Cancellation: kills the worker.
        """
        async with self._free_parser():
            parsed = await self._read(body, url, content_type)
        return await _put_together(parsed)

    @asynccontextmanager
    async def _free_parser(self) -> AsyncIterator[None]:
        with trio.move_on_after(QUEUE_SECONDS) as waiting:
            await self._limiter.acquire()
        if waiting.cancelled_caught:
            message = f"every parser has been busy for {QUEUE_SECONDS:g} s; polled again soon"
            raise ParserBusy(message, retry_after=BUSY_RETRY_SECONDS)
        try:
            yield
        finally:
            self._limiter.release()

    async def _read(self, body: bytes, url: str, content_type: str | None) -> parsing.Parsed:
        try:
            with trio.fail_after(PARSE_TIMEOUT_SECONDS):
                parsed: parsing.Parsed = await self._context.run_sync(
                    parsing.parse_document,
                    body,
                    url,
                    content_type,
                    kill_on_cancel=True,
                    limiter=trio.CapacityLimiter(1),
                )
                return parsed
        except trio.TooSlowError:
            reason = f"it could not be read within {PARSE_TIMEOUT_SECONDS:g} s; its parser was stopped"
        except MemoryError:
            # Of the job itself, before our own code in the worker could see it.
            reason = "it is too large for its parser"
        except trio_parallel.BrokenWorkerError:
            reason = "its parser died while reading it (out of memory or time, or killed from outside)"
        raise ParserFailed(reason)


async def _put_together(parsed: parsing.Parsed) -> Document:
    """The document with its entries. Other tasks run between two slices."""
    entries: list[Entry] = []
    for part in parsed.slices:
        entries.extend(pickle.loads(part))  # noqa: S301 - pickled by our own worker, never by a server
        await trio.lowlevel.checkpoint()
    return replace(parsed.document, entries=tuple(entries))


@asynccontextmanager
async def open_parser(processes: int) -> AsyncIterator[FeedParser]:
    """A parser with up to `processes` workers, started when first needed and again after an idle minute.

    Resource handling: no worker is left when the block ends; a busy one is killed with the task that waits for it.
    """
    failure: BaseException | None = None
    try:
        async with trio_parallel.open_worker_context(
            idle_timeout=IDLE_SECONDS, init=parsing.confine, retire=parsing.is_spent, grace_period=2.0
        ) as context:
            try:
                yield FeedParser(context, processes)
            except BaseException as error:
                failure = error
                raise
    except trio_parallel.BrokenWorkerError:
        # An idle worker did not leave within its grace and was killed. It held nothing.
        get_logger().warning("worker.parser.killed", reason="it did not end by itself")
        if failure is not None:
            # What ended the block, a cancellation too, must not be lost behind what the worker did.
            raise failure from None
