"""Whoever only waits leaves at once, whoever works may finish."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from digestd.ingest.shutdown import Shutdown


async def test_waiting_ends_and_work_goes_on(autojump_clock: MockClock) -> None:
    shutdown, ended = Shutdown(), []

    async def wait() -> None:
        with shutdown.idle() as idle:
            await trio.sleep_forever()
        ended.append(("waiting", trio.current_time() - began, idle.cancelled_caught))

    async def work() -> None:
        with shutdown.idle():
            await trio.lowlevel.checkpoint()
        await trio.sleep(5)
        ended.append(("work", trio.current_time() - began, False))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(work)
        await trio.sleep(1)
        shutdown.begin()
    assert ended == [("waiting", 1, True), ("work", 5, False)]


async def test_after_the_end_has_begun_nobody_starts_to_wait() -> None:
    shutdown = Shutdown()
    shutdown.begin()
    with trio.fail_after(1), shutdown.idle() as idle:
        await trio.sleep_forever()
    assert idle.cancelled_caught


async def test_very_many_leave_and_work_goes_on_in_between(autojump_clock: MockClock) -> None:
    shutdown = Shutdown()
    left: list[int] = []
    turns: list[int] = []

    async def wait(number: int) -> None:
        with shutdown.idle():
            await trio.sleep_forever()
        left.append(number)

    async def work() -> None:
        await shutdown.begun.wait()
        while len(left) < 2_000:
            turns.append(len(left))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(2_000):
            nursery.start_soon(wait, number)
        nursery.start_soon(work)
        await trio.sleep(1)
        shutdown.begin()
    assert sorted(left) == list(range(2_000))
    assert len({turn for turn in turns if turn}) >= 3, "they left in several slices"


async def test_a_sleep_ends_at_its_moment_by_itself_or_at_the_end(autojump_clock: MockClock) -> None:
    shutdown = Shutdown()
    began = trio.current_time()

    async def sleep() -> None:
        await shutdown.sleep_until(began + 100)

    await shutdown.sleep_until(began + 3)
    assert trio.current_time() == began + 3
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleep)
        await trio.sleep(1)
        shutdown.begin()
    assert trio.current_time() == began + 4
    await shutdown.sleep_until(began + 100)
    assert trio.current_time() == began + 4


async def test_very_many_sleepers_leave_in_slices_beside_those_who_wait(autojump_clock: MockClock) -> None:
    shutdown, began = Shutdown(), trio.current_time()
    left: list[int] = []

    async def sleep(number: int) -> None:
        await shutdown.sleep_until(began + 100 + number % 7)
        left.append(len(left))

    async def wait() -> None:
        with shutdown.idle():
            await trio.sleep_forever()
        left.append(len(left))

    async with trio.open_nursery() as nursery:
        for number in range(1_800):
            nursery.start_soon(sleep, number)
        for _ in range(700):
            nursery.start_soon(wait)
        await trio.sleep(1)
        shutdown.begin()
        await trio.lowlevel.checkpoint()
        assert 0 < len(left) < 1_500, "others are at work meanwhile"
    assert len(left) == 2_500
    assert trio.current_time() == began + 1
