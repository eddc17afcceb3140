"""Ready: the database can be used and has our schema, as looked at seldom, whoever asks how often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.daemon.readiness import Readiness
from digestd.errors import StoreUnavailable
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.storing import StoreAccess
from digestd.metrics import Metrics
from digestd.store import ClaimRequest
from support.memory_store import MemoryStore
from support.polling import EPOCH

AWAY = "the database cannot be used just now: a test took it away"


class Database(MemoryStore):
    """A store that takes `takes` seconds for a look, and counts them."""

    def __init__(self) -> None:
        super().__init__(lambda: EPOCH)
        self.takes = 0.01
        self.looks = self.at_a_time = self.most_at_a_time = 0

    async def check_schema(self) -> None:
        self.looks += 1
        self.at_a_time += 1
        self.most_at_a_time = max(self.at_a_time, self.most_at_a_time)
        try:
            await trio.sleep(self.takes)
            await super().check_schema()
        finally:
            self.at_a_time -= 1


class Bench:
    """A readiness that looks at a database."""

    def __init__(self) -> None:
        self.database = Database()
        self.access = StoreAccess(self.database, Metrics(0))
        self.shutdown = Shutdown()
        self.readiness = Readiness(self.database, self.access, self.shutdown)
        self.reason = self.readiness.reason

    async def answered_within(self, seconds: float) -> str | None:
        with trio.fail_after(seconds):
            return await self.reason()


@asynccontextmanager
async def running() -> AsyncIterator[Bench]:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.readiness.run)
        yield bench
        nursery.cancel_scope.cancel()


async def test_probes_of_many_cost_the_database_one_look_in_five_seconds(autojump_clock: MockClock) -> None:
    async with running() as bench:
        answers: list[str | None] = []

        async def probe(offset: float) -> None:
            await trio.sleep(offset)
            while True:
                answers.append(await bench.answered_within(0.02))
                await trio.sleep(2)

        with trio.move_on_after(600):
            async with trio.open_nursery() as probers:
                for number in range(20):
                    probers.start_soon(probe, number * 0.01)
        assert len(answers) > 5900
        assert set(answers) == {None}
        assert 95 < bench.database.looks <= 120
        assert bench.database.most_at_a_time == 1


async def test_nobody_asks_and_nobody_looks(autojump_clock: MockClock) -> None:
    async with running() as bench:
        await trio.sleep(3600)
        assert bench.database.looks == 0
        assert await bench.answered_within(0.02) is None
        assert bench.database.looks == 1


async def test_a_database_that_is_away_is_told_and_its_return_within_seconds(
    autojump_clock: MockClock,
) -> None:
    async with running() as bench:
        bench.database.outage = True
        await trio.sleep(6)
        assert await bench.reason() == AWAY
        bench.database.outage = False
        await trio.sleep(3)
        assert await bench.reason() == AWAY, "within five seconds nobody looks again"
        await trio.sleep(3)
        assert await bench.reason() is None


async def test_an_outage_that_polls_found_is_told_without_a_look(autojump_clock: MockClock) -> None:
    async with running() as bench:
        bench.database.outage = True
        with pytest.raises(StoreUnavailable):
            await bench.access.claim(ClaimRequest(1, 60))
        assert await bench.reason() == AWAY
        bench.database.outage = False
        await bench.access.claim(ClaimRequest(1, 60))
        assert await bench.reason() is None
        assert bench.database.looks == 0


async def test_a_schema_that_is_not_ours_is_told(autojump_clock: MockClock) -> None:
    async with running() as bench:
        bench.database.schema_problem = "the database x is at revision '9999'"
        await trio.sleep(6)
        assert await bench.reason() == "the database x is at revision '9999'"


async def test_who_asks_waits_two_seconds_for_a_database_that_hangs_and_others_not_at_all(
    autojump_clock: MockClock,
) -> None:
    async with running() as bench:
        bench.database.takes = 60
        await trio.sleep(6)
        began = trio.current_time()
        assert await bench.reason() == "the database has given no answer for 2 s"
        assert trio.current_time() - began == 2
        await trio.sleep(28)
        assert await bench.answered_within(0.001) == "the database has given no answer for 30 s"
        assert bench.database.looks == 1
        bench.database.takes = 0.01
        await trio.sleep(35)
        assert await bench.answered_within(0.02) is None


async def test_a_look_that_waits_in_line_behind_polls_that_are_answered_is_no_silence(
    autojump_clock: MockClock,
) -> None:
    async with running() as bench:
        bench.database.takes = 10
        await trio.sleep(6)

        async def poll() -> None:
            while True:
                await bench.access.claim(ClaimRequest(1, 60))
                await trio.sleep(1.5)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll)
            for _ in range(9):
                assert await bench.reason() is None
                await trio.sleep(1)
            nursery.cancel_scope.cancel()


async def test_shutting_down_is_not_ready_at_once_and_nothing_is_looked_at(autojump_clock: MockClock) -> None:
    async with running() as bench:
        await trio.sleep(60)
        bench.shutdown.begin()
        assert await bench.answered_within(0.001) == "digestd is shutting down"
        assert bench.database.looks == 0


async def test_shutdown_does_not_wait_for_a_look(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.database.takes = 60
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.readiness.run)
            await trio.sleep(6)
            await bench.reason()
            bench.shutdown.begin()


async def test_a_bug_in_a_look_is_logged_and_ends_nothing(autojump_clock: MockClock) -> None:
    with capture_logs() as logs:
        async with running() as bench:
            bench.database.fail_next(ZeroDivisionError("a bug"))
            await trio.sleep(6)
            assert await bench.reason() == (
                "looking at the database failed by a bug in digestd: its log has the traceback"
            )
            await trio.sleep(6)
            assert await bench.reason() is None
    assert [(line["event"], line["log_level"]) for line in logs] == [("worker.ready.crashed", "error")]
