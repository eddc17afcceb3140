"""The life of one source: sleep until due, wait for its host's turn and for a slot, claim, poll, and again."""

from __future__ import annotations

import math
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass

import trio

from digestd.errors import HostPaused, StoreUnavailable
from digestd.ingest.politeness import Hosts, Turn
from digestd.ingest.poll import Poller, PollResult
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.slots import Slots
from digestd.ingest.storing import StoreAccess
from digestd.log import get_logger
from digestd.model import Failure, SourceStatus
from digestd.store import UNFINISHED_CLAIMS_LIMIT, Claim, ClaimRequest, Gone, Refused, Wait

LONGEST_SLEEP_SECONDS = 900.0
"""No sleep is longer without looking again: the clock of a suspended machine stands still."""
STORE_RETRY_SECONDS = 2.0
STORE_UNAVAILABLE = "store_unavailable"
"""The reason of a `Wait` of ours, beside those of the store: there was nobody to ask."""
PLACE_WITHOUT_TURN_SECONDS = 5.0
LONGEST_PAUSE_ONCE_SECONDS = 10.0
"""How long `--once` waits for a host that wants to be left alone."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the lives of all sources share."""

    poller: Poller
    store: StoreAccess
    hosts: Hosts
    slots: Slots
    shutdown: Shutdown
    chance: random.Random


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
        self._around = around

    async def run(self, first_delay: float) -> None:
        """Poll for ever, first after `first_delay` seconds; returns at shutdown, or when the source is gone, which is
        logged.

        Cancellation: may be cancelled at any moment; see :meth:`digestd.ingest.poll.Poller.poll`. A bug in a kind
        escapes, after it was recorded.
        """
        delay: float | None = first_delay
        while delay is not None:
            answer = await self._round(delay, force=False, longest_pause=math.inf)
            if isinstance(answer, PollResult):
                delay = answer.next_delay_seconds
            elif isinstance(answer, Wait):
                delay = answer.seconds
            else:
                delay = None
                if answer is not None:
                    get_logger().info("worker.source.gone", source=self.name, reason=answer.reason)

    async def once(self, *, force: bool) -> PollResult | Wait | Gone | None:
        """One round without sleep; `force` polls though the source is not due. None means shutdown came first.

        A host that wants to be left alone for longer than a few seconds is not waited for. A store that is away for the
        whole of a minute is a failed poll.
        """
        deadline = trio.current_time() + 60
        while True:
            answer = await self._round(0, force=force, longest_pause=LONGEST_PAUSE_ONCE_SECONDS)
            if not (isinstance(answer, Wait) and answer.reason == STORE_UNAVAILABLE):
                return answer
            if trio.current_time() + answer.seconds > deadline:
                failure = Failure("database", f"for a whole minute, {self._around.store.last_error}")
                return PollResult(self.name, "failed", 0, failing=True, failure=failure)
            with self._around.shutdown.idle():
                await trio.sleep(answer.seconds)

    async def _round(
        self, delay: float, *, force: bool, longest_pause: float
    ) -> PollResult | Wait | Gone | None:
        async with AsyncExitStack() as held:
            try:
                turn = await self._wait_until_free(delay, longest_pause, held)
                if turn is None:
                    return None
                claim = await self._claim(force=force)
                if not isinstance(claim, Claim):
                    return claim
                turn.start()
                result = await self._around.poller.poll(claim)
            except StoreUnavailable:
                return Wait(self._store_retry(), STORE_UNAVAILABLE)
            except HostPaused as paused:
                return Wait(paused.retry_after or LONGEST_PAUSE_ONCE_SECONDS, "paused")
        self.good_polls += result.outcome in {"fetched", "unchanged"}
        self._failing = result.failing
        self._unfinished = 0
        return result

    async def _wait_until_free(self, delay: float, longest_pause: float, held: AsyncExitStack) -> Turn | None:
        """Sleep, then the host's turn, then a slot; None when shutdown came first."""
        suspect = self._unfinished >= UNFINISHED_CLAIMS_LIMIT
        turn = None
        with self._around.shutdown.idle() as idle:
            # A suspect takes every slot: not only to look.
            await trio.sleep(delay if suspect else min(delay, LONGEST_SLEEP_SECONDS))
            turn = await self._turn(longest_pause, held)
            await held.enter_async_context(self._around.slots.hold(alone=suspect))
        return None if idle.cancelled_caught or self._around.shutdown.begun.is_set() else turn

    async def _turn(self, longest_pause: float, held: AsyncExitStack) -> Turn:
        """The host's turn, and for a failing source one of their places. It never stands in its host's line waiting for
        a place, where good sources may be behind it, and holds a place without a turn for moments only."""
        hosts, slots = self._around.hosts, self._around.slots
        while True:
            async with AsyncExitStack() as entered:
                turn = await entered.enter_async_context(hosts.turn(self._url, longest_pause=longest_pause))
                if not self._failing or slots.try_failing_place(entered):
                    held.push_async_exit(entered.pop_all())
                    return turn
            async with AsyncExitStack() as entered:
                await entered.enter_async_context(slots.failing_place())
                with trio.move_on_after(PLACE_WITHOUT_TURN_SECONDS):
                    turn = await entered.enter_async_context(
                        hosts.turn(self._url, longest_pause=longest_pause)
                    )
                    held.push_async_exit(entered.pop_all())
                    return turn

    async def _claim(self, *, force: bool) -> Claim | Wait | Gone:
        request = ClaimRequest(self._id, self._around.poller.lease_seconds, force)
        answer = await self._around.store.claim(request)
        if isinstance(answer, Refused):
            self._around.poller.tell_refused(self.name, answer)
            raise answer.error
        if isinstance(answer, Wait):
            self._unfinished = answer.unfinished_claims
            if answer.reason == "unfinished_claims":
                self._around.poller.tell_put_off(self.name, answer)
        return answer

    def _store_retry(self) -> float:
        # Everybody finds out at once and is overdue afterwards: spread the returns over several seconds.
        return STORE_RETRY_SECONDS * (1 + 5 * self._around.chance.random())
