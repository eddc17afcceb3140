"""The daemon's side of the workers: who reads what, for how long, and what their death means. The door to
trio-parallel."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from multiprocessing.context import SpawnContext
from typing import TypeVar

import trio
import trio_parallel
from trio_parallel import _proc

from digestd.errors import ParserBusy, ParserDied
from digestd.ingest.workers import confinement, feeds, pages
from digestd.log import get_logger
from digestd.model import Document, Entry, Page

T = TypeVar("T")


class _ParserProcesses(SpawnContext):
    Process = confinement.ParserProcess


# trio-parallel has no public place for the class of its processes.
_proc.SpawnProcWorker.mp_context = _ParserProcesses()

# On a machine that is busy with other things. What a document really takes is bounded by feeds.CPU_SECONDS.
PARSE_TIMEOUT_SECONDS = 12.0
# A document that takes so long, or kills its parser, is heavy: see HeavyDocuments.
HEAVY_SECONDS = 1.0
# A document of this size may take long: it counts as heavy before anybody has read it.
HEAVY_BYTES = 1024 * 1024
IDLE_SECONDS = 60.0
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


class HeavyDocuments:
    """Which addresses gave a document last time that took its parser long. These, and what is large, share half of the
    parsers, so that they do not stand in the way of all others."""

    _MOST = 10_000

    def __init__(self, processes: int) -> None:
        self._turns = trio.CapacityLimiter(max(1, processes // 2))
        self._urls: dict[str, None] = {}

    def expects(self, url: str, size: int) -> bool:
        """Whether the document of `url`, of `size` bytes, is likely to take long."""
        return size > HEAVY_BYTES or url in self._urls

    def turn(self, url: str, size: int = 0) -> AbstractAsyncContextManager[object]:
        """What to hold while the document of `url`, of `size` bytes, is read. Cancellation: nothing is held."""
        return self._turns if self.expects(url, size) else nullcontext()

    def note(self, url: str, *, heavy: bool) -> None:
        """Remember how it went with the document of `url`."""
        self._urls.pop(url, None)
        if heavy:
            self._urls[url] = None
        if len(self._urls) > self._MOST:
            del self._urls[next(iter(self._urls))]


class FeedParser:
    """Reads feeds in processes of its own; see :class:`digestd.kinds.ParseFeed`. No more of `workers` and
    `heavy_workers` together are at work at one time than `workers` has places."""

    def __init__(self, workers: Workers, heavy_workers: Workers) -> None:
        self._workers = workers
        # A large document mostly costs its worker: others must not wait for the start of the next.
        self._heavy_workers = heavy_workers
        self._heavy = HeavyDocuments(int(workers.free.total_tokens))

    async def __call__(self, body: bytes, url: str, content_type: str | None) -> Document:
        """Read `body`. Raises :class:`digestd.errors.NotAFeed` or :class:`digestd.errors.ParserFailed`, and
        :class:`digestd.errors.ParserBusy` when every parser stays at work on other documents.

        Resource handling: a worker that dies is replaced at the next document. Cancellation: kills the worker.
        """
        async with AsyncExitStack() as held:
            heavy = self._heavy.expects(url, len(body))
            await self._wait_for_parser(self._heavy.turn(url, len(body)), held)
            workers = self._heavy_workers if heavy else self._workers
            parsed = await self._parsed(workers, body, url, content_type)
        return await _put_together(parsed)

    async def _wait_for_parser(self, turn: AbstractAsyncContextManager[object], held: AsyncExitStack) -> None:
        with trio.move_on_after(QUEUE_SECONDS) as waiting:
            await held.enter_async_context(turn)
            await held.enter_async_context(self._workers.free)
        if waiting.cancelled_caught:
            message = f"every parser has been busy for {QUEUE_SECONDS:g} s; polled again soon"
            raise ParserBusy(message, retry_after=BUSY_RETRY_SECONDS)

    async def _parsed(
        self, workers: Workers, body: bytes, url: str, content_type: str | None
    ) -> feeds.Parsed:
        begin = trio.current_time()
        died = False
        try:
            return await workers.run(PARSE_TIMEOUT_SECONDS, feeds.parse_document, body, url, content_type)
        except ParserDied:
            died = True
            raise
        finally:
            self._heavy.note(url, heavy=died or trio.current_time() - begin > HEAVY_SECONDS)


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
async def open_parser(processes: int) -> AsyncIterator[FeedParser]:
    """A parser of feeds with up to `processes` workers at work, started when first needed and again after an idle
    minute; half as many more may be idle.

    Resource handling: no worker is left when the block ends; a busy one is killed with the task that waits for it.
    """
    limits = feeds.MEMORY_BYTES, feeds.RESIDENT_BYTES
    async with (
        _open_workers(processes, *limits) as workers,
        _open_workers(processes, *limits) as heavy_workers,
    ):
        yield FeedParser(workers, heavy_workers)


@asynccontextmanager
async def open_reader(processes: int, timeout_seconds: float) -> AsyncIterator[PageReader]:
    """A reader of pages with up to `processes` workers beside those of :func:`open_parser`, started and ended alike.

    Resource handling: no worker is left when the block ends; a busy one is killed with the task that waits for it.
    """
    async with _open_workers(processes, pages.MEMORY_BYTES, pages.RESIDENT_BYTES) as workers:
        yield PageReader(workers, timeout_seconds)


@asynccontextmanager
async def _open_workers(processes: int, memory_bytes: int, resident_bytes: int) -> AsyncIterator[Workers]:
    failure: BaseException | None = None
    try:
        async with trio_parallel.open_worker_context(
            idle_timeout=IDLE_SECONDS,
            init=partial(confinement.confine, memory_bytes),
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
