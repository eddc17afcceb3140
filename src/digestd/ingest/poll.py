"""One poll of one claimed source: steps under a deadline, each recorded in its own fenced transaction."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import trio

from digestd.config import WorkerSettings
from digestd.errors import StoreUnavailable
from digestd.feed.outage import OutageDetector
from digestd.feed.schedule import Schedule, after_deferral, after_failure, after_success, state_after
from digestd.ingest.politeness import Hosts, key_of
from digestd.ingest.storing import StoreAccess
from digestd.kinds import Http, Kind
from digestd.log import bound, get_logger
from digestd.metrics import Metrics
from digestd.model import Failure, Outcome, PollState, Step
from digestd.store import Claim, Lease, LeaseLost, Recorded, Refused, StepRecord

LEASE_MARGIN_SECONDS = 15.0
"""How much longer than a step's deadline its lease holds."""
THROTTLED_PAUSE_SECONDS = 60.0
"""How long a host that answers 429 without Retry-After is left alone."""

_AWAY = frozenset({"dns", "connect"})
_BUG = "bug"
_PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class PollResult:
    """How one poll ended, and in how many seconds the source is due again.

    `failing` says whether the source's last poll counts as failed. `outcome` is None where the poll was put off or its
    lease was lost: it then counts neither way.
    """

    name: str
    outcome: Outcome | None
    next_delay_seconds: float
    failing: bool
    articles_new: int = 0
    articles_updated: int = 0
    failure: Failure | None = None


class Poller:
    """Polls claimed sources. One for all tasks."""

    def __init__(
        self,
        *,
        store: StoreAccess,
        http: Http,
        kinds: Mapping[str, Kind],
        hosts: Hosts,
        network: OutageDetector,
        metrics: Metrics,
        settings: WorkerSettings,
        chance: random.Random,
    ) -> None:
        self._store = store
        self._http = http
        self._kinds = kinds
        self._hosts = hosts
        self._network = network
        self._metrics = metrics
        self._settings = settings
        self._chance = chance

    @property
    def lease_seconds(self) -> float:
        """How long a lease for one step holds."""
        return self._settings.poll_timeout_seconds + LEASE_MARGIN_SECONDS

    async def poll(self, claim: Claim) -> PollResult:
        """Poll `claim.source` until there is no more, or half the deadline has gone.

        Error handling: what a server or document does wrong is in the result. A bug of a kind is recorded as the
        source's failure and then raised. StoreUnavailable is raised once the lease would end before a retry.
        Resource handling: the lease is given back, or left to expire where the store is away.
        Cancellation: what was recorded stays; the step in hand is dropped and its lease released.
        """
        with bound(source=claim.source.name, poll_id=uuid.uuid4().hex[:12]):
            if claim.unfinished_claims:
                get_logger().warning("worker.fetch.unfinished", unfinished_claims=claim.unfinished_claims)
            settled = False
            try:
                result = await self._steps(claim)
                settled = result.outcome is not None
                return result
            finally:
                if not settled:
                    await self._release(claim)

    async def _steps(self, claim: Claim) -> PollResult:
        began = trio.current_time()
        half_time = began + self._settings.poll_timeout_seconds / 2
        state, new, updated = claim.state, 0, 0
        while True:
            step, bug = await self._step(claim, state)
            if step.failure and step.failure.cause == _PAUSED:
                return self._deferred(claim, step.failure)
            final = not step.more or step.failure is not None or trio.current_time() >= half_time
            record = self._record_of(claim, step, final=final)
            answer = await self._recorded(record)
            if isinstance(answer, Refused):
                step, bug = _failed(claim, state, answer.error), answer.error
                record = self._record_of(claim, step, final=True)
                answer = await self._recorded(record)
            if isinstance(answer, LeaseLost):
                get_logger().warning("worker.lease.lost", effect="nothing of this step was written")
                return PollResult(claim.source.name, None, 1.0, claim.consecutive_failures > 0)
            if isinstance(answer, Refused):
                raise answer.error
            state, new, updated = (
                step.next_state,
                new + answer.articles_new,
                updated + answer.articles_updated,
            )
            if record.final:
                break
        result = _result(claim, step, record, new, updated)
        self._tell(result, record, answer, step, trio.current_time() - began)
        if bug is not None:
            raise bug
        return result

    async def _step(self, claim: Claim, state: PollState) -> tuple[Step, Exception | None]:
        kind = self._kinds[claim.source.spec.kind]
        bug: ExceptionGroup[Exception] | None = None
        step = None
        limit = self._settings.poll_timeout_seconds
        with trio.move_on_after(limit):
            try:
                step = await kind.step(claim.source, state, self._http)
            # The border round all kinds, third parties' too: what is not a value is a bug, kept apart from Cancelled.
            except* Exception as group:  # noqa: BLE001 - see above
                bug = group
        if step is None and bug is None:
            failure = Failure(
                "timeout", f"the poll did not end within {limit:g} s (worker.poll_timeout_seconds)"
            )
            step = Step(next_state=state, failure=failure)
        elif step is None or bug is not None:
            step = _failed(claim, state, bug)
        return step, bug

    def _record_of(self, claim: Claim, step: Step, *, final: bool) -> StepRecord:
        failures, schedule = self._judge(claim, step)
        delay = 0.0 if step.more and final and step.failure is None else schedule.delay_seconds
        failure = step.failure
        return StepRecord(
            source_id=claim.source.id,
            token=claim.token,
            next_state=step.next_state,
            succeeded=failure is None,
            consecutive_failures=failures,
            state=state_after(failures),
            schedule_reason=schedule.reason,
            next_delay_seconds=delay,
            lease_seconds=self.lease_seconds,
            entries=tuple(entry for document in step.documents for entry in document.entries),
            last_error=f"{failure.cause}: {failure.message}" if failure else None,
            final=final,
        )

    def _judge(self, claim: Claim, step: Step) -> tuple[int, Schedule]:
        """How many failures in a row this makes, and when to come back."""
        spec, failure = claim.source.spec, step.failure
        interval = (
            spec.interval_seconds if spec.interval_seconds is not None else self._settings.interval_seconds
        )
        jitter = spec.jitter_seconds if spec.jitter_seconds is not None else self._settings.jitter_seconds
        chance = self._chance.random()
        self._watch_network(claim.source.url, failure)
        if failure is None:
            return 0, after_success(interval, jitter, chance)
        if failure.status == 429 and failure.retry_after_seconds is None:
            # With Retry-After the HTTP door has paused the host that answered.
            self._hosts.pause(claim.source.url, THROTTLED_PAUSE_SECONDS)
        if failure.cause in _AWAY and self._network.offline:
            return claim.consecutive_failures, after_deferral(interval, jitter, chance)
        failures = claim.consecutive_failures + 1
        return failures, after_failure(failures, interval, jitter, chance, failure.retry_after_seconds)

    def _watch_network(self, url: str, failure: Failure | None) -> None:
        now = trio.current_time()
        if failure is None or failure.status is not None:
            if self._network.answered(key_of(url), now):
                get_logger().warning("worker.network.back")
        elif failure.cause in _AWAY and self._network.failed_to_connect(key_of(url), now):
            get_logger().error(
                "worker.network.away", effect="failures to connect are not counted against sources"
            )

    async def _recorded(self, record: StepRecord) -> Recorded | LeaseLost | Refused:
        """Write `record`, trying again while the lease holds: what was fetched is not fetched twice for a hiccup."""
        deadline = trio.current_time() + LEASE_MARGIN_SECONDS
        pause = 0.25
        while True:
            try:
                return await self._store.record(record)
            except StoreUnavailable:
                if trio.current_time() + pause >= deadline:
                    raise
            await trio.sleep(pause * (1 + self._chance.random()))
            pause = min(2 * pause, 4.0)

    async def _release(self, claim: Claim) -> None:
        with trio.move_on_after(2, shield=True):
            try:
                await self._store.release(Lease(claim.source.id, claim.token))
            except StoreUnavailable as error:
                get_logger().debug("worker.lease.left", reason=str(error), effect="it ends by itself")

    def _deferred(self, claim: Claim, failure: Failure) -> PollResult:
        self._metrics.sources_deferred += 1
        get_logger().info("worker.fetch.deferred", reason=failure.message)
        delay = failure.retry_after_seconds or THROTTLED_PAUSE_SECONDS
        return PollResult(claim.source.name, None, delay, claim.consecutive_failures > 0)

    def _tell(
        self, result: PollResult, record: StepRecord, answer: Recorded, step: Step, seconds: float
    ) -> None:
        failure = result.failure
        self._metrics.poll_ended(step.outcome, seconds, failure.cause if failure else None)
        self._metrics.source_polled(result.name, record.last_error, datetime.now(UTC))
        self._metrics.articles_new += result.articles_new
        self._metrics.articles_updated += result.articles_updated
        self._metrics.entries_set_aside += len(answer.set_aside)
        log = get_logger()
        for refused in answer.set_aside:
            log.warning(
                "worker.entry.set_aside", guid=refused.guid, title=refused.title[:200], reason=refused.reason
            )
        changed = result.articles_new or result.articles_updated
        report = log.warning if failure else log.info if changed else log.debug
        report(
            "worker.fetch.complete",
            outcome=step.outcome,
            duration_seconds=round(seconds, 6),
            articles_new=result.articles_new,
            articles_updated=result.articles_updated,
            bytes=step.body_bytes,
            next_in_seconds=round(result.next_delay_seconds, 3),
            schedule_reason=record.schedule_reason,
            **_failure_keys(failure, record),
        )


def _failure_keys(failure: Failure | None, record: StepRecord) -> dict[str, object]:
    if failure is None:
        return {}
    return {
        "cause": failure.cause,
        "error": failure.message,
        "status": failure.status,
        "consecutive_failures": record.consecutive_failures,
    }


def _failed(claim: Claim, state: PollState, bug: Exception | None) -> Step:
    """The step of a source whose kind, or whose document's way into the store, has a bug."""
    error: BaseException | None = bug
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    reason = f"a bug in digestd or in the kind {claim.source.spec.kind!r}: {type(error).__name__}: {error}; see the log"
    return Step(next_state=state, failure=Failure(_BUG, reason))


def _result(claim: Claim, step: Step, record: StepRecord, new: int, updated: int) -> PollResult:
    return PollResult(
        claim.source.name,
        step.outcome,
        record.next_delay_seconds,
        record.consecutive_failures > 0,
        new,
        updated,
        step.failure,
    )
