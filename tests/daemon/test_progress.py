"""The watchdog's rule on a daemon that runs: what is progress, and what is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from digestd.config import WorkerSettings
from digestd.daemon.health import Health
from digestd.daemon.pipeline import Kinds, Pipeline
from digestd.daemon.watchdog import watchdog
from digestd.ingest.bell import Bell
from digestd.ingest.supervisor import Supervisor
from digestd.model import PollState, Source, Step
from digestd.systemd import Notifier
from support.polling import Bench, always, fetched

INTERVAL = 30.0
"""Half of the unit's WatchdogSec=60."""
HOUR = 3600


class Manager:
    """A service manager that notes when it heard from the daemon."""

    def __init__(self) -> None:
        self.heard = [trio.current_time()]

    def watchdog(self) -> None:
        self.heard.append(trio.current_time())

    @property
    def longest_silence(self) -> float:
        moments = [*self.heard, trio.current_time()]
        return max(later - earlier for earlier, later in pairwise(moments))


@asynccontextmanager
async def watched(bench: Bench, *names: str) -> AsyncIterator[tuple[Manager, Health, trio.CancelScope]]:
    """A daemon with the sources `names` that is watched, its health, and the scope of its ticker."""
    statuses = await bench.add(*names)
    supervisor = Supervisor(bench.around, bench.metrics, bench.settings.interval_seconds)
    kinds = cast(Kinds, None)
    pipeline = Pipeline(bench.around, statuses, None, bench.store, "me", kinds, Bell(), bench.doors)
    health, manager, ticker = Health(pipeline, supervisor, bench.metrics), Manager(), trio.CancelScope()

    async def tick() -> None:
        with ticker:
            await health.tick()

    async with trio.open_nursery() as nursery:
        supervisor.start(nursery, statuses)
        nursery.start_soon(tick)
        notifier = cast(Notifier, manager)
        nursery.start_soon(watchdog, notifier, INTERVAL, health.stalled, bench.shutdown)
        yield manager, health, ticker
        nursery.cancel_scope.cancel()


async def test_a_quiet_hour_is_progress(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=86_400)
    async with watched(bench, "one", "two") as (manager, _, _):
        await trio.sleep(HOUR)
        assert manager.longest_silence == INTERVAL
        assert bench.metrics.sources_checked == 2


async def test_a_night_of_304s_is_progress(autojump_clock: MockClock) -> None:
    bench = Bench(always(Step(PollState(etag='"as before"'), unchanged=True)), interval_seconds=300)
    async with watched(bench, "one", "two") as (manager, _, _):
        await trio.sleep(10 * HOUR)
        assert manager.longest_silence == INTERVAL
        assert (bench.metrics.sources_fetched, bench.metrics.articles_new) == (0, 0)
        assert bench.metrics.sources_unchanged > 200


async def test_no_sources_at_all_are_progress(autojump_clock: MockClock) -> None:
    async with watched(Bench(always(fetched("a")))) as (manager, _, _):
        await trio.sleep(HOUR)
        assert manager.longest_silence == INTERVAL


async def test_ten_minutes_without_the_database_are_progress(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=60)
    async with watched(bench, "one", "two") as (manager, health, _):
        await trio.sleep(100)
        bench.store.outage = True
        await trio.sleep(600)
        assert health.state().store_away_since is not None
        bench.store.outage = False
        await trio.sleep(100)
        assert manager.longest_silence == INTERVAL
        assert health.state().store_away_since is None


async def test_a_ticker_that_does_not_wake_is_none_from_two_seconds_on(autojump_clock: MockClock) -> None:
    async with watched(Bench(always(fetched("a"))), "one") as (manager, health, ticker):
        await trio.sleep(100.5)
        ticker.cancel()
        heard = len(manager.heard)
        await trio.sleep(1.4)
        assert health.stalled() is None
        await trio.sleep(0.2)
        assert health.stalled() == "the tasks of the sources have not woken for 2 s"
        await trio.sleep(HOUR)
        assert len(manager.heard) == heard


async def test_a_slot_that_is_held_too_long_is_none_and_its_end_is_told_at_once(
    autojump_clock: MockClock,
) -> None:
    async def stuck_once(source: Source, state: PollState) -> Step:
        if len(bench.kind.asked) == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(140)
        return fetched("a")

    bench = Bench(stuck_once, poll_timeout_seconds=60, interval_seconds=86_400)
    async with watched(bench, "one") as (manager, _, _):
        await trio.sleep(89)
        assert manager.longest_silence == INTERVAL
        await trio.sleep(200)
        began = bench.kind.asked[0][1] - bench.metrics.started
        moments = [heard - bench.metrics.started for heard in manager.heard]
        # It was held for just under 90 s at 90 s, for too long at 120 s, and is free after 140 s.
        free = pytest.approx(began + 140, abs=1.1)
        assert [moment for moment in moments if 61 < moment < 170] == [90, free]


@pytest.mark.parametrize("seconds", [0.9, 5.0])
async def test_a_moment_in_which_the_event_loop_stands_still_is_forgiven(
    seconds: float, autojump_clock: MockClock
) -> None:
    """Both are as late as the loop was: whichever has its turn first."""
    async with watched(Bench(always(fetched("a"))), "one") as (manager, _, _):
        await trio.sleep(1)
        for _ in range(20):
            await trio.sleep(manager.heard[-1] + INTERVAL - seconds / 2 - trio.current_time())
            autojump_clock.jump(seconds)
            await trio.sleep(1)
        assert manager.longest_silence == pytest.approx(INTERVAL + seconds / 2)


async def test_a_poll_of_many_steps_ends_within_its_deadline(autojump_clock: MockClock) -> None:
    """Its second step begins just before half of the deadline has gone, and hangs."""

    async def page(source: Source, state: PollState) -> Step:
        await trio.sleep(29 if len(bench.kind.asked) == 1 else 1000)
        return fetched("a", more=True)

    bench = Bench(page, poll_timeout_seconds=60, interval_seconds=86_400)
    async with watched(bench, "one") as (manager, _, _):
        await trio.sleep(200)
        assert manager.longest_silence == INTERVAL
        assert bench.metrics.errors_by_cause == {"timeout": 1}
        assert bench.metrics.fetch_seconds == pytest.approx(60, abs=0.1)


async def test_the_deadline_of_polls_is_the_one_that_a_reload_set(autojump_clock: MockClock) -> None:
    async def slow(source: Source, state: PollState) -> Step:
        await trio.sleep(280)
        return fetched("a")

    bench = Bench(slow, poll_timeout_seconds=60, interval_seconds=1)
    async with watched(bench, "one") as (manager, health, _):
        bench.around.poller.adopt(with_timeout(bench, 300))
        await trio.sleep(500)
        assert manager.longest_silence == INTERVAL, "raised: the poll may take its time"
        while bench.slots.longest_held_seconds == 0 or bench.slots.longest_held_seconds > 2:
            await trio.sleep(1)
        await trio.sleep(100)
        bench.around.poller.adopt(with_timeout(bench, 60))
        await trio.sleep(175)
        assert bench.slots.longest_held_seconds > 270
        assert health.stalled() is None, "lowered: polls in flight still have the old one"


def with_timeout(bench: Bench, seconds: float) -> WorkerSettings:
    return bench.settings.model_copy(update={"poll_timeout_seconds": seconds})
