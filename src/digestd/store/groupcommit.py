"""Group commit: what is asked while a transaction runs shares the next one, and one way to its thread and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import trio

from digestd.errors import StoreUnavailable
from digestd.store.places import Job, Places

PATIENCE_SECONDS = 0.01
"""How long what is in no hurry waits for others to share a transaction with (PostgreSQL's commit_delay)."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Ticket(Generic[Item, Answer]):
    """One caller's items and what came of them. Its task sleeps until there is `answers` or `error`, or until it is
    to lead."""

    __slots__ = ("answers", "error", "items", "leads", "task")

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.task: trio.lowlevel.Task | None = None
        self.leads = False
        self.answers: Sequence[Answer] | None = None
        self.error: BaseException | None = None

    def wake(self) -> None:
        if self.task is not None:
            task, self.task = self.task, None
            trio.lowlevel.reschedule(task)


class GroupCommit(Generic[Item, Answer]):
    """Gathers the items of its callers into calls of `work`, which runs in one of `places`, takes a list and answers in
    its order.

    A caller that finds nothing under way starts at once, unless it is patient. What has queued by the end of a call is
    the next one's, which begins before the callers of the last one go on: no task takes part in between, but where
    all places are taken, and one has to stand in line.
    """

    def __init__(self, places: Places, work: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._places = places
        self._work = work
        self._queued: list[_Ticket[Item, Answer]] = []
        self._busy = False

    async def __call__(self, items: Sequence[Item], *, patient: bool = False) -> list[Answer]:
        """Give the answers for `items`, once the call that they were part of has ended. Who is `patient` waits for
        :data:`PATIENCE_SECONDS`, unless somebody comes who is not.

        Error handling: what the work raises is raised in every caller whose items were part of that call.
        Cancellation: a caller cancelled before its items are taken into a call takes them back, and they never
        happened. After that the caller waits for its answers: the work has to end in bounded time by itself.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        ticket: _Ticket[Item, Answer] = _Ticket(items)
        self._queued.append(ticket)
        if patient and not self._busy:
            await self._linger(ticket)
        if not self._busy:
            self._begin()
        while ticket.answers is None and ticket.error is None:
            if ticket.leads:
                await self._lead()
            else:
                await self._sleep(ticket)
        if ticket.error is not None:
            raise ticket.error
        return [*(ticket.answers or ())]

    async def _linger(self, ticket: _Ticket[Item, Answer]) -> None:
        with trio.move_on_after(PATIENCE_SECONDS) as patience:
            await self._sleep(ticket)
        if patience.cancelled_caught:
            # As it was the first.
            self._queued.insert(0, ticket)

    async def _sleep(self, ticket: _Ticket[Item, Answer]) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            if ticket not in self._queued:
                # Its call is under way: what it writes has happened, and the caller must get to know.
                return trio.lowlevel.Abort.FAILED
            self._queued.remove(ticket)
            ticket.task = None
            return trio.lowlevel.Abort.SUCCEEDED

        ticket.task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def _begin(self) -> None:
        """Have a thread do what is queued; where none is free, the first who asked stands in line for all."""
        self._busy = bool(self._queued)
        if not self._queued:
            return
        batch = self._queued
        try:
            started = self._places.start(partial(self._done, batch), partial(self._ended, batch))
        except StoreUnavailable as error:
            self._queued, self._busy = [], False
            for ticket in batch:
                ticket.error = error
                ticket.wake()
            return
        if started:
            self._queued = []
        else:
            batch[0].leads = True
            batch[0].wake()

    async def _lead(self) -> None:
        batch, self._queued = self._queued, []
        job = Job(partial(self._done, batch))
        # The others' items are in it too: they are not the leader's to cancel.
        with trio.CancelScope(shield=True):
            await self._places.do(job)
        self._ended(batch, job)

    def _done(self, batch: Sequence[_Ticket[Item, Answer]]) -> Sequence[Answer]:
        return self._work([item for ticket in batch for item in ticket.items])

    def _ended(self, batch: Sequence[_Ticket[Item, Answer]], job: Job) -> None:
        answers, first = job.result, 0
        for ticket in batch:
            after = first + len(ticket.items)
            ticket.error = job.error
            ticket.answers = None if job.error is not None else answers[first:after]
            first = after
            ticket.wake()
        self._begin()
