"""One alarm wakes very many tasks, each at its moment."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from digestd.ingest.alarm import Alarm


async def test_each_task_is_woken_at_its_own_moment_whatever_the_order(autojump_clock: MockClock) -> None:
    alarm, began = Alarm(), trio.current_time()
    woken: list[tuple[float, float]] = []

    async def sleep(seconds: float) -> None:
        await alarm.sleep_until(began + seconds)
        woken.append((seconds, trio.current_time() - began))

    async with trio.open_nursery() as nursery:
        for seconds in (30.0, 10.0, 20.0, 10.0, 0.0, -1.0):
            nursery.start_soon(sleep, seconds)
        await trio.sleep(5)
        # Earlier than all that are set by now.
        nursery.start_soon(sleep, 6.0)
    assert [seconds for seconds, _ in woken if seconds > 0] == [6, 10, 10, 20, 30]
    assert all(at == max(seconds, 0) for seconds, at in woken)


async def test_who_is_woken_early_is_not_woken_again_from_the_sleep_after(autojump_clock: MockClock) -> None:
    alarm, began = Alarm(), trio.current_time()
    woken = []

    async def sleep_twice() -> None:
        for seconds in (10, 100):
            await alarm.sleep_until(began + seconds)
            woken.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleep_twice)
        await wait_all_tasks_blocked()
        (task,) = (child for child in nursery.child_tasks)
        alarm.wake(task)
        # It is not asleep any more, and this is no other sleep's end.
        alarm.wake(task)
        await trio.sleep(50)
        assert woken == [0]
    assert woken == [0, 100]


async def test_who_waits_for_something_else_is_not_woken(autojump_clock: MockClock) -> None:
    alarm, lock = Alarm(), trio.Lock()
    async with trio.open_nursery() as nursery:
        await lock.acquire()
        nursery.start_soon(lock.acquire)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        alarm.wake(task)
        await wait_all_tasks_blocked()
        assert task.custom_sleep_data is not None
        nursery.cancel_scope.cancel()


async def test_who_is_cancelled_does_not_sleep_any_more(autojump_clock: MockClock) -> None:
    alarm, began = Alarm(), trio.current_time()
    with trio.move_on_after(1) as scope:
        await alarm.sleep_until(began + 10)
    assert scope.cancelled_caught
    assert alarm.asleep == 0
    # Nothing happens at the moment that was asked for; what is cancelled already does not sleep at all.
    await trio.sleep(20)
    with trio.CancelScope() as scope:
        scope.cancel()
        await alarm.sleep_until(trio.current_time() + 10)
    assert scope.cancelled_caught
    assert trio.current_time() == began + 21


async def sleeping(alarm: Alarm, moment: float) -> None:
    await alarm.sleep_until(moment)


async def test_some_are_woken_and_then_the_others(autojump_clock: MockClock) -> None:
    alarm, began = Alarm(), trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(sleeping, alarm, began + 100 + number)
        await wait_all_tasks_blocked()
        assert alarm.asleep == 10
        assert alarm.wake_some(3)
        await wait_all_tasks_blocked()
        assert alarm.asleep == len(nursery.child_tasks) == 7
        assert not alarm.wake_some(100)
        assert not alarm.wake_some(1)
    assert trio.current_time() == began


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.sampled_from(["", "wake", "cancel"])),
        max_size=30,
    )
)
def test_a_sleep_ends_at_its_moment_or_when_somebody_ends_it(plans: list[tuple[int, int, str]]) -> None:
    ended: list[tuple[int, float]] = []

    async def run() -> None:
        alarm, began = Alarm(), trio.current_time()

        async def sleep(number: int, seconds: int) -> None:
            try:
                await alarm.sleep_until(began + seconds)
            finally:
                ended.append((number, trio.current_time() - began))

        async def end(task: trio.lowlevel.Task, scope: trio.CancelScope, seconds: int, how: str) -> None:
            await trio.sleep(seconds)
            if how == "wake":
                alarm.wake(task)
            elif how == "cancel":
                scope.cancel()

        async def one(number: int, seconds: int, ending: int, how: str) -> None:
            with trio.CancelScope() as scope:
                others.start_soon(end, trio.lowlevel.current_task(), scope, ending, how)
                await sleep(number, seconds)

        async with trio.open_nursery() as others, trio.open_nursery() as sleepers:
            for number, plan in enumerate(plans):
                sleepers.start_soon(one, number, *plan)

    trio.run(run, clock=MockClock(autojump_threshold=0))
    expected = [min(seconds, ending) if how else seconds for seconds, ending, how in plans]
    assert dict(ended) == dict(enumerate(expected))
