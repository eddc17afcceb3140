"""How late polls begin and how late the event loop wakes, which tell of a daemon with too much to do; and states."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from digestd.daemon.health import Health
from digestd.daemon.pipeline import Kinds, Pipeline
from digestd.ingest.bell import Bell
from digestd.ingest.source import SourceLife
from digestd.ingest.supervisor import Supervisor
from digestd.metrics import Histogram
from digestd.model import PollState, Source, State, Step
from support.polling import Bench, always, failed, fetched, in_turn


def classes(histogram: Histogram) -> dict[float, int]:
    """How many values fell into each class that is not empty, by its upper bound."""
    return {
        bound: count
        for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True)
        if count
    }


async def live(bench: Bench, seconds: float, *names: str) -> None:
    statuses = await bench.add(*names)
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, bench.settings.interval_seconds).start(nursery, statuses)


async def test_a_daemon_with_room_begins_every_poll_in_time(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=60)
    await live(bench, 605, "one", "two", "three")
    assert classes(bench.metrics.lateness) == {1.0: bench.metrics.sources_checked}
    assert bench.metrics.sources_checked > 30 - 3


async def test_sources_that_wait_for_a_slot_are_late(autojump_clock: MockClock) -> None:
    async def slow(source: Source, state: PollState) -> Step:
        await trio.sleep(20)
        return fetched("a")

    bench = Bench(slow, interval_seconds=3600, max_sources=1)
    await live(bench, 3000, "one", "two", "three", "four")
    assert classes(bench.metrics.lateness) == {1.0: 1, 30.0: 1, 60.0: 2}


async def test_sources_that_wait_for_their_host_are_late(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), delay_seconds=100, interval_seconds=3600)
    statuses = await bench.add("one", "two", "three", host=lambda name: "same")
    with trio.move_on_after(3000):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 3600).start(nursery, statuses)
    assert classes(bench.metrics.lateness) == {1.0: 1, 120.0: 1, 300.0: 1}


async def test_an_outage_of_the_database_makes_late(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=60)
    statuses = await bench.add("one")
    with trio.move_on_after(690):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 60).start(nursery, statuses)
            await trio.sleep(30)
            bench.store.outage = True
            await trio.sleep(600)
            bench.store.outage = False
    assert classes(bench.metrics.lateness) == {1.0: 1, 900.0: 1}


async def test_what_another_process_has_polled_meanwhile_is_due_anew(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=600)
    (status,) = await bench.add("one")
    with trio.move_on_after(1000):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 600).start(nursery, [status])
            await trio.sleep(300)
            bench.store.rows[status.source.id]["next_fetch_at"] += timedelta(seconds=300)
    assert classes(bench.metrics.lateness) == {1.0: 2}
    assert bench.times()[1] > 899


async def test_a_source_that_is_asked_for_sooner_is_due_from_then_on(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=86_400, max_sources=1)
    (status,) = await bench.add("one")
    life = SourceLife(status, bench.around)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(life.run, 0.0)
        await trio.sleep(5000)
        await bench.store.poll_now("one")
        async with bench.slots.hold(alone=False):
            life.update(await bench.status())
            await trio.sleep(20)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert classes(bench.metrics.lateness) == {1.0: 1, 30.0: 1}


async def test_once_counts_no_lateness(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")))
    (status,) = await bench.add("one")
    await SourceLife(status, bench.around).once(force=True)
    assert (bench.metrics.sources_checked, classes(bench.metrics.lateness)) == (1, {})


async def test_the_ticker_measures_how_late_the_event_loop_wakes_it(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")))
    supervisor = Supervisor(bench.around, bench.metrics, 60)
    pipeline = Pipeline(bench.around, [], None, bench.store, "me", cast(Kinds, None), Bell(), bench.doors)
    health = Health(pipeline, supervisor, bench.metrics)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(health.tick)
        await trio.sleep(10.5)
        autojump_clock.jump(0.7)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    assert classes(bench.metrics.loop_lag) == {0.001: 10, 0.25: 1}
    assert bench.metrics.loop_lag.sum == pytest.approx(0.2)


async def test_states_of_sources_are_counted_as_they_change(autojump_clock: MockClock) -> None:
    bench = Bench(in_turn([failed("dns")] * 3 + [fetched("a")]), interval_seconds=60)
    statuses = await bench.add("one")
    seen: list[dict[str, State]] = []
    with trio.move_on_after(3600):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 60).start(nursery, statuses)
            while True:
                if not seen or seen[-1] != bench.metrics.states:
                    seen.append(dict(bench.metrics.states))
                await trio.sleep(1)
    assert seen == [{}, {"one": "degraded"}, {}]


async def test_a_source_that_is_paused_as_a_duplicate_is_counted_until_it_leaves(
    autojump_clock: MockClock,
) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=60)
    one, two = await bench.add("one", "two")
    paused = replace(two, state="duplicate")
    bench.metrics.remember([one, paused])
    supervisor = Supervisor(bench.around, bench.metrics, 60)
    async with trio.open_nursery() as nursery:
        supervisor.start(nursery, [one, paused])
        assert (supervisor.enabled, bench.metrics.states) == (1, {"two": "duplicate"})
        supervisor.follow(nursery, two, pollable=True)
        assert (supervisor.enabled, bench.metrics.states) == (2, {})
        supervisor.follow(nursery, paused, pollable=False)
        assert (supervisor.enabled, bench.metrics.states) == (1, {"two": "duplicate"})
        supervisor.follow(nursery, replace(two, state="removed"), pollable=False)
        assert (supervisor.enabled, bench.metrics.states) == (1, {})
        nursery.cancel_scope.cancel()
