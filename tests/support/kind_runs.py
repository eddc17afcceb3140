"""Polls of a kind without a daemon: a site of documents in memory, readers called here, and steps that are recorded or
lost as a test wants it."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from digestd.errors import HTTPStatus, SourceError
from digestd.feed.parse import parse_feed
from digestd.ingest.network.statuses import sentence
from digestd.kinds import Kind, Reader, Tools, failure_of
from digestd.model import Document, Entry, Failure, PollState, Response, Source, Step
from support.asking import GetsOnly

EPOCH = datetime(2026, 11, 23, 8, tzinfo=UTC)


class Killed(BaseException):
    """The process ends here."""


async def parse_here(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    """See :class:`digestd.kinds.ParseFeed`, in this process."""
    return parse_feed(body, url, content_type)


async def read_here(reader: Reader, body: bytes, *arguments: object, source_url: str) -> Document:
    """See :class:`digestd.kinds.Read`, in this process."""
    if isinstance(reader, str):
        module, _, name = reader.partition(":")
        reader = getattr(importlib.import_module(module), name)
    assert not isinstance(reader, str)
    return reader(body, *arguments)


@dataclass
class Site(GetsOnly):
    """Documents by URL: bytes are answered with an entity tag where `tagged`, numbers are the status of an error, and
    what can be called is. `asked` are the URLs in the order they were asked for, `sent` the header fields."""

    documents: dict[str, Any] = field(default_factory=dict)
    content_type: str = "application/xml"
    tagged: bool = True
    asked: list[str] = field(default_factory=list)
    sent: list[Mapping[str, str]] = field(default_factory=list)
    before: Callable[[str], None] = lambda url: None

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        self.asked.append(url)
        self.sent.append(headers or {})
        self.before(url)
        document = self.documents.get(url, 404)
        if callable(document):
            document = document()
        if isinstance(document, int):
            raise HTTPStatus(sentence(document), status=document)
        fields = {"content-type": self.content_type}
        if self.tagged:
            fields["etag"] = f'"{hash(document)}"'
            if (headers or {}).get("If-None-Match") == fields["etag"]:
                return Response(url, 304, fields, b"")
        return Response(url, 200, fields, document)


@dataclass
class Run:
    """Polls `source` by `kind` (made with tools of ours), and keeps what was recorded: the state, and how often each
    entry came, by its link or guid."""

    make: Callable[[Tools], Kind]
    source: Source
    http: Any
    now: datetime = EPOCH
    state: PollState = field(default_factory=PollState)
    kept: Counter[str] = field(default_factory=Counter)
    entries: dict[str, Entry] = field(default_factory=dict)
    last: Step | None = None

    def __post_init__(self) -> None:
        self._kind = self.make(Tools(parse_here, lambda: self.now, read_here))

    async def poll(self, record: Callable[[], None] = lambda: None, most_steps: int = 10_000) -> Step | None:
        """One poll; `record` is called before and after each step is recorded, and may raise `Killed`. Returns the last
        step that was recorded."""
        done: Step | None = None
        try:
            for _ in range(most_steps):
                step = await self.step()
                record()
                done = self.last = step
                self.state = step.next_state
                for document in step.documents:
                    for entry in document.entries:
                        name = entry.link or entry.guid or ""
                        self.kept[name] += 1
                        self.entries[name] = entry
                record()
                if not step.more or step.failure is not None:
                    break
        except Killed:
            pass
        return done

    async def step(self) -> Step:
        """One step, not recorded."""
        try:
            return await self._kind.step(self.source, self.state, self.http)
        except SourceError as error:
            return Step(self.state, failure=failure_of(error))

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def failure(self) -> Failure | None:
        """Why the last step failed."""
        return self.last.failure if self.last else None
