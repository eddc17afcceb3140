"""One poll of one claimed source: steps under a deadline, each recorded in its own fenced transaction."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import trio

from digestd.config import WorkerSettings
from digestd.config.access import Access
from digestd.errors import BadURL, ConfigurationError, HostPaused, SourceError, StoreUnavailable
from digestd.feed.outage import OutageDetector
from digestd.feed.silence import is_labelled
from digestd.ingest.bell import Bell
from digestd.ingest.doors import Doors
from digestd.ingest.moving import tell_moved
from digestd.ingest.network.host_keys import host_of
from digestd.ingest.network.large import LargeBodies
from digestd.ingest.older import Course, course_of, is_given_up, is_overflow, set_back, weighed, written_of
from digestd.ingest.pace import our_own
from digestd.ingest.storing import StoreAccess
from digestd.ingest.telling import tell_ended
from digestd.ingest.verdict import (
    ANSWERED,
    UNREACHED,
    broken,
    discreet,
    is_put_off,
    judge,
    late,
    record_of,
    redacted,
    unequipped,
)
from digestd.kinds import Http, Kind, failure_of
from digestd.log import bound, get_logger
from digestd.masking import mask_guid
from digestd.metrics import Metrics
from digestd.model import Failure, Outcome, PollState, Source, Step
from digestd.store import Claim, Fetched, Lease, LeaseLost, Recorded, Refused, StepRecord, Wait

LEASE_MARGIN_SECONDS = 15.0
"""How much longer than a step's deadline its lease holds."""


@dataclass(frozen=True, slots=True)
class PollResult:
    """How one poll ended, and in how many seconds the source is due again.

    `failing` says whether the source's last poll counts as failed. `outcome` is None where the poll was put off or its
    lease was lost: it then counts neither way, and `failure` says why where that is known. `goes_on` says that some of
    it was done, and that its host is to be asked for the rest in a while.
    """

    name: str
    outcome: Outcome | None
    next_delay_seconds: float
    failing: bool
    articles_new: int = 0
    articles_updated: int = 0
    failure: Failure | None = None
    goes_on: bool = False


class Poller:
    """Polls claimed sources. One for all tasks. `news` is rung when there are new articles."""

    def __init__(
        self,
        *,
        store: StoreAccess,
        doors: Doors,
        kinds: Mapping[str, Kind],
        network: OutageDetector,
        metrics: Metrics,
        settings: WorkerSettings,
        chance: random.Random,
        extract: bool = True,
        news: Bell | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._doors = doors
        self._kinds = kinds
        self._network = network
        self._metrics = metrics
        self._settings = settings
        self._chance = chance
        self._extract = extract
        self._news = news or Bell()
        self._now = now
        self._large_bodies = LargeBodies()
        self._unreached: dict[Callable[[], None], str] = {}

    def adopt(self, settings: WorkerSettings) -> None:
        """Go by `settings` from the next step on."""
        self._settings = settings

    @property
    def poll_timeout_seconds(self) -> float:
        """How long a poll may last, from its first byte to its last step."""
        return self._settings.poll_timeout_seconds

    @property
    def lease_seconds(self) -> float:
        """How long a lease for one step holds."""
        return self._settings.poll_timeout_seconds + LEASE_MARGIN_SECONDS

    async def poll(
        self,
        claim: Claim,
        again: Callable[[], Awaitable[None]] | None = None,
        late_seconds: float | None = None,
    ) -> PollResult:
        """Poll `claim.source`, which has been due for `late_seconds`, until there is no more, or half the deadline has
        gone. `again` waits before each further step until the source's host may be asked again; HostPaused from it ends
        the poll, which is put off.

        Error handling: what a server or document does wrong is in the result. A bug of a kind, or of the way into the
        store, is recorded as the source's failure where that is possible, and then raised. StoreUnavailable is raised
        once the lease would end before a retry.
        Resource handling: the lease is given back, at once or when a store that is away has returned.
        Cancellation: what was recorded stays; the step in hand is dropped and its lease released.
        """
        if late_seconds is not None:
            self._metrics.lateness.observe(late_seconds)
        with bound(source=claim.source.name, poll_id=f"{self._chance.getrandbits(48):012x}"):
            if claim.unfinished_claims:
                get_logger().warning("worker.fetch.unfinished", unfinished_claims=claim.unfinished_claims)
            try:
                return await self._steps(claim, again)
            except BaseException:
                await self._store.give_back(Lease(claim.source.id, claim.token))
                raise

    @contextmanager
    def hoping(self, url: str, call: Callable[[], None]) -> Iterator[None]:
        """Within the block `call` is called once our own network is back after an outage that the host of `url` was
        among the first to show: its sources were put off like any that fail."""
        self._unreached[call] = host_of(url)
        try:
            yield
        finally:
            del self._unreached[call]

    def spacing_of(self, source: Source) -> float | None:
        """How far apart starts at the host of `source` have to be, as its kind says; None where that has no say."""
        wants = getattr(self._kinds.get(source.spec.kind), "spacing_seconds", None)
        if wants is None:
            return None
        try:
            return float(wants(source))
        except SourceError:
            # Its poll tells what is wrong with it.
            return None
        # The border round all kinds: without its budget a source is polled as all others.
        except Exception:  # noqa: BLE001 - see above
            get_logger().exception(
                "worker.kind.broken", kind=source.spec.kind, effect="its budget is not kept"
            )
            return None

    def tell_put_off(self, name: str, wait: Wait) -> None:
        """Name a source that is suspected of killing the process, wherever failures show."""
        error = f"{wait.unfinished_claims} polls in a row never ended: this source may be crashing digestd"
        self._metrics.source_polled(name, error, datetime.now(UTC))
        get_logger().error("worker.source.put_off", source=name, error=error, next_in_seconds=wait.seconds)

    def tell_refused(self, name: str, refused: Refused) -> None:
        """Name a source that cannot even be claimed, wherever failures show; its task raises what happened."""
        error = f"the store cannot claim it: {type(refused.error).__name__}: {refused.error}"
        self._metrics.source_polled(name, error, datetime.now(UTC))

    async def _steps(self, claim: Claim, again: Callable[[], Awaitable[None]] | None) -> PollResult:
        began, course = trio.current_time(), course_of(claim)
        while True:
            step, bug = await self._next_step(claim, course, again, began)
            record, answer = await self._written(claim, step, course, began)
            if isinstance(answer, Refused):
                step, bug = broken(course.state, claim.source.spec.kind, answer.error), answer.error
                record, answer = await self._written(claim, step, course, began)
            if isinstance(answer, Refused):
                raise answer.error
            if isinstance(answer, LeaseLost):
                return PollResult(claim.source.name, None, 1.0, claim.consecutive_failures > 0)
            record = written_of(record, answer)
            self._warn_of_overflow(step, answer, course, record)
            course.note(step, record, answer)
            self._warn_of_refused(answer)
            tell_moved(claim.source, record, answer)
            if record.final:
                break
            claim = replace(claim, consecutive_failures=record.consecutive_failures)
        result = PollResult(
            claim.source.name,
            None if is_put_off(step) else step.outcome,
            record.next_delay_seconds,
            record.consecutive_failures > 0,
            course.articles_new,
            course.articles_updated,
            step.failure,
            goes_on=course.steps > 1 and step.failure is not None and step.failure.cause == HostPaused.cause,
        )
        kind = claim.source.spec.kind
        # It becomes a label of metrics, each value of which is kept for good.
        installed = kind if kind in self._kinds else "unknown"
        self._tell(result, record, step, trio.current_time() - began, installed)
        if bug is not None:
            raise bug
        return result

    async def _next_step(
        self, claim: Claim, course: Course, again: Callable[[], Awaitable[None]] | None, began: float
    ) -> tuple[Step, Exception | None]:
        if again is not None and course.steps:
            try:
                await again()
            except HostPaused as paused:
                failure = Failure(paused.cause, str(paused), retry_after_seconds=paused.retry_after)
                return Step(next_state=course.state, failure=failure), None
        limit = self._settings.poll_timeout_seconds
        # No step begins after half the deadline: what the others have left is at least the other half.
        left = max(began + limit - trio.current_time(), limit / 2)
        return await self._step(claim, course.state, min(left, limit))

    async def _step(self, claim: Claim, state: PollState, seconds: float) -> tuple[Step, Exception | None]:
        kind = claim.source.spec.kind
        bug: Exception | None = None
        step: Step | None = None
        access = Access()
        with trio.move_on_after(seconds) as deadline:
            try:
                try:
                    http, access = await self._doors.open(claim.source.spec)
                except (ConfigurationError, BadURL) as error:
                    return unequipped(self._kinds[kind], claim.source, state, error), None
                async with self._large_bodies.step():
                    step = await self._asked(claim.source, state, http)
            # The border round all kinds, third parties' too: what is not a value is a bug, kept apart from Cancelled.
            except* Exception as group:  # noqa: BLE001 - see above
                bug = group
        if step is None and bug is None:
            if deadline.cancelled_caught:
                return late(state, self._settings.poll_timeout_seconds), None
            bug = TypeError("step() returned None")
        if step is None or bug is not None:
            assert bug is not None
            return redacted(broken(state, kind, bug), access), discreet(bug, access)
        step = redacted(step, access)
        self._watch_network(claim.source.url, step.failure)
        return step, None

    async def _asked(self, source: Source, state: PollState, http: Http) -> Step:
        try:
            return await self._kinds[source.spec.kind].step(source, state, http)
        except SourceError as error:
            return Step(next_state=state, failure=failure_of(error))

    def _watch_network(self, url: str, failure: Failure | None) -> None:
        if not url.startswith(("http:", "https:")):
            # What stands in files says nothing of the network.
            return
        host = host_of(url)
        if failure is None or failure.cause in ANSWERED:
            if self._network.answered(host, trio.current_time()):
                get_logger().warning("worker.network.back")
                for call, unreached in self._unreached.items():
                    if self._network.showed(unreached):
                        call()
        elif failure.cause in UNREACHED and self._network.failed_to_connect(host, trio.current_time()):
            get_logger().error(
                "worker.network.away", effect="failures to connect are not counted against sources"
            )

    async def _written(
        self, claim: Claim, step: Step, course: Course, began: float
    ) -> tuple[StepRecord, Recorded | LeaseLost | Refused]:
        now = self._now()
        verdict = judge(
            claim,
            step,
            self._settings,
            now=now,
            chance=self._chance.random(),
            offline=self._network.offline,
            excused=self._network.excuses(host_of(claim.source.url)),
        )
        seconds = trio.current_time() - began
        in_time = seconds < self._settings.poll_timeout_seconds / 2
        final = not (step.more and in_time) or step.failure is not None
        fetched = None
        if (final or step.documents) and not is_put_off(step):
            status = step.failure.status if step.failure else None
            fetched = Fetched(step.outcome, status, seconds, step.body_bytes)
        record = record_of(
            claim,
            step,
            verdict,
            now=now,
            lease_seconds=self.lease_seconds,
            final=final,
            extract=self._extract,
            fetched=fetched,
        )
        counts = record.consecutive_failures > claim.consecutive_failures
        record = set_back(weighed(record, step, course, now, in_time=in_time), step.failure, counts=counts)
        with our_own():
            return record, await self._recorded(record)

    async def _recorded(self, record: StepRecord) -> Recorded | LeaseLost | Refused:
        """Write `record`, trying again while the lease holds: what was fetched is not fetched twice for a hiccup."""
        deadline = trio.current_time() + LEASE_MARGIN_SECONDS
        pause, effect = 0.25, "nothing of this step was written"
        while True:
            try:
                answer = await self._store.record(record)
            except StoreUnavailable:
                if trio.current_time() + pause >= deadline:
                    raise
            else:
                if isinstance(answer, LeaseLost):
                    get_logger().warning("worker.lease.lost", effect=effect)
                return answer
            # The connection may have broken after the commit, which gave the lease back.
            effect = "this step was written before the database went away, or not at all"
            await trio.sleep(pause * (1 + self._chance.random()))
            pause = min(2 * pause, 4.0)

    def _warn_of_overflow(self, step: Step, answer: Recorded, course: Course, record: StepRecord) -> None:
        if is_given_up(course.state, record.next_state, step.failure):
            get_logger().warning("worker.fetch.paging_given_up", effect="older entries are not read")
        if course.overflowed or not is_overflow(step, answer):
            return
        self._metrics.overflows += 1
        get_logger().warning(
            "worker.fetch.overflow",
            entries=answer.articles_new,
            effect="entries before these are looked for on older pages"
            if step.older is not None
            else "entries before these may have been missed",
            next_in_seconds=round(record.next_delay_seconds, 3),
        )

    def _warn_of_refused(self, answer: Recorded) -> None:
        self._metrics.entries_set_aside += len(answer.set_aside)
        for refused in answer.set_aside:
            title = refused.title[:200]
            get_logger().warning(
                "worker.entry.set_aside", guid=mask_guid(refused.guid), title=title, reason=refused.reason
            )

    def _tell(self, result: PollResult, record: StepRecord, step: Step, seconds: float, kind: str) -> None:
        self._metrics.articles_new += result.articles_new
        self._metrics.articles_updated += result.articles_updated
        if result.articles_new:
            self._news.ring()
        if result.outcome is None:
            self._metrics.sources_deferred += 1
            get_logger().info(
                "worker.fetch.deferred", reason=record.last_error, next_in_seconds=record.next_delay_seconds
            )
            return
        failure = result.failure
        self._metrics.poll_ended(kind, step.outcome, seconds, failure.cause if failure else None)
        self._metrics.source_state(result.name, record.state)
        if failure is None or result.failing:
            self._metrics.source_polled(
                result.name, record.last_error if failure else None, datetime.now(UTC)
            )
        if failure is None:
            self._metrics.source_silent(result.name, silent=is_labelled(record.last_error))
        tell_ended(step, record, failure, seconds, result.articles_new, result.articles_updated)
