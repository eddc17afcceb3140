from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from digestd.errors import StoreUnavailable
from digestd.store.batching import Batcher


class Gated:
    """An operation that notes what it is called with, and ends only when it is let through."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gates: list[trio.Event] = []
        self.errors: dict[int, BaseException] = {}

    async def __call__(self, items: Sequence[int]) -> list[int]:
        number = len(self.calls)
        self.calls.append(list(items))
        self.gates.append(trio.Event())
        await self.gates[number].wait()
        if number in self.errors:
            raise self.errors[number]
        return [item * 10 for item in items]

    async def let_through(self, number: int) -> None:
        self.gates[number].set()
        await wait_all_tasks_blocked()


class Callers:
    """Tasks that each ask for one item, and what became of them."""

    def __init__(self, batcher: Batcher[int, int], nursery: trio.Nursery) -> None:
        self.answers: dict[int, object] = {}
        self._batcher = batcher
        self._nursery = nursery
        self.scopes: dict[int, trio.CancelScope] = {}

    async def start(self, *items: int) -> None:
        for item in items:
            self._nursery.start_soon(self._ask, item)
            await wait_all_tasks_blocked()

    async def cancel(self, item: int) -> None:
        self.scopes[item].cancel()
        await wait_all_tasks_blocked()

    async def _ask(self, item: int) -> None:
        self.answers[item] = "cancelled"
        with trio.CancelScope() as self.scopes[item]:
            try:
                self.answers[item] = await self._batcher(item)
            except StoreUnavailable as error:
                self.answers[item] = error


@pytest.fixture
def operation() -> Gated:
    return Gated()


@pytest.fixture
def batcher(operation: Gated) -> Batcher[int, int]:
    return Batcher(operation)


@pytest.fixture
def callers(batcher: Batcher[int, int], nursery: trio.Nursery) -> Callers:
    return Callers(batcher, nursery)


async def test_a_lone_caller_waits_for_nobody(mock_clock: MockClock) -> None:
    async def double(items: Sequence[int]) -> list[int]:
        await trio.lowlevel.checkpoint()
        return [2 * item for item in items]

    assert await Batcher(double)(21) == 42
    assert trio.current_time() == 0


async def test_what_queued_during_a_call_goes_into_the_next(operation: Gated, callers: Callers) -> None:
    await callers.start(1, 2, 3)
    assert operation.calls == [[1]]
    await operation.let_through(0)
    assert callers.answers == {1: 10, 2: "cancelled", 3: "cancelled"}
    await callers.start(4)
    assert operation.calls == [[1], [2, 3]]
    await operation.let_through(1)
    assert callers.answers == {1: 10, 2: 20, 3: 30, 4: "cancelled"}
    await operation.let_through(2)
    assert callers.answers[4] == 40
    await callers.start(5)
    assert operation.calls == [[1], [2, 3], [4], [5]]
    await operation.let_through(3)


async def test_an_error_is_raised_in_every_caller_of_its_call_only(
    operation: Gated, callers: Callers
) -> None:
    operation.errors[1] = StoreUnavailable("away")
    await callers.start(1, 2, 3)
    await operation.let_through(0)
    await callers.start(4)
    await operation.let_through(1)
    await operation.let_through(2)
    away = operation.errors[1]
    assert callers.answers == {1: 10, 2: away, 3: away, 4: 40}


async def test_answers_that_do_not_match_the_items_fail_every_caller() -> None:
    async def short(items: Sequence[int]) -> list[int]:
        await trio.lowlevel.checkpoint()
        return []

    with pytest.raises(ValueError, match=r"^zip\(\) argument 2 is shorter than argument 1$"):
        await Batcher(short)(1)


async def test_a_caller_cancelled_in_the_queue_never_happened(operation: Gated, callers: Callers) -> None:
    await callers.start(1, 2, 3)
    await callers.cancel(2)
    await operation.let_through(0)
    assert operation.calls == [[1], [3]]
    await operation.let_through(1)
    assert callers.answers == {1: 10, 2: "cancelled", 3: 30}


@pytest.mark.parametrize("cancelled", [2, 3])
async def test_a_caller_whose_item_was_taken_gets_its_answer(
    operation: Gated, callers: Callers, cancelled: int
) -> None:
    await callers.start(1, 2, 3)
    await operation.let_through(0)
    await callers.cancel(cancelled)
    await operation.let_through(1)
    assert callers.answers == {1: 10, 2: 20, 3: 30}


async def test_a_cancelled_first_caller_does_not_take_the_others_along(
    operation: Gated, callers: Callers
) -> None:
    await callers.start(1, 2)
    await callers.cancel(1)
    assert operation.calls == [[1]]
    await operation.let_through(0)
    await operation.let_through(1)
    assert callers.answers == {1: 10, 2: 20}


# Trio runs the tasks of one turn in random order, and only one of both orders is the hazard.
@pytest.mark.parametrize("_again", range(12))
async def test_a_leader_cancelled_as_it_is_appointed_passes_the_lead_on(
    operation: Gated, callers: Callers, _again: int
) -> None:
    await callers.start(1, 2, 3)
    callers.scopes[2].cancel()
    operation.gates[0].set()
    await wait_all_tasks_blocked()
    assert operation.calls == [[1], [3]]
    await operation.let_through(1)
    assert callers.answers == {1: 10, 2: "cancelled", 3: 30}


async def test_a_caller_cancelled_before_it_asks_does_not_ask(
    batcher: Batcher[int, int], operation: Gated
) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await batcher(1)
    assert scope.cancelled_caught
    assert operation.calls == []
