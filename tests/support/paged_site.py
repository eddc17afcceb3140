"""A feed in pages, and the process that reads it: which can end at any request and at any transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import trio

from digestd.errors import HTTPStatus
from digestd.feed.parse import parse_feed
from digestd.ingest.poll import PollResult
from digestd.kinds import Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, PollState, Response, Source, SourceSpec, Step
from digestd.store import Claim, ClaimRequest, Lease, LeaseLost, Recorded, Refused, StepRecord, Wait
from support.asking import GetsOnly
from support.memory_store import MemoryStore
from support.polling import EPOCH, Bench

URL = "https://one.example/feed"


class Killed(BaseException):
    """The process is gone, wherever it was."""


def atom(guids: Sequence[str], older: str = "", relation: str = "next") -> bytes:
    """A feed of these entries, with a link to older ones."""
    link = f"<link rel='{relation}' href='{older}'/>" if older else ""
    entries = "".join(f"<entry><id>{guid}</id><title>{guid}</title></entry>" for guid in guids)
    return f"<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title>{link}{entries}</feed>".encode()


@dataclass
class PagedSite(GetsOnly):
    """A server of `size` entries a page, the newest first. `asked` are the pages that were asked for; `trouble` is
    called with the number of each request and may raise; `pages` are served instead, by URL."""

    size: int = 3
    entries: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    conditional: list[str] = field(default_factory=list)
    trouble: Callable[[int], None] = lambda number: None
    pages: dict[str, bytes | Exception] = field(default_factory=dict)
    relation: str = "next"
    in_header: bool = False
    mark: str = ""

    def publish(self, count: int) -> None:
        """Let so many new entries come."""
        for _ in range(count):
            self.entries.insert(0, f"e{len(self.entries)}")

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        await trio.lowlevel.checkpoint()
        self.asked.append(url.removeprefix(URL))
        self.trouble(len(self.asked))
        served = self.pages.get(url)
        if isinstance(served, Exception):
            raise served
        if served is not None:
            # The door takes user info away.
            return Response(url.replace("me:pw@", ""), 200, {}, served)
        return self._page(url, headers or {})

    def _page(self, url: str, headers: Mapping[str, str]) -> Response:
        number = int(parse_qs(urlsplit(url).query).get("page", ["1"])[0])
        guids = self.entries[(number - 1) * self.size : number * self.size]
        older = f"{URL}?page={number + 1}" if len(self.entries) > number * self.size else ""
        etag = f'"{guids[0] if guids else ""}"'
        if headers.get("If-None-Match") == etag:
            return Response(url, 304, {"etag": etag}, b"")
        fields = {"etag": etag}
        if older and self.in_header:
            fields["link"] = f"<https://one.example/>; rel=start, <{older}>; rel='{self.relation}'".replace(
                "'", '"'
            )
            older = ""
        return Response(url, 200, fields, atom(guids, older, self.relation))


async def parsed(
    body: bytes, url: str, content_type: str | None, *, source_url: str, proven: bool = False
) -> Document:
    """A feed, read at once."""
    return parse_feed(body, url, content_type)


class MortalStore(MemoryStore):
    """Dies before or after some transactions that record, if told so, and then does nothing any more."""

    def __init__(self) -> None:
        began = trio.current_time()
        super().__init__(lambda: EPOCH + timedelta(seconds=trio.current_time() - began))
        self.alive = True
        self.records = 0
        self.dies_before: set[int] = set()
        self.dies_after: set[int] = set()

    async def record(self, records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        self.records += 1
        self._die_if(self.records in self.dies_before)
        answers = await super().record(records)
        self._die_if(self.records in self.dies_after)
        return answers

    async def release(self, leases: Sequence[Lease]) -> None:
        self._die_if(not self.alive)
        await super().release(leases)

    def _die_if(self, dies: bool) -> None:
        if dies:
            self.alive = False
            raise Killed


class Reader:
    """Polls `site` as one source, in a process that is started anew after each end."""

    def __init__(self, site: PagedSite, *, url: str = URL, **options: bool) -> None:
        self.site = site
        self.store = MortalStore()
        self.spec = SourceSpec("one", "feed", url, options=options)
        self._kind = FeedKind(Tools(parsed, lambda: EPOCH + timedelta(seconds=trio.current_time())))
        self.again: Callable[[], Awaitable[None]] | None = None
        self.start()

    def start(self) -> None:
        """Begin a new process, which knows what the store knows."""
        self.store.alive = True
        self.bench = Bench(self._step, store=self.store)

    async def _step(self, source: Source, state: PollState) -> Step:
        return await self._kind.step(source, state, self.site)

    async def poll(self) -> PollResult | None:
        """One poll, due or not; None where the source was put off, which is waited for, or the process was killed."""
        if not self.store.rows:
            await self.store.sync_sources([self.spec])
        (source_id,) = self.store.rows
        (answer,) = await self.store.claim([ClaimRequest(source_id, 75, force=True)])
        if isinstance(answer, Wait):
            await trio.sleep(answer.seconds + 1)
            return None
        assert isinstance(answer, Claim)
        try:
            return await self.bench.around.poller.poll(answer, self.again)
        except Killed:
            self.start()
            return None

    @property
    def row(self) -> Mapping[str, object]:
        """The source, as the store has it."""
        (row,) = self.store.rows.values()
        return row

    @property
    def kept(self) -> list[str]:
        """The guids of what is kept, in the order of their ids."""
        return [str(article["guid"]) for article in self.store.kept.values()]

    @property
    def is_paging(self) -> bool:
        """Whether older pages are still to be read."""
        cursor = self.row["cursor"]
        return isinstance(cursor, Mapping) and "older" in cursor


def broken(status: int = 500) -> HTTPStatus:
    """What a server says that is broken."""
    return HTTPStatus(f"the server answered {status}", status=status)
