"""Extraction without network or workers: the in-memory store, and pages that are functions."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast

import trio

from digestd.feed.identity import content_hash_of, identity_of
from digestd.ingest.bell import Bell
from digestd.ingest.extraction.pages import Pages
from digestd.ingest.extraction.service import Extraction, Limits
from digestd.ingest.politeness import Hosts
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.storing import StoreAccess
from digestd.metrics import Metrics
from digestd.model import Entry, Page, PollState, Response, SourceSpec
from digestd.store import Claim, ClaimRequest, PageClaim, StepRecord
from support.memory_store import MemoryStore

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)

Answer = Callable[[str], Awaitable[str]]


class FunctionPages:
    """`Pages`, done by a function from URL to text; remembers when each URL was asked for, and how many at a time."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[tuple[str, float]] = []
        self.at_work = 0
        self.most_at_work = 0

    async def fetch(self, url: str) -> Response:
        self.asked.append((url, trio.current_time()))
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            text = await self._answer(url)
        finally:
            self.at_work -= 1
        return Response(url, 200, {"content-type": "text/html"}, text.encode())

    async def read(self, claim: PageClaim, response: Response) -> Page:
        await trio.lowlevel.checkpoint()
        text = response.body.decode()
        return Page(text, sha256(text.encode()).hexdigest(), response.url)


async def own_text(url: str) -> str:
    """Each page says something else."""
    await trio.sleep(0.1)
    return f"The text of {url}"


class ExtractionBench:
    """Everything that extraction needs, by the clock of the current Trio run."""

    def __init__(
        self, answer: Answer = own_text, *, pages: int = 4, per_source: int = 3, **hosts: Any
    ) -> None:
        began = trio.current_time()
        self.store = MemoryStore(lambda: EPOCH + timedelta(seconds=trio.current_time() - began))
        self.pages = FunctionPages(answer)
        self.metrics = Metrics(began)
        self.shutdown = Shutdown()
        self.hosts = Hosts(hosts.get("concurrency", 2), hosts.get("delay_seconds", 0))
        self.outcomes: list[str] = []
        self.bell = Bell()
        self.access = StoreAccess(self.store, self.metrics)
        self.extraction = Extraction(
            pages=cast(Pages, self.pages),
            store=self.access,
            hosts=self.hosts,
            shutdown=self.shutdown,
            metrics=self.metrics,
            chance=random.Random(1),
            limits=Limits(pages, per_source, lease_seconds=300),
            bell=self.bell,
            on_page=self.outcomes.append,
        )

    async def add(self, **articles: int) -> None:
        """Sources with so many articles each, on a host of their own, newer ones with higher numbers."""
        specs = [SourceSpec(name, "feed", f"https://{name}.example/feed") for name in articles]
        await self.store.sync_sources(specs)
        for status in await self.store.sources():
            name = status.source.name
            if name in articles:
                await self._record(
                    status.source.id, [entry(name, number) for number in range(articles[name])]
                )

    async def drain(self, seconds: float = 100_000) -> None:
        """Let extraction work until nothing is due."""
        finished = trio.Event()
        finished.set()
        with trio.fail_after(seconds):
            await self.extraction.drain(finished)

    def rows(self, **columns: Any) -> list[dict[str, Any]]:
        """The articles whose `columns` have these values."""
        return [
            row
            for row in self.store.kept.values()
            if all(row[name] == value for name, value in columns.items())
        ]

    async def _record(self, source_id: int, entries: list[Entry]) -> None:
        (claim,) = await self.store.claim([ClaimRequest(source_id, 60, force=True)])
        assert isinstance(claim, Claim)
        step = StepRecord(
            source_id=source_id,
            token=claim.token,
            next_state=PollState(),
            succeeded=True,
            consecutive_failures=0,
            state="active",
            schedule_reason="interval",
            next_delay_seconds=300,
            lease_seconds=60,
            entries=tuple(entries),
        )
        await self.store.record([step])


def entry(source: str, number: int) -> Entry:
    """The entry `number` of `source`, a minute newer than the one before it."""
    link = f"https://{source}.example/{number}"
    return Entry(
        identity=identity_of(link, link, "A title", None, None),
        content_hash=content_hash_of("A title", None, link, None, None),
        guid=link,
        link=link,
        title="A title",
        published_at=EPOCH - timedelta(days=1) + timedelta(minutes=number),
        published_raw="yesterday",
    )
