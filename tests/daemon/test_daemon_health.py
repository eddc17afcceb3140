"""What counts as progress, and that the daemon's state shows every failure."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from digestd.daemon.health import Health
from digestd.daemon.pipeline import Kinds, Pipeline
from digestd.ingest.bell import Bell
from digestd.ingest.supervisor import Supervisor
from digestd.model import PollState, Source, SourceStatus, Step
from support.polling import Bench, always, failed, fetched, in_turn


class Daemon:
    """The sources of a bench, run as the daemon runs them."""

    def __init__(self, bench: Bench, statuses: list[SourceStatus]) -> None:
        self._statuses = statuses
        self.bench = bench
        self.supervisor = Supervisor(bench.around, bench.metrics, bench.settings.interval_seconds)
        kinds = cast(Kinds, None)
        pipeline = Pipeline(bench.around, statuses, None, bench.store, "me", kinds, Bell(), bench.doors)
        self.health = Health(pipeline, self.supervisor, bench.metrics)

    def start(self, nursery: trio.Nursery) -> None:
        self.supervisor.start(nursery, self._statuses)
        nursery.start_soon(self.health.tick)


async def test_a_quiet_hour_is_progress(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=86_400)
    daemon = Daemon(bench, await bench.add("one", "two"))
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        await trio.sleep(3600)
        shown = daemon.health.state()
        assert (shown.stalled, shown.enabled, shown.running, shown.slots_in_use, shown.slots) == (
            None,
            2,
            2,
            0,
            10,
        )
        assert shown.uptime_seconds == 3600
        nursery.cancel_scope.cancel()


async def test_what_is_free_on_the_disk_of_the_database_is_shown(tmp_path: Path) -> None:
    bench = Bench(always(fetched("a")))
    supervisor = Supervisor(bench.around, bench.metrics, 60)
    pipeline = Pipeline(bench.around, [], None, bench.store, "me", cast(Kinds, None), Bell(), bench.doors)
    shown = Health(pipeline, supervisor, bench.metrics, tmp_path).state().free_bytes
    assert shown is not None
    assert shown == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    for folder in (None, tmp_path / "gone"):
        assert Health(pipeline, supervisor, bench.metrics, folder).state().free_bytes is None


async def test_no_sources_at_all_are_progress(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a"))), [])
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        await trio.sleep(3600)
        assert (daemon.health.state().stalled, daemon.health.state().enabled) == (None, 0)
        nursery.cancel_scope.cancel()


async def test_a_ticker_that_does_not_wake_is_none(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a"))), [])
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        await trio.sleep(10.5)
        nursery.cancel_scope.cancel()
    await trio.sleep(1.4)
    assert daemon.health.state().stalled is None
    await trio.sleep(0.2)
    assert daemon.health.state().stalled == "the tasks of the sources have not woken for 2 s"


async def test_a_poll_that_cannot_be_ended_is_none(autojump_clock: MockClock) -> None:
    async def stuck_once(source: Source, state: PollState) -> Step:
        if len(bench.kind.asked) == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(200)
        return fetched("a")

    bench = Bench(stuck_once, poll_timeout_seconds=60, interval_seconds=86_400)
    daemon = Daemon(bench, await bench.add("one"))
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        await trio.sleep(90)
        assert (daemon.health.state().stalled, daemon.health.state().slots_in_use) == (None, 1)
        await trio.sleep(5)
        assert daemon.health.state().stalled == (
            "a poll has held its slot for 95 s; none may last longer than 60 s (worker.poll_timeout_seconds)"
        )
        await trio.sleep(200)
        assert (daemon.health.state().stalled, daemon.health.state().slots_in_use) == (None, 0), (
            "it ended after all"
        )
        nursery.cancel_scope.cancel()


async def test_polls_that_hang_and_are_ended_are_progress(autojump_clock: MockClock) -> None:
    async def hangs(source: Source, state: PollState) -> Step:
        await trio.sleep_forever()

    bench = Bench(hangs, poll_timeout_seconds=60, interval_seconds=1, max_sources=2)
    daemon = Daemon(bench, await bench.add("one", "two", "three"))
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        for _ in range(1000):
            await trio.sleep(1)
            assert daemon.health.state().stalled is None
        assert set(bench.metrics.failing) == {"one", "two", "three"}
        nursery.cancel_scope.cancel()


async def test_while_it_shuts_down_the_grace_period_is_the_bound(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a"))), [])
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        await trio.sleep(1)
        daemon.bench.shutdown.begin()
    await trio.sleep(60)
    assert (daemon.health.state().stalled, daemon.health.state().stopping) == (None, True)


async def test_a_database_outage_is_progress_and_shows_since_when(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=1)
    daemon = Daemon(bench, await bench.add("one"))
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        await trio.sleep(10)
        bench.store.outage = True
        await trio.sleep(600)
        shown = daemon.health.state()
        assert shown.stalled is None
        assert shown.store_away_since is not None
        assert timedelta(seconds=595) < datetime.now(UTC) - shown.store_away_since < timedelta(seconds=602)
        bench.store.outage = False
        await trio.sleep(60)
        assert daemon.health.state().store_away_since is None
        nursery.cancel_scope.cancel()


async def test_a_slot_held_during_a_database_outage_is_judged_after_it(autojump_clock: MockClock) -> None:
    async def stuck(source: Source, state: PollState) -> Step:
        if source.name == "stuck":
            with trio.CancelScope(shield=True):
                await trio.sleep(500)
        return fetched("a")

    bench = Bench(stuck, poll_timeout_seconds=60, interval_seconds=1)
    daemon = Daemon(bench, await bench.add("stuck", "other"))
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        await trio.sleep(10)
        bench.store.outage = True
        await trio.sleep(200)
        assert daemon.health.state().stalled is None
        bench.store.outage = False
        await trio.sleep(60)
        assert daemon.health.state().stalled is not None
        nursery.cancel_scope.cancel()


async def test_the_error_of_a_failing_source_is_kept_until_it_is_well(autojump_clock: MockClock) -> None:
    bench = Bench(
        in_turn([failed("tls"), failed("http_status", status=500), fetched("a")]), interval_seconds=1
    )
    daemon = Daemon(bench, await bench.add("one"))
    seen: list[str | None] = []
    async with trio.open_nursery() as nursery:
        daemon.start(nursery)
        for _ in range(600):
            await trio.sleep(1)
            if not seen or seen[-1] != bench.metrics.failing.get("one"):
                seen.append(bench.metrics.failing.get("one"))
        nursery.cancel_scope.cancel()
    assert seen == ["tls: it broke", "http_status: it broke", None]
    assert bench.metrics.last_fetch is not None
    assert datetime.now(UTC) - bench.metrics.last_fetch < timedelta(seconds=60)


async def test_what_an_earlier_run_left_is_shown_at_once(autojump_clock: MockClock) -> None:
    bench = Bench(always(failed("dns")))
    source = (await bench.add("one"))[0].source
    early, late = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    bench.metrics.remember(
        [
            SourceStatus(source, "active", last_success_at=late),
            SourceStatus(
                source, "degraded", last_success_at=early, consecutive_failures=3, last_error="dns: no"
            ),
            SourceStatus(source, "active"),
        ]
    )
    assert (bench.metrics.failing, bench.metrics.last_fetch) == ({"one": "dns: no"}, late)
