"""The process that reads one source of any kind: it can end at any request and at any transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import trio

from digestd.ingest.poll import PollResult
from digestd.kinds import Http, Kind, Reader, Tools
from digestd.model import Document, PollState, Source, SourceSpec, Step
from digestd.store import Claim, ClaimRequest, Wait
from support.paged_site import Killed, MortalStore
from support.polling import EPOCH, Bench


async def read_here(reader: Reader, body: bytes, *arguments: object, source_url: str) -> Document:
    """What `reader` makes of `body`, read at once."""
    assert callable(reader)
    return reader(body, *arguments)


def clock() -> datetime:
    """Now, by the clock of the current Trio run."""
    return EPOCH + timedelta(seconds=trio.current_time())


class ApiReader:
    """Polls the source at `url` with the kind that `make` builds, over `http`, in a process that is started anew after
    each end. `steps` are those that came to their end."""

    def __init__(self, make: Callable[[Tools], Kind], http: Http, url: str, **options: object) -> None:
        self.http = http
        self.store = MortalStore()
        # The bench knows one kind, by this name.
        self.spec = SourceSpec("one", "feed", url, options=options)
        self.kind = make(Tools(_no_feeds, clock, read_here))
        self.steps: list[Step] = []
        self.start()

    def start(self) -> None:
        """Begin a new process, which knows what the store knows."""
        self.store.alive = True
        self.bench = Bench(self._step, store=self.store)

    async def _step(self, source: Source, state: PollState) -> Step:
        step = await self.kind.step(source, state, self.http)
        self.steps.append(step)
        return step

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
            return await self.bench.around.poller.poll(answer, None)
        except Killed:
            self.start()
            return None

    @property
    def row(self) -> Mapping[str, Any]:
        """The source, as the store has it."""
        (row,) = self.store.rows.values()
        return row

    @property
    def articles(self) -> dict[str, Mapping[str, Any]]:
        """What is kept, by guid; none is there twice."""
        kept: dict[str, Mapping[str, Any]] = {
            str(article["guid"]): article for article in self.store.kept.values()
        }
        assert len(kept) == len(self.store.kept)
        return kept


async def _no_feeds(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    raise AssertionError(f"no feed is read from {url}")
