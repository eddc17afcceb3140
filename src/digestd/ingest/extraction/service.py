"""The queue of extraction at work: claims pending articles, a task for each, until there is no more or shutdown."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import trio

from digestd.errors import FetchError, FetchTimeout, HostPaused, SourceError, StoreUnavailable
from digestd.ingest.bell import Bell
from digestd.ingest.extraction.pages import Pages
from digestd.ingest.extraction.reach import Reach
from digestd.ingest.extraction.verdict import crashed, done, failed, outcome_of, put_off
from digestd.ingest.network.host_keys import host_of
from digestd.ingest.network.large import LargeBodies
from digestd.ingest.politeness import Hosts, Turn
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.slots import Slots
from digestd.ingest.storing import StoreAccess
from digestd.ingest.verdict import UNREACHED
from digestd.log import Crashes, bound, get_logger
from digestd.masking import mask_url
from digestd.metrics import Metrics
from digestd.model import UNFINISHED_CLAIMS_LIMIT, Response
from digestd.store import PageClaim, PageLost, PageRecord, PageRecorded, Refused

LOOK_SECONDS = 30.0
"""How often the queue is looked at when nothing was due and nobody here brought news: other processes put articles into
it too, and may die."""
DRAINED_SECONDS = 40.0
"""`--once` waits for what is due within so many seconds (articles that three killed processes had in hand are, after
half a minute), and leaves the rest."""
LONGEST_OUTAGE_ONCE_SECONDS = 60.0
"""How long `--once` waits for a store that is away."""
WITHOUT_TURN_SECONDS = 5.0
TURN_SECONDS = 60.0
"""How long an article waits for its host's turn and for a slot before another one is tried."""
BUSY_SECONDS = 0.1
"""How long to wait for another process that is claiming what is due."""
CROWDED_SECONDS = 0.25
LONGEST_CROWDED_SECONDS = 20.0
"""A host with so many pages in hand that others would find no room gets no more for a moment: for as long as the oldest
of them has taken so far."""
BLOCK_SECONDS = 120.0
"""How long a source whose host is away is not asked for articles at first, if none of its pages was reached yet."""
SHORT_BLOCK_SECONDS = 30.0
STORE_RETRY_SECONDS = 2.0
QUEUE_SECONDS = 60.0
"""How often the length of the queue is counted."""
LAST_COUNT_SECONDS = 1.0
CRASHED = "worker.extraction.crashed"
REFUSED = "worker.extraction.refused"


@dataclass(frozen=True, slots=True)
class Limits:
    """`pages` are at work at one time; a claim takes up to `per_source` of a source that has fewer in hand, and holds
    for `lease_seconds`."""

    pages: int
    per_source: int
    lease_seconds: float


class Extraction:
    """Brings pending articles to their text. One for the process; any number of processes share one queue.

    `bell` is rung where there may be more to do: by who records new articles, or has nothing more to bring. `on_page`
    is told the outcome of each attempt: `done`, `failed`, `skipped`, `retry` or `put_off`.
    """

    def __init__(
        self,
        *,
        pages: Pages,
        store: StoreAccess,
        hosts: Hosts,
        shutdown: Shutdown,
        metrics: Metrics,
        chance: random.Random,
        limits: Limits,
        bell: Bell,
        on_page: Callable[[str], None] = lambda outcome: None,
        crashes: Crashes | None = None,
    ) -> None:
        self._pages = pages
        self._store = store
        self._hosts = hosts
        self._shutdown = shutdown
        self._metrics = metrics
        self._chance = chance
        self._limits = limits
        self._bell = bell
        self._on_page = on_page
        self._crashes = crashes or Crashes()
        self._slots = Slots(limits.pages)
        self._large_bodies = LargeBodies()
        self._reach = Reach()
        self._window = 2 * limits.pages
        self._claimed: Counter[int] = Counter()
        self._at_key: dict[str, dict[tuple[int, int], float]] = {}
        self._blocked: dict[int, float] = {}
        self._crowded_until: dict[int, float] = {}
        self._silent: Counter[int] = Counter()
        self._reached: set[int] = set()

    async def run(self) -> None:
        """Work until shutdown begins, and end with what is in hand.

        Error handling: an outage of the store is waited for; a bug costs its article an attempt, and is logged.
        Cancellation: articles in hand are given back, within two seconds.
        """
        await self._work(None, None)

    async def drain(self, finished: trio.Event, source_ids: Collection[int] | None = None) -> None:
        """Work until `finished` is set, and the bell rung after that, and nothing more is due, or shutdown begins: of
        the sources `source_ids`, or of all. Otherwise as :meth:`run`."""
        await self._work(finished, source_ids)

    async def _work(self, finished: trio.Event | None, source_ids: Collection[int] | None) -> None:
        async with trio.open_nursery() as services:
            services.start_soon(self._count_queue, name="extraction queue")
            async with trio.open_nursery() as attempts:
                with self._shutdown.idle():
                    await self._claim_all(attempts, finished, source_ids)
            services.cancel_scope.cancel()
        # What the summary and the last event say.
        with trio.move_on_after(LAST_COUNT_SECONDS):
            await self._count()

    async def _claim_all(
        self, attempts: trio.Nursery, finished: trio.Event | None, source_ids: Collection[int] | None
    ) -> None:
        while True:
            # Sources with enough in hand are not asked: what is due of them shows when nothing is in hand any more.
            nothing_in_hand = not self._claimed
            pause = await self._claim(attempts, source_ids)
            if finished is not None and nothing_in_hand and not self._claimed and self._is_drained(pause):
                if finished.is_set():
                    return
                pause = None
            await self._bell.heard(LOOK_SECONDS if pause is None else min(pause, LOOK_SECONDS))
            while self._claimed.total() > self._window // 2:
                await self._bell.heard(LOOK_SECONDS)

    def _is_drained(self, pause: float | None) -> bool:
        """Whether there is nothing to wait for, where nothing is in hand and more is due in `pause` seconds."""
        if pause is None or pause > DRAINED_SECONDS or self._reach.offline:
            return True
        away = self._store.away_since
        return away is not None and trio.current_time() - away > LONGEST_OUTAGE_ONCE_SECONDS

    async def _claim(self, attempts: trio.Nursery, source_ids: Collection[int] | None) -> float | None:
        """Claim what there is room for and start a task for each; the seconds until more is due, None for nothing."""
        if (seconds := self._reach.probe_in(trio.current_time())) > 0:
            return seconds
        room = 1 if self._reach.offline else self._window - self._claimed.total()
        try:
            found = await self._store.claim_pages(
                room,
                self._limits.lease_seconds,
                # While hosts are away, most of what more were claimed of a source would be put off.
                per_source=1 if self._silent else self._limits.per_source,
                source_ids=source_ids,
                except_source_ids=self._not_asked(),
            )
        except StoreUnavailable:
            return STORE_RETRY_SECONDS * (1 + 5 * self._chance.random())
        # The border round the queue: a bug in claiming must neither end the daemon nor fill its log.
        except Exception as bug:  # noqa: BLE001 - see above
            self._tell_crash(CRASHED, "claiming", bug, effect="tried again in a minute")
            await trio.sleep(60)
            return 0.0
        for claim in found.claims:
            self._claimed[claim.source_id] += 1
            attempts.start_soon(self._attempt, claim, name=f"article {claim.article_id}")
        if found.claims:
            return 0.0
        due = None if found.due_in_seconds is None else max(found.due_in_seconds, BUSY_SECONDS)
        return _sooner(due, self._uncrowded_in())

    def _not_asked(self) -> list[int]:
        """The sources that are not asked for articles now: enough of theirs are in hand, or their host is away or has
        enough of others'."""
        now = trio.current_time()
        for left_alone in (self._blocked, self._crowded_until):
            for source_id in [source_id for source_id, until in left_alone.items() if until <= now]:
                del left_alone[source_id]
        full = [source_id for source_id, count in self._claimed.items() if count >= self._limits.per_source]
        return [*full, *self._blocked, *self._crowded_until]

    def _uncrowded_in(self) -> float | None:
        if not self._crowded_until:
            return None
        # A crowd may have gone while the store was asked.
        return max(min(self._crowded_until.values()) - trio.current_time(), 0.0)

    async def _attempt(self, claim: PageClaim) -> None:
        key = self._hosts.key_of(claim.url)
        in_hand = self._at_key.setdefault(key, {})
        # With the attempt: a process that was stopped past its lease can claim what it still has in hand.
        in_hand[claim.article_id, claim.attempt] = trio.current_time()
        try:
            with bound(source=claim.source_name, article=claim.article_id):
                await self._attempt_recorded(claim, host_of(claim.url))
        # The border round one article: a bug on the way into the store must not end the daemon. The claim runs out.
        except* Exception as bug:  # noqa: BLE001 - see above
            self._tell_crash(CRASHED, "articles", bug, url=mask_url(claim.url))
        finally:
            self._claimed[claim.source_id] -= 1
            if not self._claimed[claim.source_id]:
                del self._claimed[claim.source_id]
            del in_hand[claim.article_id, claim.attempt]
            if not in_hand:
                del self._at_key[key]
            self._bell.ring()

    async def _attempt_recorded(self, claim: PageClaim, host: str) -> None:
        began = trio.current_time()
        try:
            record = await self._judged(claim, host)
        except trio.Cancelled:
            with trio.move_on_after(2, shield=True):
                await self._record(put_off(claim, 0.0))
            raise
        record, outcome = await self._recorded(claim, record)
        await self._store.share_pauses(self._hosts)
        if outcome is not None:
            self._tell(claim, record, outcome, trio.current_time() - began)

    async def _judged(self, claim: PageClaim, host: str) -> PageRecord:
        """One attempt, and what it makes of the article."""
        record: PageRecord | None = None
        bug: BaseException | None = None
        try:
            record = await self._outcome(claim, host)
        # The border round one article: Cancelled, which may stand beside a bug in one group, goes its own way.
        except* Exception as group:  # noqa: BLE001 - see above
            bug = group
        if record is not None:
            return record
        assert bug is not None
        self._tell_crash(CRASHED, "articles", bug, url=mask_url(claim.url))
        return crashed(claim, bug, chance=self._chance.random())

    async def _outcome(self, claim: PageClaim, host: str) -> PageRecord:
        seconds = self._reach.wait(host, trio.current_time())
        if seconds > 0:
            return self._left_alone(claim, seconds, "its host could not be reached a moment ago")
        in_hand = self._at_key[self._hosts.key_of(claim.url)]
        if len(in_hand) > 2 * self._limits.per_source:
            age = trio.current_time() - min(in_hand.values())
            seconds = min(max(age, CROWDED_SECONDS), LONGEST_CROWDED_SECONDS)
            self._crowded_until[claim.source_id] = trio.current_time() + seconds
            return self._put_off(claim, seconds, "many pages of its host are being fetched")
        try:
            async with self._large_bodies.step(), AsyncExitStack() as slot:
                response = await self._fetched(claim, slot)
                if response is None:
                    return put_off(claim, 0.0 if self._shutdown.begun.is_set() else WITHOUT_TURN_SECONDS)
                self._answered(claim, host)
                return done(claim, await self._pages.read(claim, response))
        except HostPaused as paused:
            seconds = paused.retry_after or WITHOUT_TURN_SECONDS
            return self._left_alone(claim, seconds, f"paused: {paused}")
        except StoreUnavailable:
            return put_off(claim, STORE_RETRY_SECONDS * (1 + 5 * self._chance.random()))
        except SourceError as error:
            self._watch_network(claim, host, error)
            return failed(claim, error, chance=self._chance.random(), offline=self._reach.offline)

    def _left_alone(self, claim: PageClaim, seconds: float, why: str) -> PageRecord:
        """Put the article off since its host is to be left alone, and ask for no more of its source's meanwhile: not
        for long, since others of its may lie elsewhere, but ever longer while none of them was reached."""
        source_id, block = claim.source_id, SHORT_BLOCK_SECONDS
        if source_id not in self._reached:
            block = BLOCK_SECONDS * 2.0 ** min(self._silent[source_id], 16)
            self._silent[source_id] += 1
        self._blocked[source_id] = trio.current_time() + min(seconds, block)
        return self._put_off(claim, seconds, why)

    def _put_off(self, claim: PageClaim, seconds: float, why: str) -> PageRecord:
        return put_off(claim, seconds * (1 + 0.25 * self._chance.random()), why)

    async def _fetched(self, claim: PageClaim, slot: AsyncExitStack) -> Response | None:
        """The page, with a slot entered into `slot`; None when turn and slot did not come in time, or shutdown did."""
        suspect = claim.unfinished >= UNFINISHED_CLAIMS_LIMIT
        turn: Turn | None = None
        async with AsyncExitStack() as held:
            with trio.move_on_after(TURN_SECONDS) as patience, self._shutdown.idle() as idle:
                turn = await held.enter_async_context(self._hosts.turn(claim.url, longest_pause=TURN_SECONDS))
                await slot.enter_async_context(self._slots.hold(alone=suspect))
            if turn is None or patience.cancelled_caught or idle.cancelled_caught:
                return None
            with self._shutdown.idle() as idle:
                await self._store.start_at_host(turn)
            if idle.cancelled_caught:
                return None
            turn.start()
            return await self._pages.fetch(claim.url)

    def _watch_network(self, claim: PageClaim, host: str, error: SourceError) -> None:
        if error.cause not in UNREACHED:
            if not isinstance(error, FetchTimeout):
                self._answered(claim, host)
            return
        silent = host_of(error.url) if isinstance(error, FetchError) and error.url else host
        if silent != host:
            # It redirected us there: that is an answer.
            self._answered(claim, host)
        now = trio.current_time()
        if self._reach.unreachable(silent, now):
            get_logger().error("worker.extraction.offline", effect="pages wait, and keep their attempts")
        if silent == host:
            self._blocked[claim.source_id] = now + SHORT_BLOCK_SECONDS

    def _answered(self, claim: PageClaim, host: str) -> None:
        self._reached.add(claim.source_id)
        self._silent.pop(claim.source_id, None)
        if self._reach.answered(host):
            get_logger().warning("worker.extraction.online")

    async def _recorded(self, claim: PageClaim, record: PageRecord) -> tuple[PageRecord, str | None]:
        """Write `record`, or, where the database refuses what the page said, that it does. Returns what was written and
        its outcome, None where nothing was."""
        answer = await self._record(record)
        if isinstance(answer, Refused):
            self._tell_crash(REFUSED, "articles", answer.error, url=mask_url(claim.url))
            record = crashed(claim, answer.error, chance=self._chance.random())
            answer = await self._record(record)
        if isinstance(answer, PageRecorded):
            if not answer.same_text:
                return record, outcome_of(claim, record)
            error = f"{answer.same_text} pages of its source give the same text"
            return replace(record, extraction="failed", error=error, page=None), "failed"
        if isinstance(answer, PageLost):
            get_logger().warning(
                "worker.extraction.lost", effect="another attempt is under way or was written"
            )
        return record, None

    async def _record(self, record: PageRecord) -> PageRecorded | PageLost | Refused | None:
        """Write `record`, trying again during an outage while the claim holds; None when it did not come to that."""
        deadline = trio.current_time() + self._limits.lease_seconds / 2
        while True:
            try:
                return await self._store.record_page(record)
            except StoreUnavailable:
                pause = STORE_RETRY_SECONDS * (1 + self._chance.random())
                if trio.current_time() + pause >= deadline:
                    return None
                await trio.sleep(pause)

    def _tell(self, claim: PageClaim, record: PageRecord, outcome: str, seconds: float) -> None:
        self._metrics.page_ended(outcome, seconds)
        self._on_page(outcome)
        log = get_logger()
        report = log.info if outcome == "failed" else log.debug
        report(
            "worker.extraction.complete",
            outcome=outcome,
            url=mask_url(claim.url),
            duration_seconds=round(seconds, 6),
            characters=len(record.page.text) if record.page else None,
            error=record.error,
            failures=record.failures,
        )

    def _tell_crash(self, event: str, what: str, bug: BaseException, **keys: object) -> None:
        # One subject for all articles: what one article runs into, its neighbours do.
        self._crashes.tell(event, bug, subject=(event, what), now=trio.current_time(), **keys)

    async def _count_queue(self) -> None:
        while True:
            await self._count()
            await trio.sleep(QUEUE_SECONDS)

    async def _count(self) -> None:
        try:
            queue = await self._store.page_queue()
        except StoreUnavailable:
            return
        # The border round the queue, as in claiming.
        except Exception as bug:  # noqa: BLE001 - see above
            self._tell_crash(CRASHED, "counting", bug, effect="the queue is not counted")
            return
        self._metrics.pages_pending = queue.pending
        self._metrics.pages_oldest_seconds = queue.oldest_seconds


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((seconds for seconds in (one, other) if seconds is not None), default=None)
