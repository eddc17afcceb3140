"""A poll of a source that keeps nothing: what it would bring, and when the next one would be."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import trio

from digestd.config import WorkerSettings
from digestd.errors import HostPaused
from digestd.feed.identity import assign
from digestd.feed.outage import OutageDetector
from digestd.ingest.doors import Doors
from digestd.ingest.politeness import Hosts, Turn
from digestd.ingest.poll import Poller
from digestd.ingest.storing import StoreAccess
from digestd.ingest.verdict import PUT_OFF
from digestd.kinds import Http, Kind, failure_of
from digestd.log import Crashes
from digestd.metrics import Metrics
from digestd.model import (
    Document,
    Entry,
    Failure,
    LeftOut,
    Outcome,
    PollState,
    Source,
    SourceSpec,
    State,
    Step,
)
from digestd.store import Claim, HostPause, HostStart, Lease, Recorded, StepRecord, Store

STEPS = 3
"""How many steps of a poll a trial takes, unless it is told otherwise."""
LONGEST_WAIT_SECONDS = 10.0
"""How long it waits for a host, or between two steps: the rest of what takes longer is left."""
CRASHED = "sources.test.crashed"

_TOKEN = "trial"  # noqa: S105 - of a lease that nobody else wants


@dataclass(frozen=True, slots=True)
class Trial:
    """What one poll of the source of `spec` brought, of which nothing was kept.

    `outcome` is None where the poll could not begin; `failure` says why, as it does of one that failed. `entries` are
    what would be kept, those `left_out` what would be set aside. `skip_pages` says why no pages of articles would be
    fetched, None where they would. `unfinished` says that there is more, which was not asked for. The next poll would
    be in `next_delay_seconds` for `schedule_reason`. `words` is what `digestd sources` would say of the source.
    """

    spec: SourceSpec = field(repr=False)
    outcome: Outcome | None
    failure: Failure | None = None
    seconds: float = 0.0
    steps: int = 0
    body_bytes: int = 0
    documents: tuple[Document, ...] = ()
    entries: tuple[Entry, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    skip_pages: str | None = None
    unfinished: bool = False
    state: State = "active"
    schedule_reason: str = ""
    next_delay_seconds: float = 0.0
    words: str | None = None
    effective_url: str | None = field(default=None, repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether the source could be polled."""
        return self.outcome in ("fetched", "unchanged")


class Trials:
    """Tries sources, one at a time, over `doors` and in the turns that `hosts` gives. `kinds` are those that their
    sources may have, `steps` how many steps of a poll are taken."""

    def __init__(
        self,
        doors: Doors,
        hosts: Hosts,
        kinds: Mapping[str, Kind],
        settings: WorkerSettings,
        *,
        extract: bool = True,
        steps: int = STEPS,
        crashes: Crashes | None = None,
    ) -> None:
        self._doors = doors
        self._hosts = hosts
        self._kinds = kinds
        self._settings = settings
        self._extract = extract
        self._steps = steps
        self._crashes = crashes or Crashes()

    async def poll(self, source: Source, *, first: bool = True) -> Trial:
        """Poll `source` from its beginning, as for the `first` time or as one that is known already, and keep nothing:
        neither here nor, by its kind, anywhere else.

        Error handling: what a server, a document or the kind does wrong is in the trial; a bug is logged, too.
        Cancellation: may be cancelled at any moment.
        """
        try:
            kind = _Observed(self._kinds[source.spec.kind])
        except KeyError:
            words = f"the kind {source.spec.kind!r} is not installed here, or cannot be loaded; see the log"
            return Trial(source.spec, None, Failure("settings", words))
        tried, nowhere = kind.harmless(source), _Nowhere(first=first)
        poller = self._poller(kind, tried, nowhere)
        self._hosts.budget(tried.id, tried.url, poller.spacing_of(tried))
        try:
            async with self._hosts.turn(tried.url, longest_pause=LONGEST_WAIT_SECONDS) as turn:
                turn.start()
                began, pace = trio.current_time(), _Pace(turn, self._steps)
                failure = await self._polled(poller, tried, pace, nowhere)
        except HostPaused as paused:
            return Trial(source.spec, None, failure_of(paused))
        finally:
            self._hosts.budget(tried.id, tried.url, None)
        trial = _trial(source.spec, kind.steps, nowhere.records, unfinished=pace.ended)
        seconds = trio.current_time() - began
        if failure is None:
            return replace(trial, seconds=seconds)
        outcome: Outcome | None = None if failure.cause in PUT_OFF else "failed"
        return replace(trial, outcome=outcome, failure=failure, seconds=seconds)

    async def _polled(self, poller: Poller, source: Source, pace: _Pace, nowhere: _Nowhere) -> Failure | None:
        """Why the poll failed, None where it did not."""
        try:
            result = await poller.poll(Claim(source, PollState(), _TOKEN, 0, 0), pace)
        # The border round all kinds, as round the sources of the daemon. What failed was recorded before.
        except Exception as bug:
            if not nowhere.records:
                raise
            self._crashes.tell(CRASHED, bug, subject=source.name, now=trio.current_time(), source=source.name)
            return Failure("bug", (nowhere.records[-1].last_error or "").partition(": ")[2])
        return None if pace.ended else result.failure

    def _poller(self, kind: _Observed, source: Source, nowhere: _Nowhere) -> Poller:
        metrics = Metrics(trio.current_time())
        return Poller(
            store=StoreAccess(cast("Store", nowhere), metrics),
            doors=self._doors,
            kinds={source.spec.kind: kind},
            network=OutageDetector(),
            metrics=metrics,
            settings=self._settings,
            chance=random.Random(),  # noqa: S311 - jitter is no secret
            extract=self._extract,
        )


class _Observed:
    """A kind, and what its steps were."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.steps: list[Step] = []

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`."""
        step = await self._kind.step(source, state, http)
        self.steps.append(step)
        return step

    def spacing_seconds(self, source: Source) -> float:
        """See :class:`digestd.kinds.Kind`."""
        wants = getattr(self._kind, "spacing_seconds", None)
        return 0.0 if wants is None else float(wants(source))

    def harmless(self, source: Source) -> Source:
        """See :class:`digestd.kinds.Kind`."""
        made = getattr(self._kind, "harmless", None)
        return source if made is None else cast("Source", made(source))

    def without_secrets(self, source: Source, state: PollState, reason: str) -> Step:
        """See :class:`digestd.kinds.Kind`."""
        made = getattr(self._kind, "without_secrets", None)
        if made is None:
            return Step(next_state=state, failure=Failure("settings", reason))
        return cast("Step", made(source, state, reason))


class _Nowhere:
    """What a poll asks of a store, and nothing is stored: the steps are in `records`. To who polls for the `first` time
    all entries are new."""

    def __init__(self, *, first: bool) -> None:
        self.records: list[StepRecord] = []
        self._first = first

    async def record(self, records: Sequence[StepRecord]) -> list[Recorded]:
        answers = []
        for record in records:
            all_new = self._first and bool(record.entries) and record.if_all_new is not None
            written = record.if_all_new if all_new and record.if_all_new is not None else record
            self.records.append(written)
            answers.append(Recorded(len(record.entries), 0, all_new=all_new))
        return answers

    async def release(self, leases: Sequence[Lease]) -> None:
        """There is none."""

    async def claim(self, requests: object) -> list[Claim]:
        raise AssertionError("a trial claims nothing")

    async def record_pages(self, records: object) -> list[object]:
        raise AssertionError("a trial reads no pages of articles")

    async def start_at_hosts(self, starts: Sequence[HostStart]) -> list[None]:
        return [None] * len(starts)

    async def pause_hosts(self, pauses: Sequence[HostPause]) -> None:
        """Nobody else is told."""


class _Pace:
    """Waits before each further step, and lets no more than `steps` begin; `ended` says that it kept one from it."""

    def __init__(self, turn: Turn, steps: int) -> None:
        self._turn = turn
        self._left = steps
        self.ended = False

    async def __call__(self) -> None:
        self._left -= 1
        delay = self._turn.host_start().delay_seconds
        if self._left <= 0 or delay > LONGEST_WAIT_SECONDS:
            self.ended = True
            raise HostPaused("the rest is left to the poll itself", retry_after=delay)
        await trio.sleep(delay)


def _trial(
    spec: SourceSpec, steps: Sequence[Step], records: Sequence[StepRecord], *, unfinished: bool
) -> Trial:
    # The last record of one that was ended says only that.
    told = records[-2] if unfinished else records[-1]
    documents = tuple(document for step in steps for document in step.documents)
    effective_urls = [record.effective_url for record in records if record.effective_url is not None]
    return Trial(
        spec=spec,
        outcome="fetched" if documents else "unchanged",
        steps=len(steps),
        body_bytes=sum(step.body_bytes for step in steps),
        documents=documents,
        # As the store takes them: exact repeats are one.
        entries=tuple(one.entry for one in assign([entry for one in documents for entry in one.entries], [])),
        left_out=tuple(one for document in documents for one in document.left_out),
        skip_pages=told.skip_pages,
        unfinished=unfinished,
        state=told.state,
        schedule_reason=told.schedule_reason,
        next_delay_seconds=told.next_delay_seconds,
        words=told.last_error,
        effective_url=effective_urls[-1] if effective_urls else None,
    )
