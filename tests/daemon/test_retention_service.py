"""The daemon's part of retention: when it runs, what it logs, what it survives."""

from __future__ import annotations

import random
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from digestd.config import RetentionSettings
from digestd.daemon.retention import Retention
from digestd.errors import StoreUnavailable
from digestd.ingest.shutdown import Shutdown
from digestd.model import PollState, SourceSpec
from digestd.store import Claim, ClaimRequest, Fetched, StepRecord
from support.memory_store import MemoryStore
from support.polling import entries

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = RetentionSettings(days=1)


class Bench:
    """A source in memory by Trio's clock, and retention beside it."""

    def __init__(self, settings: RetentionSettings = DAYS) -> None:
        began = trio.current_time()
        self.store = MemoryStore(lambda: EPOCH + timedelta(seconds=trio.current_time() - began))
        self.shutdown = Shutdown()
        self.retention = Retention(settings, self.store, self.shutdown, random.Random(1))

    async def serve(self, *guids: str) -> None:
        """Let the source serve these entries as its whole document."""
        await self.store.sync_sources([SourceSpec("one", "feed", "https://one.example/")])
        (status,) = await self.store.sources()
        (claim,) = await self.store.claim([ClaimRequest(status.source.id, 60, force=True)])
        assert isinstance(claim, Claim)
        step = StepRecord(
            claim.source.id,
            claim.token,
            PollState(),
            succeeded=True,
            consecutive_failures=0,
            state="active",
            schedule_reason="interval",
            next_delay_seconds=300,
            lease_seconds=60,
            entries=entries(*guids),
            whole=True,
            fetched=Fetched("fetched", None, 0.1, 1_000),
        )
        await self.store.record([step])
        await trio.sleep(1)

    @property
    def guids(self) -> set[str]:
        return {row["guid"] for row in self.store.kept.values()}


def named(logs: list[MutableMapping[str, Any]], event: str) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == event]


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        (RetentionSettings(), {"a", "b"}),
        (DAYS, {"b"}),
        (RetentionSettings(max_per_source=1), {"b"}),
    ],
)
async def test_it_is_off_until_it_is_asked_for(
    settings: RetentionSettings, left: set[str], autojump_clock: MockClock
) -> None:
    bench = Bench(settings)
    await bench.serve("b", "a")
    await bench.serve("b")
    await trio.sleep(40 * 86_400)
    await bench.retention.once()
    assert bench.guids == left


async def test_the_log_of_polls_goes_back_a_week_with_no_limit_set(autojump_clock: MockClock) -> None:
    bench = Bench(RetentionSettings())
    await bench.serve("a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.retention.run)
        await trio.sleep(6.9 * 86_400)
        assert len(await bench.store.fetches("one", 10)) == 1
        await trio.sleep(0.2 * 86_400)
        assert await bench.store.fetches("one", 10) == []
        bench.shutdown.begin()
    assert bench.guids == {"a"}


async def test_every_hour_what_has_left_goes_and_is_told_once(autojump_clock: MockClock) -> None:
    bench = Bench()
    await bench.serve("a", "b", "c")
    await bench.serve("c")
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.retention.run)
            await trio.sleep(23 * 3600)
            assert bench.guids == {"a", "b", "c"}
            await trio.sleep(3 * 3600)
            assert bench.guids == {"c"}
            await trio.sleep(30 * 3600)
            bench.shutdown.begin()
    (line,) = logs
    seconds = line.pop("duration_seconds")
    assert 0 <= seconds < 5
    assert line == {
        "event": "worker.retention.complete",
        "log_level": "info",
        "articles_deleted": 2,
        "tombstones_deleted": 0,
    }


async def test_it_pauses_between_pieces(autojump_clock: MockClock) -> None:
    bench = Bench()
    await bench.serve(*(str(number) for number in range(1_700)))
    await bench.serve("c")
    await trio.sleep(2 * 86_400)
    began = trio.current_time()
    await bench.retention.purge()
    assert bench.guids == {"c"}
    # Three full pieces, the rest, and one that finds no further source.
    assert trio.current_time() - began == pytest.approx(4 * 0.2)


async def test_an_outage_and_a_bug_end_a_pass_and_nothing_else(autojump_clock: MockClock) -> None:
    bench = Bench()
    await bench.serve("a", "b")
    await bench.serve("b")
    bench.store.fail_next(StoreUnavailable("it is away"))
    bench.store.fail_next(ZeroDivisionError("a bug"))
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.retention.run)
            await trio.sleep(30 * 3600)
            bench.shutdown.begin()
    (postponed,) = named(logs, "worker.retention.postponed")
    assert (postponed["error"], postponed["effect"]) == ("it is away", "tried again in an hour")
    (crashed,) = named(logs, "worker.retention.crashed")
    assert (crashed["log_level"], crashed["effect"]) == ("error", "tried again in an hour")
    assert bench.guids == {"b"}


async def test_the_first_signal_ends_it_at_once(autojump_clock: MockClock) -> None:
    bench = Bench()
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.retention.run)
            await wait_all_tasks_blocked()
            bench.shutdown.begin()
