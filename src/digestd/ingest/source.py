"""The life of one source: sleep until due, wait for its host's turn and for a slot, claim, poll, and again."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import trio

from digestd.errors import HostPaused, StoreUnavailable
from digestd.ingest.pace import measured
from digestd.ingest.politeness import Hosts, Turn
from digestd.ingest.poll import Poller, PollResult
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.slots import Slot, Slots
from digestd.ingest.storing import TURN_KEPT_SECONDS, StoreAccess
from digestd.ingest.verdict import UNREACHED
from digestd.log import Crashes, get_logger
from digestd.model import UNFINISHED_CLAIMS_LIMIT, Failure, Source, SourceStatus
from digestd.store import Claim, ClaimRequest, Gone, Refused, Wait

LONGEST_SLEEP_SECONDS = 900.0
"""No sleep is longer without looking again: the clock of a suspended machine stands still."""
STORE_RETRY_SECONDS = 2.0
STORE_UNAVAILABLE = "store_unavailable"
"""The reason of a `Wait` of ours, beside those of the store: there was nobody to ask."""
HELD_UP = ("host", "host_paused")
"""The reasons of a `Wait` that concern the whole host: other processes have just started there, or it is paused."""
STILL_DUE = frozenset({*HELD_UP, "paused", STORE_UNAVAILABLE})
"""The reasons of a `Wait` of a source that is due all the same, and whose poll will be that much later."""
UPDATE_SECONDS = 1.0
"""By how much earlier a source has to be due than it is woken anyway, for a change to wake it."""
LEASED_LOOK_SECONDS = 5.0
"""After how long a source that another process polls is looked at again."""
PLACE_WITHOUT_TURN_SECONDS = 5.0
CRASHED = "worker.source.crashed"
PROMPT_SECONDS = 2.0
"""A poll that takes longer than this is slow."""
PROBATION_POLLS = 5
"""How many prompt polls in a row make a source that was slow, or failed, a prompt one again."""
LONGEST_PAUSE_ONCE_SECONDS = 10.0
"""How long `--once` waits for a host that wants to be left alone."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the lives of all sources share; `crashes` with the rest of the process, too."""

    poller: Poller
    store: StoreAccess
    hosts: Hosts
    slots: Slots
    shutdown: Shutdown
    chance: random.Random
    crashes: Crashes = field(default_factory=Crashes)


class SourceLife:
    """One source's task. It holds its host's turn while it waits for a slot, and both while it polls.

    `good_polls` counts the polls that did not fail.
    """

    def __init__(self, status: SourceStatus, around: Surroundings) -> None:
        self.name = status.source.name
        self.good_polls = 0
        self._id = status.source.id
        self._url = status.source.url
        self._failing = status.consecutive_failures > 0
        self._unfinished = status.unfinished_claims
        self._polls_to_prove = 1
        self._unreached = self._hurries = False
        self._around = around
        self._budgeted_at: str | None = None
        self._keep_budget(status.source)
        self._task: trio.lowlevel.Task | None = None
        self._wakes_at = -math.inf
        self._due_at: float | None = None

    @property
    def subject(self) -> tuple[str, int]:
        """Whose crashes its crashes are: a new name makes it no other source."""
        return "source", self._id

    def update(self, status: SourceStatus) -> None:
        """Go on as `status` says: the URL counts from the next round on, and a sleep ends where the source is due
        before its end. A poll in flight is not touched."""
        self.name = status.source.name
        self._url = status.source.url
        self._keep_budget(status.source)
        due = status.due_in_seconds or 0.0
        # Clocks and calls differ by a little: nobody is woken for that.
        if trio.current_time() + due < self._wakes_at - UPDATE_SECONDS:
            self._due_at = trio.current_time() + due
            self._wake()

    def leave(self) -> None:
        """Say that the source is not polled here any more: its host need not keep what it wants."""
        if self._budgeted_at is not None:
            self._around.hosts.budget(self._id, self._budgeted_at, None)
            self._budgeted_at = None

    def _keep_budget(self, source: Source) -> None:
        seconds = self._around.poller.spacing_of(source)
        if self._budgeted_at not in (None, source.url):
            self.leave()
        if seconds is not None or self._budgeted_at is not None:
            self._around.hosts.budget(self._id, source.url, seconds)
            self._budgeted_at = source.url

    async def run(self, first_delay: float) -> None:
        """Poll for ever, first after `first_delay` seconds; returns at shutdown, or when the source is gone, which is
        logged.

        Cancellation: may be cancelled at any moment; see :meth:`digestd.ingest.poll.Poller.poll`. A bug in a kind
        escapes, after it was recorded.
        """
        delay: float | None = first_delay
        self._task = trio.lowlevel.current_task()
        self._due_at = trio.current_time() + first_delay
        while delay is not None:
            # A suspect takes every slot: not only to look.
            await self._sleep(delay if self._suspect else min(delay, LONGEST_SLEEP_SECONDS))
            if self._around.shutdown.begun.is_set():
                return
            answer = await self._round(force=False, longest_pause=math.inf)
            if isinstance(answer, PollResult):
                delay = answer.next_delay_seconds
                self._due_at = trio.current_time() + delay
            elif isinstance(answer, Wait):
                delay = answer.seconds
                if answer.reason == "leased":
                    # The end of a lease says when its holder is surely dead, not when it is done.
                    delay = min(delay, LEASED_LOOK_SECONDS)
                if answer.reason not in STILL_DUE:
                    self._due_at = trio.current_time() + delay
            else:
                delay = None
                if answer is not None:
                    get_logger().info("worker.source.gone", source=self.name, reason=answer.reason)

    async def once(self, *, force: bool) -> PollResult | Wait | Gone | None:
        """One round without sleep; `force` polls though the source is not due. None means shutdown came first.

        A host that wants to be left alone for longer than a few seconds is not waited for; between the steps of a poll
        that the spacing of its host divides, it is. A store that is away for the whole of a minute is a failed poll.
        """
        deadline = trio.current_time() + 60
        while True:
            answer = await self._round(force=force, longest_pause=LONGEST_PAUSE_ONCE_SECONDS)
            if isinstance(answer, PollResult) and answer.goes_on:
                force = True
                continue
            if isinstance(answer, Wait) and answer.reason in HELD_UP:
                # The next turn waits for it, or says that it takes too long.
                continue
            if not (isinstance(answer, Wait) and answer.reason == STORE_UNAVAILABLE):
                return answer
            if trio.current_time() + answer.seconds > deadline:
                failure = Failure("database", f"for a whole minute, {self._around.store.last_error}")
                return PollResult(self.name, "failed", 0, failing=True, failure=failure)
            with self._around.shutdown.idle():
                await trio.sleep(answer.seconds)

    async def _round(self, *, force: bool, longest_pause: float) -> PollResult | Wait | Gone | None:
        with ExitStack() as held:
            try:
                turn = await self._wait_for_turn(longest_pause, held)
                if turn is None:
                    return None
                claim = await self._claim_in_turn(turn, held, force=force or self._hurries)
                if not isinstance(claim, Claim):
                    return claim
                turn.start()
                began = trio.current_time()
                with measured() as pace:
                    result = await self._around.poller.poll(
                        claim,
                        again=partial(self._around.store.start_at_host, turn),
                        late_seconds=None if self._due_at is None else max(0.0, began - self._due_at),
                    )
                self._note_pace(result, trio.current_time() - began - pace.our_seconds)
                await self._around.store.share_pauses(self._around.hosts)
            except StoreUnavailable:
                return Wait(self._store_retry(), STORE_UNAVAILABLE)
            except HostPaused as paused:
                return Wait(paused.retry_after or LONGEST_PAUSE_ONCE_SECONDS, "paused")
        if result.outcome in {"fetched", "unchanged"}:
            self.good_polls += 1
            self._around.crashes.over(
                CRASHED, subject=self.subject, now=trio.current_time(), source=self.name
            )
        self._failing = result.failing
        self._unfinished = 0
        self._hurries = False
        self._unreached = result.failure is not None and result.failure.cause in UNREACHED
        return result

    def _note_pace(self, result: PollResult, seconds: float) -> None:
        if result.failing or seconds > PROMPT_SECONDS:
            self._polls_to_prove = PROBATION_POLLS
        elif result.outcome is not None:
            self._polls_to_prove = max(0, self._polls_to_prove - 1)
            if self._polls_to_prove == 0:
                self._around.slots.reserve()

    @property
    def _suspect(self) -> bool:
        return self._unfinished >= UNFINISHED_CLAIMS_LIMIT

    async def _wait_for_turn(self, longest_pause: float, held: ExitStack) -> Turn | None:
        """The host's turn, held until `held` is left; None when shutdown came first."""
        shutdown = self._around.shutdown
        if shutdown.begun.is_set():
            return None
        turn = None if self._failing else self._around.hosts.try_take(self._url)
        if turn is not None:
            held.callback(turn.leave)
            return turn
        with shutdown.idle() as idle:
            turn = await self._turn(longest_pause, held)
        return None if idle.cancelled_caught or shutdown.begun.is_set() else turn

    def _sleep(self, seconds: float) -> Awaitable[object]:
        """Sleep for so long, until :meth:`_wake`, or until shutdown begins; to be awaited at once.

        Nearly all tasks are here nearly all the time: what is on their stacks is most of the daemon's memory, and so
        there is no scope, no exit stack, no event, and no frame of this.
        """
        self._wakes_at = trio.current_time() + seconds
        if self._unreached:
            return self._sleep_hoping()
        return self._around.shutdown.sleep_until(self._wakes_at)

    async def _sleep_hoping(self) -> None:
        with self._around.poller.hoping(self._url, self._hurry):
            await self._around.shutdown.sleep_until(self._wakes_at)

    def _wake(self) -> None:
        if self._task is not None:
            self._around.shutdown.wake(self._task)

    def _hurry(self) -> None:
        self._hurries = True
        self._wake()

    async def _turn(self, longest_pause: float, held: ExitStack) -> Turn:
        """The host's turn, and for a failing source one of their places. It never stands in its host's line waiting for
        a place, where good sources may be behind it, and holds a place without a turn for moments only."""
        hosts, slots = self._around.hosts, self._around.slots
        while True:
            with ExitStack() as entered:
                turn = await hosts.take(self._url, longest_pause=longest_pause)
                entered.callback(turn.leave)
                place = slots.try_failing_place() if self._failing else None
                if place is not None:
                    entered.callback(place.leave)
                if place is not None or not self._failing:
                    held.push(entered.pop_all())
                    return turn
            with ExitStack() as entered:
                entered.callback((await slots.failing_place()).leave)
                with trio.move_on_after(PLACE_WITHOUT_TURN_SECONDS):
                    turn = await hosts.take(self._url, longest_pause=longest_pause)
                    entered.callback(turn.leave)
                    held.push(entered.pop_all())
                    return turn

    async def _claim_in_turn(self, turn: Turn, held: ExitStack, *, force: bool) -> Claim | Wait | Gone | None:
        """Wait for a slot and claim the source; None when shutdown came first.

        While other processes start at the host the turn is kept, for moments, and the slot is not.
        """
        while True:
            with ExitStack() as taken:
                slot = await self._slot()
                if slot is None:
                    return None
                taken.callback(slot.leave)
                answer = await self._claim(turn, force=force)
                if not _is_short(answer):
                    held.push(taken.pop_all())
                    return answer
            with self._around.shutdown.idle():
                await turn.wait_until_due(TURN_KEPT_SECONDS)

    async def _slot(self) -> Slot | None:
        """Wait for a slot; None when shutdown came first."""
        slots, prompt, suspect = self._around.slots, self._polls_to_prove == 0, self._suspect
        if self._around.shutdown.begun.is_set():
            return None
        slot = None if suspect else slots.try_take(prompt=prompt)
        if slot is not None:
            return slot
        with self._around.shutdown.idle():
            slot = await slots.take(alone=suspect, prompt=prompt)
        if slot is not None and self._around.shutdown.begun.is_set():
            slot.leave()
            return None
        return slot

    async def _claim(self, turn: Turn, *, force: bool) -> Claim | Wait | Gone:
        request = ClaimRequest(self._id, self._around.poller.lease_seconds, force, turn.host_start())
        answer = await self._around.store.claim(request)
        if isinstance(answer, Refused):
            self._around.poller.tell_refused(self.name, answer)
            raise answer.error
        if isinstance(answer, Wait):
            self._unfinished = answer.unfinished_claims
            if answer.reason in HELD_UP:
                turn.heed(answer)
            elif answer.reason == "unfinished_claims":
                self._around.poller.tell_put_off(self.name, answer)
        return answer

    def _store_retry(self) -> float:
        # Everybody finds out at once and is overdue afterwards: spread the returns over several seconds.
        return STORE_RETRY_SECONDS * (1 + 5 * self._around.chance.random())


def _is_short(answer: Claim | Wait | Gone) -> bool:
    """Whether `answer` is that the host may be asked in a moment."""
    return isinstance(answer, Wait) and answer.reason in HELD_UP and answer.seconds <= TURN_KEPT_SECONDS
