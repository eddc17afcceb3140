"""The life of one source: sleep until due, wait for its host's turn and for a slot, claim, poll, and again."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from dataclasses import dataclass

import trio

from digestd.errors import StoreUnavailable
from digestd.ingest.politeness import Hosts, Turn
from digestd.ingest.poll import Poller, PollResult
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.slots import Slots
from digestd.ingest.storing import StoreAccess
from digestd.model import Failure, SourceStatus
from digestd.store import UNFINISHED_CLAIMS_LIMIT, Claim, ClaimRequest, Gone, Wait

LONGEST_SLEEP_SECONDS = 900.0
"""No sleep is longer without looking again: the clock of a suspended machine stands still."""
STORE_RETRY_SECONDS = 2.0


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
        """Poll for ever, first after `first_delay` seconds; returns at shutdown, or when the source is gone.

        Cancellation: may be cancelled at any moment; see :meth:`digestd.ingest.poll.Poller.poll`. A bug in a kind
        escapes, after it was recorded.
        """
        delay: float | None = first_delay
        while delay is not None:
            answer = await self._round(delay, force=False)
            if isinstance(answer, PollResult):
                delay = answer.next_delay_seconds
            elif isinstance(answer, Wait):
                delay = answer.seconds
            else:
                delay = None

    async def once(self, *, force: bool) -> PollResult | Wait | Gone | None:
        """One round without sleep; `force` polls though the source is not due. None means shutdown came first.

        A store that is away for the whole of a minute is a failed poll.
        """
        deadline = trio.current_time() + 60
        while True:
            answer = await self._round(0, force=force)
            if not (isinstance(answer, Wait) and answer.reason == "store_unavailable"):
                return answer
            if trio.current_time() + answer.seconds > deadline:
                failure = Failure("database", "the database could not be reached for a minute")
                return PollResult(self.name, "failed", 0, failing=True, failure=failure)
            with self._around.shutdown.idle():
                await trio.sleep(answer.seconds)

    async def _round(self, delay: float, *, force: bool) -> PollResult | Wait | Gone | None:
        async with AsyncExitStack() as held:
            turn = await self._wait_until_free(delay, held)
            if turn is None:
                return None
            try:
                claim = await self._claim(force=force)
                if not isinstance(claim, Claim):
                    return claim
                turn.start()
                result = await self._around.poller.poll(claim)
            except StoreUnavailable:
                return Wait(self._store_retry(), "store_unavailable")
        self.good_polls += result.outcome in {"fetched", "unchanged"}
        self._failing = result.failing
        self._unfinished = 0
        return result

    async def _wait_until_free(self, delay: float, held: AsyncExitStack) -> Turn | None:
        """Sleep, then the host's turn, then a slot; None when shutdown came first."""
        alone = self._unfinished >= UNFINISHED_CLAIMS_LIMIT
        turn = None
        with self._around.shutdown.idle() as idle:
            await trio.sleep(min(delay, LONGEST_SLEEP_SECONDS))
            turn = await held.enter_async_context(self._around.hosts.turn(self._url))
            await held.enter_async_context(self._around.slots.hold(failing=self._failing, alone=alone))
        return None if idle.cancelled_caught else turn

    async def _claim(self, *, force: bool) -> Claim | Wait | Gone:
        request = ClaimRequest(self._id, self._around.poller.lease_seconds, force)
        answer = await self._around.store.claim(request)
        if isinstance(answer, Wait):
            self._unfinished = answer.unfinished_claims
        return answer

    def _store_retry(self) -> float:
        # Everybody finds out at once and is overdue afterwards: spread the returns over several seconds.
        return STORE_RETRY_SECONDS * (1 + 5 * self._around.chance.random())
