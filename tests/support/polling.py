"""A pipeline without network or database: the in-memory store, and kinds that are functions."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import trio

from digestd.config import Secrets, WorkerSettings
from digestd.feed.outage import OutageDetector
from digestd.ingest.bell import Bell
from digestd.ingest.doors import Doors
from digestd.ingest.politeness import Hosts
from digestd.ingest.poll import Poller
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.slots import Slots
from digestd.ingest.source import Surroundings
from digestd.ingest.storing import StoreAccess
from digestd.kinds import Http, Kind
from digestd.metrics import Metrics
from digestd.model import (
    Document,
    Entry,
    Failure,
    PollState,
    Response,
    Source,
    SourceSpec,
    SourceStatus,
    Step,
)
from support.asking import GetsOnly
from support.memory_store import MemoryStore

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)

StepFunction = Callable[[Source, PollState], Awaitable[Step]]


class FunctionKind:
    """The kind `feed`, done by a function; remembers when each source was asked."""

    def __init__(self, step: StepFunction) -> None:
        self._step = step
        self.asked: list[tuple[str, float]] = []

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        self.asked.append((source.name, trio.current_time()))
        return await self._step(source, state)


class NoHttp(GetsOnly):
    """For kinds that ask nobody."""

    mark = ""

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        raise AssertionError(f"nobody asks for {url} here")


class Bench:
    """Everything that a source's life needs, by the clock of the current Trio run."""

    def __init__(
        self,
        step: StepFunction,
        *,
        delay_seconds: float = 0,
        store: MemoryStore | None = None,
        **worker: float,
    ) -> None:
        began = trio.current_time()
        self.clock_is_ahead = timedelta(0)
        self.now = lambda: EPOCH + timedelta(seconds=trio.current_time() - began) + self.clock_is_ahead
        self.store = store or MemoryStore(self.now)
        self.kind = FunctionKind(step)
        self.metrics = Metrics(began)
        self.settings = WorkerSettings(**{"jitter_seconds": 0, **worker})  # type: ignore[arg-type]
        self.hosts = Hosts(2, delay_seconds)
        self.network = OutageDetector()
        self.shutdown = Shutdown()
        self.news = Bell()
        self.slots = Slots(self.settings.max_sources)
        kinds: Mapping[str, Kind] = {"feed": self.kind}
        access = StoreAccess(self.store, self.metrics)
        chance = random.Random(1)
        self.doors = Doors(NoHttp(), Secrets({}, {}))
        poller = Poller(
            store=access,
            doors=self.doors,
            kinds=kinds,
            network=self.network,
            metrics=self.metrics,
            settings=self.settings,
            chance=chance,
            news=self.news,
            now=self.now,
        )
        self.around = Surroundings(poller, access, self.hosts, self.slots, self.shutdown, chance)

    async def add(self, *names: str, host: Callable[[str], str] = str) -> list[SourceStatus]:
        """Make the store's sources be `names`, each on the host that `host` makes of its name."""
        specs = [SourceSpec(name, "feed", f"https://{host(name)}.example/{name}") for name in names]
        await self.store.sync_sources(specs)
        return await self.store.sources()

    async def status(self, name: str = "one") -> SourceStatus:
        """What the store says of a source."""
        return next(status for status in await self.store.sources() if status.source.name == name)

    def times(self, name: str = "one") -> list[float]:
        """When a source was asked, in seconds since the metrics began."""
        return [round(when - self.metrics.started, 3) for asked, when in self.kind.asked if asked == name]


def entries(*guids: str) -> tuple[Entry, ...]:
    """Entries that differ by guid alone."""
    return tuple(Entry(identity=guid, content_hash=guid, guid=guid, title=guid) for guid in guids)


def fetched(
    *guids: str, etag: str | None = None, more: bool = False, cursor: Mapping[str, object] | None = None
) -> Step:
    """A step that brought `guids`."""
    document = Document("https://one.example/feed", "rss20", entries=entries(*guids))
    return Step(next_state=PollState(etag=etag, cursor=cursor), documents=(document,), more=more)


def failed(cause: str, *, status: int | None = None, retry_after: float | None = None) -> Step:
    """A step that failed."""
    return Step(next_state=PollState(), failure=Failure(cause, "it broke", status, retry_after))


def always(step: Step) -> StepFunction:
    """A kind that always answers `step`."""

    async def answer(source: Source, state: PollState) -> Step:
        return step

    return answer


def in_turn(steps: Sequence[Step]) -> StepFunction:
    """A kind that answers `steps` one after the other, and the last for ever."""
    left = list(steps)

    async def answer(source: Source, state: PollState) -> Step:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer
