"""The central semaphore: at most so many, half of it for the failing, all of it for a suspect."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from digestd.ingest.slots import Slots


async def hold(
    slots: Slots, seconds: float, now: Callable[[int], None], *, failing: bool, alone: bool
) -> None:
    async with AsyncExitStack() as held:
        if failing:
            held.callback((slots.try_failing_place() or await slots.failing_place()).leave)
        await held.enter_async_context(slots.hold(alone=alone))
        now(1)
        await trio.sleep(seconds)
        now(-1)


async def test_failing_sources_hold_at_most_half_of_the_slots(autojump_clock: MockClock) -> None:
    slots = Slots(10)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(lambda: hold(slots, 30, lambda _: None, failing=True, alone=False))
        await trio.sleep(1)
        assert slots.in_use == 5
        async with slots.hold(alone=False):
            assert slots.in_use == 6
        nursery.cancel_scope.cancel()


async def test_a_quarter_of_the_slots_is_kept_for_prompt_sources_once_there_are_any(
    autojump_clock: MockClock,
) -> None:
    slots = Slots(8)
    begun: list[str] = []

    async def poll(name: str, prompt: bool) -> None:
        async with slots.hold(alone=False, prompt=prompt):
            begun.append(name)
            await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(poll, f"new {number}", False)
        await trio.sleep(1)
        assert len(begun) == 8, "as long as nobody is known to be prompt, new ones may have all"
        slots.reserve()
        await trio.sleep(10)
        assert slots.in_use == 6
        nursery.start_soon(poll, "prompt", True)
        await trio.sleep(1)
        assert begun[-1] == "prompt"
        slots.resize(4)
        await trio.sleep(30)
        assert len(begun) == 21
        nursery.cancel_scope.cancel()


async def test_a_suspect_is_polled_while_nothing_else_is(autojump_clock: MockClock) -> None:
    slots, inside, most = Slots(4), 0, 0

    def count(change: int) -> None:
        nonlocal inside, most
        inside += change
        most = max(most, inside)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(lambda: hold(slots, 5, count, failing=False, alone=False))
        await trio.sleep(1)
        async with slots.hold(alone=True):
            assert inside == 0
            assert slots.in_use == slots.total
            await trio.sleep(60)
            assert inside == 0
    assert most == 4


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 9), st.floats(0, 9)), max_size=12),
)
def test_cancelling_anywhere_leaves_every_slot_free(
    total: int, visitors: list[tuple[bool, bool, float, float]]
) -> None:
    async def main() -> None:
        slots = Slots(total)

        async def visit(failing: bool, alone: bool, seconds: float, patience: float) -> None:
            with trio.move_on_after(patience):
                await hold(slots, seconds, lambda _: None, failing=failing, alone=alone)

        async with trio.open_nursery() as nursery:
            for visitor in visitors:
                nursery.start_soon(visit, *visitor)
        assert slots.in_use == 0
        with trio.fail_after(1):
            async with slots.hold(alone=True):
                assert slots.in_use == total

    trio.run(main, clock=MockClock(autojump_threshold=0))
