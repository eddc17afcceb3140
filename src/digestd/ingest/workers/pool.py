"""The daemon's side of the workers: who reads what, for how long, and what their death means. The door to
trio-parallel."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from multiprocessing.context import SpawnContext
from typing import TypeAlias, TypeVar

import trio
import trio_parallel
from trio_parallel import _impl, _proc

from digestd.errors import DocumentError, ParserBusy, ParserDied
from digestd.feed.fast.doubt import Doubt
from digestd.feed.pieces import MOST_BYTES, parse_in_pieces
from digestd.ingest.pace import our_own
from digestd.ingest.workers import confinement, feeds, pages
from digestd.ingest.workers.channel import Channel, widen
from digestd.ingest.workers.heavy import HeavySources, is_heavy, light_seconds
from digestd.log import get_logger
from digestd.model import Document, Entry, FeedParser, Page

T = TypeVar("T")
_Job: TypeAlias = Callable[[float], feeds.Reading]
"""Reads one document in a worker, within so many seconds of processor time."""


class _ParserProcesses(SpawnContext):
    Process = confinement.ParserProcess


class _Worker(_proc.SpawnProcWorker):  # type: ignore[misc]
    mp_context = _ParserProcesses()

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        for pipe in (self._send_pipe, self._recv_pipe):
            widen(pipe)
        self._send_chan = Channel(self._send_pipe.fileno())
        self._receive_chan = Channel(self._recv_pipe.fileno())


# trio-parallel has no public place for the class of its workers.
_impl.WORKER_MAP["spawn"] = _Worker, _proc.WorkerProcCache

# On a machine that is busy with other things. What a document really takes is bounded by feeds.CPU_SECONDS.
PARSE_TIMEOUT_SECONDS = 12.0
# What takes longer is read once more, among what is heavy.
LIGHT_TIMEOUT_SECONDS = 5.0
IDLE_SECONDS = 60.0
# The daemon must not wait for a processor behind its workers, nor a small feed behind what is large or a page.
LIGHT_NICENESS = 1
HEAVY_NICENESS = 5
# Waiting counts against the poll's deadline, and its slot is of use to other sources meanwhile.
QUEUE_SECONDS = 8.0
BUSY_RETRY_SECONDS = 10.0

# Above 1, that the daemon ends a slow worker and tells why; only one whose daemon is gone ends by this.
CPU_SECONDS_PER_SECOND = 1.5


DIED = "its parser died while reading it (out of memory or time, or killed from outside)"


class Workers:
    """Processes that read one document each at one time. Hold a place of `free` while one of them is at work."""

    def __init__(self, context: trio_parallel.WorkerContext, processes: int) -> None:
        self._context = context
        self.free = trio.CapacityLimiter(processes)

    async def run(self, timeout_seconds: float, job: Callable[..., T], *arguments: object) -> T:
        """What `job(*arguments)` returns or raises in a worker, started if none is idle.

        Resource handling: a worker that dies is replaced at the next document. Error handling:
        :class:`digestd.errors.ParserDied` when the worker died or had to be killed after `timeout_seconds`.
        Cancellation: kills the worker.
        """
        try:
            with trio.fail_after(timeout_seconds):
                result: T = await self._context.run_sync(
                    job, *arguments, kill_on_cancel=True, limiter=nullcontext()
                )
                return result
        except trio.TooSlowError:
            reason = f"it could not be read within {timeout_seconds:g} s; its parser was stopped"
        except MemoryError:
            # Of the job itself, before our own code in the worker could see it.
            reason = "it is too large for its parser"
        except trio_parallel.BrokenWorkerError:
            reason = DIED
        except OSError as error:
            # Without a number it is no error of the system's: the worker died in the middle of its answer.
            if error.errno is not None:
                raise
            reason = DIED
        raise ParserDied(reason)


class Parser:
    """Reads feeds, and what else kinds ask for, in processes of its own; see :class:`digestd.kinds.ParseFeed` and
    :class:`digestd.kinds.Read`. No more of `workers` and
    `heavy_workers` together are at work at one time than `workers` has places, and at most half of these on heavy
    documents.

    A document that is not expected to be heavy gets the little time that explains its size; one that needs more is
    heavy, and is read again among its like. So nobody waits for long behind what is small and takes long.
    """

    def __init__(
        self, workers: Workers, heavy_workers: Workers, here_bytes: int, parses: Counter[FeedParser]
    ) -> None:
        self._workers = workers
        self._here_bytes = here_bytes
        self._parses = parses
        # One at a time: between two of its pieces all other tasks run once, and none of them is another such.
        self._turn_here = trio.CapacityLimiter(1)
        # A heavy document mostly costs its worker: others must not wait for the start of the next.
        self._heavy_workers = heavy_workers
        self._heavy_turns = trio.CapacityLimiter(max(1, int(workers.free.total_tokens) // 2))
        self._heavy = HeavySources()

    async def __call__(self, body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
        """Read the feed `body`. Raises :class:`digestd.errors.NotAFeed` or :class:`digestd.errors.ParserFailed`, and
        :class:`digestd.errors.ParserBusy` when every parser stays at work on other documents.

        Resource handling: a worker that dies is replaced at the next document. Cancellation: kills the worker.
        """
        document = None
        if len(body) <= self._here_bytes and not self._heavy.expects(source_url, len(body)):
            with our_own():
                await self._turn_here.acquire()
            try:
                document = await _read_here(body, url, content_type)
            finally:
                self._turn_here.release()
        if document is None:
            job = partial(feeds.parse_document, body, url, content_type)
            return await self._read(job, len(body), source_url)
        return self._counted(document)

    async def read(
        self, reader: Callable[..., Document] | str, body: bytes, *arguments: object, source_url: str
    ) -> Document:
        """See :class:`digestd.kinds.Read`; resource handling and cancellation as above."""
        return await self._read(partial(feeds.read_document, reader, body, arguments), len(body), source_url)

    async def _read(self, job: _Job, size: int, source_url: str) -> Document:
        reading = None
        if not self._heavy.expects(source_url, size):
            reading = await self._read_lightly(job, size)
        if reading is None:
            reading = await self._read_heavily(job, source_url)
        heavy = isinstance(reading.outcome, ParserDied) or is_heavy(reading.cpu_seconds, size)
        self._heavy.note(source_url, heavy=heavy)
        if isinstance(reading.outcome, DocumentError):
            raise reading.outcome
        return self._counted(await _put_together(reading.outcome))

    def _counted(self, document: Document) -> Document:
        if document.parser is not None:
            self._parses[document.parser] += 1
        return document

    async def _read_lightly(self, job: _Job, size: int) -> feeds.Reading | None:
        """What a document of `size` says; None where its parser died of it, most likely for want of time."""
        # How long it waits for what is as small as itself is no fault of its source.
        with our_own():
            async with AsyncExitStack() as held:
                await self._wait_for_parser(held, self._workers.free)
                try:
                    return await self._workers.run(LIGHT_TIMEOUT_SECONDS, job, light_seconds(size))
                except ParserDied:
                    return None

    async def _read_heavily(self, job: _Job, source_url: str) -> feeds.Reading:
        async with AsyncExitStack() as held:
            await self._wait_for_parser(held, self._heavy_turns, self._workers.free)
            try:
                return await self._heavy_workers.run(PARSE_TIMEOUT_SECONDS, job, feeds.CPU_SECONDS)
            except ParserDied:
                self._heavy.note(source_url, heavy=True)
                raise

    async def _wait_for_parser(self, held: AsyncExitStack, *turns: trio.CapacityLimiter) -> None:
        with trio.move_on_after(QUEUE_SECONDS) as waiting:
            for turn in turns:
                await held.enter_async_context(turn)
        if waiting.cancelled_caught:
            message = f"every parser has been busy for {QUEUE_SECONDS:g} s; polled again soon"
            raise ParserBusy(message, retry_after=BUSY_RETRY_SECONDS)


async def _read_here(body: bytes, url: str, content_type: str | None) -> Document | None:
    """The feed `body`, if it can be read in this process without holding up other tasks."""
    pieces = parse_in_pieces(body, url, content_type)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            document: Document = end.value
            return document
        except Doubt:
            return None
        except BaseException as error:
            # What ends a process of its own, and no more, when it comes out of Rust.
            if type(error).__name__ != "PanicException":
                raise
            return None
        await trio.lowlevel.checkpoint()


async def _put_together(parsed: feeds.Parsed) -> Document:
    """The document with its entries. Other tasks run between two slices."""
    entries: list[Entry] = []
    for part in parsed.slices:
        entries.extend(pickle.loads(part))  # noqa: S301 - pickled by our own worker, never by a server
        await trio.lowlevel.checkpoint()
    return replace(parsed.document, entries=tuple(entries))


class PageReader:
    """Reads the pages of articles in processes of its own, each page for at most `timeout_seconds`."""

    def __init__(self, workers: Workers, timeout_seconds: float) -> None:
        self._workers = workers
        self._timeout_seconds = timeout_seconds

    async def __call__(
        self, body: bytes, url: str, content_type: str | None, *, feed_html: str, title: str
    ) -> Page:
        """Read the page `body`, which `url` gave: see :func:`digestd.page.reading.read_page`. Waits for a free worker
        as long as it takes.

        Resource handling: a worker that dies is replaced at the next page. Error handling:
        :class:`digestd.errors.NoArticle`, :class:`digestd.errors.ParserFailed`, and of the latter
        :class:`digestd.errors.ParserDied` when the page took the worker's memory, time or life. Cancellation: kills
        the worker at work on this page.
        """
        seconds = self._timeout_seconds
        cpu_seconds = seconds * CPU_SECONDS_PER_SECOND
        async with self._workers.free:
            return await self._workers.run(
                seconds, pages.read_article, body, url, content_type, feed_html, title, cpu_seconds
            )


@asynccontextmanager
async def open_parser(
    processes: int, *, here_bytes: int = MOST_BYTES, parses: Counter[FeedParser] | None = None
) -> AsyncIterator[Parser]:
    """A parser of feeds with up to `processes` workers at work, started when first needed and again after an idle
    minute; half as many more may be idle. Sound feeds of up to `here_bytes` need none. `parses` counts the documents by
    who read them.

    Resource handling: no worker is left when the block ends; a busy one is killed with the task that waits for it.
    """
    limits = feeds.MEMORY_BYTES, feeds.RESIDENT_BYTES
    async with (
        _open_workers(processes, *limits, niceness=LIGHT_NICENESS) as workers,
        _open_workers(processes, *limits, niceness=HEAVY_NICENESS) as heavy_workers,
    ):
        yield Parser(workers, heavy_workers, here_bytes, Counter() if parses is None else parses)


@asynccontextmanager
async def open_reader(processes: int, timeout_seconds: float) -> AsyncIterator[PageReader]:
    """A reader of pages with up to `processes` workers beside those of :func:`open_parser`, started and ended alike.

    Resource handling: no worker is left when the block ends; a busy one is killed with the task that waits for it.
    """
    limits = pages.MEMORY_BYTES, pages.RESIDENT_BYTES
    async with _open_workers(processes, *limits, niceness=HEAVY_NICENESS) as workers:
        yield PageReader(workers, timeout_seconds)


@asynccontextmanager
async def _open_workers(
    processes: int, memory_bytes: int, resident_bytes: int, *, niceness: int
) -> AsyncIterator[Workers]:
    failure: BaseException | None = None
    try:
        async with trio_parallel.open_worker_context(
            idle_timeout=IDLE_SECONDS,
            init=partial(confinement.confine, memory_bytes, niceness),
            retire=partial(confinement.is_spent, resident_bytes),
            grace_period=2.0,
        ) as context:
            try:
                yield Workers(context, processes)
            except BaseException as error:
                failure = error
                raise
    except trio_parallel.BrokenWorkerError:
        # An idle worker did not leave within its grace and was killed. It held nothing.
        get_logger().warning("worker.parser.killed", reason="it did not end by itself")
        if failure is not None:
            # What ended the block, a cancellation too, must not be lost behind what the worker did.
            raise failure from None
