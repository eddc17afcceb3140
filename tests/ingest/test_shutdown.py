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
