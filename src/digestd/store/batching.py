"""Many callers, one transaction: what queued while the last call ran goes into the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import trio

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Ticket(Generic[Item, Answer]):
    """One caller's item, and what came of it. `turn` is set when there is an answer, or when the caller shall
    lead."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.turn = trio.Event()
        self.answers: list[Answer] = []
        self.error: BaseException | None = None

    def result(self) -> Answer:
        if self.error is not None:
            raise self.error
        return self.answers[0]


class Batcher(Generic[Item, Answer]):
    """Gathers single items into calls of `operation`, which takes a list and answers in its order.

    There is no timer: a caller that finds nothing under way starts at once, and leads; whoever comes while
    its call runs waits, and the first of them leads all of them in the next call.
    """

    def __init__(self, operation: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]]) -> None:
        self._operation = operation
        self._queued: list[_Ticket[Item, Answer]] = []
        self._leader: _Ticket[Item, Answer] | None = None

    async def __call__(self, item: Item) -> Answer:
        """Give the answer for `item`, once the call that it was part of has ended.

        Error handling: what the operation raises is raised in every caller whose item was part of that call.
        Cancellation: a caller cancelled before its item is taken into a call takes it back, and it never
        happened. After that the caller waits, shielded, for its answer: the operation has to end in bounded
        time by itself.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        ticket: _Ticket[Item, Answer] = _Ticket(item)
        self._queued.append(ticket)
        if self._leader is None:
            self._leader = ticket
        else:
            await self._wait_turn(ticket)
        if self._leader is ticket:
            await self._lead()
        return ticket.result()

    async def _wait_turn(self, ticket: _Ticket[Item, Answer]) -> None:
        try:
            await ticket.turn.wait()
        except trio.Cancelled:
            if ticket in self._queued:
                self._queued.remove(ticket)
                if self._leader is ticket:
                    self._appoint()
                raise
            # Its call is under way: what it writes has happened, and the caller must get to know.
            with trio.CancelScope(shield=True):
                await ticket.turn.wait()

    async def _lead(self) -> None:
        batch, self._queued = self._queued, []
        try:
            # The others' items are in it too: they are not the leader's to cancel.
            with trio.CancelScope(shield=True):
                answers = await self._operation([ticket.item for ticket in batch])
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.answers.append(answer)
        except BaseException as error:  # noqa: BLE001 - a border: each caller raises it, the leader too
            for ticket in batch:
                ticket.error = error
        finally:
            for ticket in batch:
                ticket.turn.set()
            self._appoint()

    def _appoint(self) -> None:
        self._leader = self._queued[0] if self._queued else None
        if self._leader is not None:
            self._leader.turn.set()
