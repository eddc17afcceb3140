"""What every store promises of hosts, asked of the one in memory, of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from sqlalchemy import Engine, func, insert, select, text, update

from digestd.store import Claim, ClaimRequest, Gone, HostPause, HostStart, Store, Wait
from digestd.store import hosts as statements
from digestd.store.schema import hosts
from store.builders import one, source_ids, spec, step, taken
from store.conftest import Bench, SqlBench, bench_at, open_at

A = HostStart("a.example:443", 30)
B = HostStart("b.example:443", 30)
ONLY_PAUSES = HostStart(A.key, 0)
SHORT = 5.0
"""How long a test may have taken where a moment is compared."""


def age(bench: Bench, seconds: float) -> None:
    """Let `seconds` pass, for hosts too."""
    bench.age(seconds)
    # Not by its class: pytest has a conftest.py of its own.
    engine: Engine | None = getattr(bench, "engine", None)
    if engine is not None:
        past = timedelta(seconds=seconds)
        with engine.begin() as connection:
            for row in connection.execute(select(hosts)).all():
                paused = None if row.paused_until is None else row.paused_until - past
                moved = update(hosts).where(hosts.c.host_key == row.host_key)
                connection.execute(moved.values(next_start_at=row.next_start_at - past, paused_until=paused))


def is_wait(answer: object, seconds: float, reason: str) -> bool:
    """Whether `answer` is to wait for about `seconds`, by a clock that has gone on since."""
    return (
        isinstance(answer, Wait)
        and answer.reason == reason
        and seconds - SHORT < answer.seconds <= seconds + 0.001
    )


async def start(store: Store, start: HostStart) -> Wait | None:
    return one(await store.start_at_hosts([start]))


def asking(source_id: int, host: HostStart | None, **options: Any) -> ClaimRequest:
    return ClaimRequest(source_id, 60, host=host, **options)


class TestStarts:
    async def test_one_start_puts_off_the_next_of_its_host_alone(self, bench: Bench) -> None:
        assert await start(bench.store, A) is None
        assert is_wait(await start(bench.store, A), 30, "host")
        assert await start(bench.store, B) is None
        age(bench, 20)
        assert is_wait(await start(bench.store, A), 10, "host")
        age(bench, 10)
        assert await start(bench.store, A) is None
        assert is_wait(await start(bench.store, A), 30, "host")

    async def test_a_wait_reserves_nothing(self, bench: Bench) -> None:
        assert await start(bench.store, A) is None
        age(bench, 29)
        for _ in range(3):
            assert is_wait(await start(bench.store, A), 1, "host")
        age(bench, 1)
        assert await start(bench.store, A) is None

    async def test_starts_of_one_call_go_in_order(self, bench: Bench) -> None:
        first, second, third, fourth = await bench.store.start_at_hosts([A, B, A, A])
        assert (first, second) == (None, None)
        assert is_wait(third, 30, "host")
        assert is_wait(fourth, 30, "host")
        third_host = HostStart("c.example:443", 7)
        waiting, fresh = await bench.store.start_at_hosts([B, third_host])
        assert is_wait(waiting, 30, "host")
        assert fresh is None
        assert is_wait(await start(bench.store, third_host), 7, "host")

    async def test_many_hosts_in_one_call(self, bench: Bench) -> None:
        starts = [HostStart(f"host{number}.example:443", 30) for number in range(60)]
        assert await bench.store.start_at_hosts(starts[:40]) == [None] * 40
        answers = await bench.store.start_at_hosts(starts)
        assert all(is_wait(answer, 30, "host") for answer in answers[:40])
        assert answers[40:] == [None] * 20
        age(bench, 30)
        assert await bench.store.start_at_hosts(starts) == [None] * 60

    async def test_no_call_is_empty(self, bench: Bench) -> None:
        assert await bench.store.start_at_hosts([]) == []
        await bench.store.pause_hosts([])

    async def test_who_wants_no_spacing_neither_waits_nor_spaces(self, bench: Bench) -> None:
        assert await bench.store.start_at_hosts([ONLY_PAUSES, ONLY_PAUSES]) == [None, None]
        assert await start(bench.store, A) is None
        assert await start(bench.store, ONLY_PAUSES) is None

    @pytest.mark.parametrize("key", ["a\0b:80", "\ud800:80", "x" * 5000 + ":80", "ünïcode:80", ""])
    async def test_any_key_is_taken(self, bench: Bench, key: str) -> None:
        assert await start(bench.store, HostStart(key, 30)) is None
        assert is_wait(await start(bench.store, HostStart(key, 30)), 30, "host")
        await bench.store.pause_hosts([HostPause(key, 60)])
        assert is_wait(await start(bench.store, HostStart(key, 30)), 60, "host_paused")


class TestPauses:
    async def test_a_pause_puts_off_every_start(self, bench: Bench) -> None:
        await bench.store.pause_hosts([HostPause(A.key, 100), HostPause("c.example:443", 5)])
        assert is_wait(await start(bench.store, A), 100, "host_paused")
        assert is_wait(await start(bench.store, ONLY_PAUSES), 100, "host_paused")
        assert await start(bench.store, B) is None
        age(bench, 100)
        assert await start(bench.store, ONLY_PAUSES) is None
        assert await start(bench.store, A) is None
        assert is_wait(await start(bench.store, A), 30, "host")

    async def test_the_longer_pause_stands(self, bench: Bench) -> None:
        await bench.store.pause_hosts([HostPause(A.key, 50), HostPause(A.key, 100), HostPause(A.key, 70)])
        await bench.store.pause_hosts([HostPause(A.key, 5)])
        assert is_wait(await start(bench.store, A), 100, "host_paused")
        await bench.store.pause_hosts([HostPause(A.key, 200)])
        assert is_wait(await start(bench.store, A), 200, "host_paused")

    async def test_who_is_paused_is_told_for_as_long(self, bench: Bench) -> None:
        assert await bench.store.paused_hosts() == {}
        await start(bench.store, A)
        await bench.store.pause_hosts([HostPause("b.example", 100), HostPause("x" * 400, 1e300)])
        paused = await bench.store.paused_hosts()
        assert paused == {"b.example": pytest.approx(100, abs=5), "x" * 300: pytest.approx(86_400, abs=5)}
        age(bench, 200)
        assert list(await bench.store.paused_hosts()) == ["x" * 300]

    async def test_no_pause_is_longer_than_a_day(self, bench: Bench) -> None:
        await bench.store.pause_hosts([HostPause(A.key, 1e300)])
        assert is_wait(await start(bench.store, A), 86_400, "host_paused")

    async def test_a_host_that_was_started_at_is_paused_and_goes_on(self, bench: Bench) -> None:
        assert await start(bench.store, A) is None
        await bench.store.pause_hosts([HostPause(A.key, 10)])
        assert is_wait(await start(bench.store, A), 10, "host_paused")
        age(bench, 10)
        assert is_wait(await start(bench.store, A), 20, "host")


class TestClaims:
    async def test_a_claim_is_a_start(self, bench: Bench) -> None:
        first, second = await source_ids(bench.store, spec("a"), spec("b"))
        assert isinstance(one(await bench.store.claim([asking(first, A)])), Claim)
        assert is_wait(one(await bench.store.claim([asking(second, A)])), 30, "host")
        assert is_wait(await start(bench.store, A), 30, "host")
        age(bench, 30)
        assert isinstance(one(await bench.store.claim([asking(second, A)])), Claim)

    async def test_a_claim_that_has_to_wait_counts_nothing(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        for _ in range(2):
            await taken(bench.store, source_id)
            age(bench, 61)
        await bench.store.pause_hosts([HostPause(A.key, 100)])
        before = bench.row(source_id)
        answer = one(await bench.store.claim([asking(source_id, A)]))
        assert is_wait(answer, 100, "host_paused")
        assert isinstance(answer, Wait)
        assert answer.unfinished_claims == 2
        assert bench.row(source_id) == before

    async def test_claims_of_one_call_go_in_order(self, bench: Bench) -> None:
        ids = await source_ids(bench.store, *(spec(name) for name in "abcd"))
        hosts_asked = (A, A, B, None)
        requests = [asking(source_id, host) for source_id, host in zip(ids, hosts_asked, strict=True)]
        first, second, third, fourth = await bench.store.claim(requests)
        assert [type(answer) for answer in (first, third, fourth)] == [Claim] * 3
        assert is_wait(second, 30, "host")

    async def test_who_is_not_claimed_reserves_no_start(self, bench: Bench) -> None:
        leased, not_due, disabled, suspect = await source_ids(
            bench.store, spec("a"), spec("b"), spec("c", enabled=False), spec("d")
        )
        await bench.store.record([step(await taken(bench.store, not_due))])
        for _ in range(3):
            await taken(bench.store, suspect)
            age(bench, 61)
        await taken(bench.store, leased)
        asked = [asking(source_id, A) for source_id in (leased, not_due, disabled, suspect, 99)]
        answers = await bench.store.claim(asked)
        reasons = [answer.reason for answer in answers if isinstance(answer, Wait | Gone)]
        assert reasons == ["leased", "not_due", "disabled", "unfinished_claims", "unknown"]
        assert await start(bench.store, A) is None


async def test_two_stores_that_ask_at_one_time_never_start_together(database: str) -> None:
    delay = 0.2
    asked_at: list[float] = []
    begun: list[float] = []

    async def ask() -> None:
        async with open_at(database) as store:
            while len(begun) < 8:
                asked = trio.current_time()
                wait = await start(store, HostStart(A.key, delay))
                if wait is None:
                    asked_at.append(asked)
                    begun.append(trio.current_time())
                await trio.sleep(wait.seconds if wait else 0)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
    begun.sort()
    # By the database's clock the starts are apart. The first was after it was asked for, however late its answer came.
    first = min(asked_at)
    assert all(later - first > number * delay - 0.01 for number, later in enumerate(begun[:8]))


async def test_the_first_start_of_a_host_is_given_to_one_alone(database: str) -> None:
    answers: list[Wait | None] = []

    async def ask(store: Store, key: str) -> None:
        answers.append(await start(store, HostStart(key, 30)))

    async with open_at(database) as first, open_at(database) as second:
        for number in range(20):
            async with trio.open_nursery() as nursery:
                for store in (first, second):
                    nursery.start_soon(ask, store, f"host{number}.example:443")
    assert len(answers) == 40
    assert answers.count(None) == 20


@pytest.fixture
async def postgres_bench(postgres_url: str) -> AsyncIterator[SqlBench]:
    async with bench_at(postgres_url) as bench:
        yield bench


async def test_a_row_that_somebody_holds_is_not_waited_for(postgres_bench: SqlBench) -> None:
    store = postgres_bench.store
    first, second = await source_ids(store, spec("a"), spec("b"))
    assert await store.start_at_hosts([A, B]) == [None, None]
    age(postgres_bench, 60)
    with postgres_bench.engine.begin() as holding:
        held = select(hosts).where(hosts.c.host == A.key).with_for_update()
        assert len(holding.execute(held).all()) == 1
        with trio.fail_after(1):
            answers = await store.claim([asking(first, A), asking(second, B)])
    assert answers[0] == Wait(0.05, "host")
    assert isinstance(answers[1], Claim)
    assert isinstance(one(await store.claim([asking(first, A)])), Claim)


async def test_moments_that_nobody_can_have_meant_shut_no_host(database: str) -> None:
    async with bench_at(database) as bench:
        assert await start(bench.store, A) is None
        await bench.store.pause_hosts([HostPause(A.key, 100)])
        far = datetime.now(UTC) + timedelta(days=30)
        with bench.engine.begin() as connection:
            connection.execute(update(hosts).values(next_start_at=far, paused_until=far))
        assert await start(bench.store, A) is None
        assert is_wait(await start(bench.store, A), 30, "host")
        with bench.engine.begin() as connection:
            connection.execute(update(hosts).values(paused_until=far))
        await bench.store.pause_hosts([HostPause(A.key, 100)])
        assert is_wait(await start(bench.store, A), 100, "host_paused")


async def test_a_damaged_row_is_written_anew(tmp_path: Path) -> None:
    """Only SQLite takes any text for a moment."""
    async with bench_at(f"sqlite:///{tmp_path}/digestd.db") as bench:
        first, second = await source_ids(bench.store, spec("a"), spec("b"))
        assert await bench.store.start_at_hosts([A, B]) == [None, None]
        age(bench, 60)
        with bench.engine.begin() as connection:
            change = text(
                "UPDATE hosts SET next_start_at = 'tomorrow', paused_until = 'x' WHERE host = :host"
            )
            connection.execute(change, {"host": A.key})
        answers = await bench.store.claim([asking(first, A), asking(second, B)])
        assert [type(answer) for answer in answers] == [Claim, Claim]
        assert is_wait(await start(bench.store, A), 30, "host")


def host_names(bench: SqlBench) -> list[str]:
    with bench.engine.connect() as connection:
        return sorted(connection.execute(select(hosts.c.host)).scalars())


async def test_hosts_that_are_idle_for_an_hour_are_forgotten(database: str) -> None:
    async with bench_at(database) as bench:
        await bench.store.start_at_hosts([A, B])
        await bench.store.pause_hosts(
            [HostPause("paused.example:443", 7200), HostPause("was.example:443", 9)]
        )
        age(bench, 3700)
        await bench.store.start_at_hosts([B])
    assert host_names(bench) == ["a.example:443", "b.example:443", "paused.example:443", "was.example:443"]
    # A new process looks for them with its first claim.
    async with bench_at(database) as bench:
        source_id = one(await source_ids(bench.store, spec()))
        assert isinstance(one(await bench.store.claim([asking(source_id, None)])), Claim)
        assert host_names(bench) == ["b.example:443", "paused.example:443"]


async def test_no_more_are_forgotten_at_once_than_take_a_moment(database: str) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=1)
    many = statements.FORGOTTEN_AT_ONCE + 10
    async with bench_at(database) as bench:
        with bench.engine.begin() as connection:
            rows = [
                {"host_key": f"{number:064x}", "host": "h", "next_start_at": long_ago}
                for number in range(many)
            ]
            connection.execute(insert(hosts), rows)
        await bench.store.start_at_hosts([])
        with bench.engine.connect() as connection:
            assert connection.execute(select(func.count()).select_from(hosts)).scalar_one() == 10
