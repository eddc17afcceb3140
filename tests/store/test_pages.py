"""The queue of extraction in real databases: what goes wrong there, and what it costs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import trio
from sqlalchemy import Connection, Engine, event, insert, text

from digestd.errors import StoreUnavailable
from digestd.model import Entry
from digestd.store import (
    ArticleQuery,
    PageClaims,
    PageLost,
    PageRecord,
    PageRecorded,
    Refused,
    listing,
    pagerecords,
    pages,
    pageturns,
)
from digestd.store.entries import new_article
from digestd.store.owner import current_owner
from digestd.store.pageturns import PageRequest
from digestd.store.schema import articles
from store.builders import YESTERDAY, aged, done, one, polled, spec
from store.conftest import SqlBench, bench_at, open_at
from store.test_refused_rows import refuse_poison

NOW = datetime.now(UTC)


def fill(engine: Engine, ids: list[int], per_source: int, **changes: Any) -> None:
    """Give each source so many pending articles, published and first seen one minute apart."""
    rows = [
        {
            **new_article(source_id, uuid.uuid4().hex, Entry("i", "c", link="https://x.example/"), NOW),
            "published_at": YESTERDAY - timedelta(minutes=number),
            "fetched_at": NOW - timedelta(minutes=number, seconds=source_id),
            **changes,
        }
        for source_id in ids
        for number in range(per_source)
    ]
    with engine.begin() as connection:
        connection.execute(insert(articles), rows)


class TestDamage:
    async def test_an_article_that_cannot_be_changed_costs_the_others_nothing(self, database: str) -> None:
        async with bench_at(database) as bench:
            await polled(bench.store, a=[aged(1, "poison"), aged(2, "good"), aged(3, "third")])
            refuse_poison(bench)
            claims = await bench.store.claim_pages(2, 60)
            assert [claim.title for claim in claims.claims] == ["good", "third"]
            assert (
                await bench.store.record_pages([done(claim) for claim in claims.claims])
                == [PageRecorded()] * 2
            )
            # It is not due: asked again and again, nobody could do anything about it.
            assert await bench.store.claim_pages(2, 60) == PageClaims((), None)
            assert await bench.store.claim_pages(
                2, 60, source_ids=[claims.claims[0].source_id]
            ) == PageClaims(())

    async def test_one_that_waits_and_cannot_be_changed_costs_the_others_nothing(self, database: str) -> None:
        async with bench_at(database) as bench:
            await polled(bench.store, a=[aged(1, "poison"), aged(2, "good")])
            for row in bench.articles():
                bench.change(row["id"], next_extraction_at=datetime.now(UTC) - timedelta(seconds=1))
            refuse_poison(bench)
            assert [claim.title for claim in (await bench.store.claim_pages(2, 60)).claims] == ["good"]
            due = (await bench.store.claim_pages(2, 60)).due_in_seconds
            assert due == pytest.approx(60, abs=5)

    async def test_a_record_that_the_database_refuses_is_answered(self, database: str) -> None:
        async with bench_at(database) as bench:
            await polled(bench.store, a=[aged(2, "good"), aged(1, "poison")])
            claims = (await bench.store.claim_pages(2, 60)).claims
            reason = refuse_poison(bench)
            refused, recorded = await bench.store.record_pages([done(claim) for claim in claims])
            assert isinstance(refused, Refused)
            assert reason in " ".join(str(refused.error).split())
            assert recorded == PageRecorded()
            assert [row["extraction"] for row in bench.articles()] == ["pending", "done"]

    async def test_a_row_that_cannot_be_read_is_failed_and_says_so(
        self, migrated_sqlite: Any, tmp_path: Any
    ) -> None:
        path = tmp_path / "damaged.db"
        path.write_bytes(migrated_sqlite.read_bytes())
        async with bench_at(f"sqlite:///{path}") as bench:
            await polled(bench.store, a=[aged(1, "damaged"), aged(2, "good")])
            damage(bench, "UPDATE articles SET summary = CAST(x'ff' AS TEXT) WHERE title = 'damaged'")
            claims = await bench.store.claim_pages(2, 60)
            assert [claim.title for claim in claims.claims] == ["good"]
            with bench.engine.connect() as connection:
                asking = text("SELECT extraction, extraction_error FROM articles WHERE title = 'damaged'")
                state, error = connection.execute(asking).one()
            assert state == "failed"
            assert error == (
                "its row in the table articles cannot be read or claimed: "
                "Could not decode to UTF-8 column 'summary' with text '\ufffd'"
            )

    async def test_a_moment_that_is_none_does_not_stop_the_queue(
        self, migrated_sqlite: Any, tmp_path: Any
    ) -> None:
        path = tmp_path / "damaged.db"
        path.write_bytes(migrated_sqlite.read_bytes())
        async with bench_at(f"sqlite:///{path}") as bench:
            await polled(bench.store, a=[aged(1, "damaged"), aged(2, "good")])
            damage(bench, "UPDATE articles SET published_at = 'yesterday' WHERE title = 'damaged'")
            claims = await bench.store.claim_pages(2, 60)
            assert [claim.title for claim in claims.claims] == ["damaged", "good"]


def damage(bench: SqlBench, statement: str) -> None:
    with bench.engine.begin() as connection:
        connection.execute(text(statement))


class TestLocks:
    async def test_a_claim_passes_over_what_another_holds(self, postgres_url: str) -> None:
        async with open_at(postgres_url) as store:
            await polled(store, a=[aged(number, str(number)) for number in range(4)])
            with psycopg.connect(postgres_url) as connection, trio.fail_after(3):
                connection.execute("SELECT * FROM articles WHERE title IN ('0', '1') FOR UPDATE")
                claims = await store.claim_pages(2, 60)
                assert [claim.title for claim in claims.claims] == ["2", "3"]
                assert await store.claim_pages(9, 60) == PageClaims((), 0.0)
            assert len((await store.claim_pages(9, 60)).claims) == 2

    async def test_one_that_another_wakes_just_now_is_due_at_once(self, postgres_url: str) -> None:
        async with bench_at(postgres_url) as bench:
            await polled(bench.store, a=[aged(1)])
            article_id = one(bench.articles())["id"]
            bench.change(article_id, next_extraction_at=datetime.now(UTC) - timedelta(seconds=1))
            with psycopg.connect(postgres_url) as connection, trio.fail_after(3):
                connection.execute("SELECT * FROM articles FOR UPDATE")
                assert await bench.store.claim_pages(9, 60) == PageClaims((), 0.0)

    async def test_a_row_that_stays_locked_is_an_outage_of_its_record(self, postgres_url: str) -> None:
        impatient = f"{postgres_url}&options=-c%20lock_timeout%3D100ms"
        async with open_at(impatient) as store:
            await polled(store, a=[aged(1), aged(2)])
            claims = (await store.claim_pages(2, 60)).claims
            records = [done(claim) for claim in claims]
            with psycopg.connect(postgres_url) as connection:
                connection.execute("SELECT * FROM articles WHERE id = %s FOR UPDATE", [claims[1].article_id])
                with pytest.raises(StoreUnavailable):
                    await store.record_pages(records)
            assert await store.record_pages(records) == [PageRecorded()] * 2

    async def test_pages_that_say_the_same_are_counted_across_transactions(self, postgres_url: str) -> None:
        async with bench_at(postgres_url) as bench:
            await polled(bench.store, a=[aged(hours) for hours in range(3)])
            first, second, third = (
                done(claim, "Log in.") for claim in (await bench.store.claim_pages(3, 60)).claims
            )
            await bench.store.record_pages([first])
            answers: list[Any] = []

            async def record_third() -> None:
                answers.extend(await bench.store.record_pages([third]))

            with trio.fail_after(5):
                async with trio.open_nursery() as nursery:
                    with bench.engine.begin() as connection:
                        assert pagerecords.record(connection, [second], NOW) == [PageRecorded()]
                        nursery.start_soon(record_third)
                        await trio.sleep(0.2)
                        assert answers == []
            assert answers == [PageRecorded(3)]
            assert {row["extraction"] for row in bench.articles()} == {"failed"}


class TestDeadOwners:
    async def test_their_leases_are_freed_at_start(self, database: str) -> None:
        me = current_owner()
        dead = "/".join([*me.split("/")[:4], "1"])
        async with open_at(database, dead) as store:
            await polled(store, a=[aged(1)])
            lost = one((await store.claim_pages(1, 600)).claims)
        async with open_at(database, me) as store:
            again = one((await store.claim_pages(1, 600)).claims)
            assert (again.attempt, again.unfinished) == (2, 1)
            assert await store.record_pages([done(lost)]) == [PageLost()]
        async with open_at(database, me) as store:
            held = await store.claim_pages(1, 600)
            assert held.claims == ()
            assert held.due_in_seconds == pytest.approx(600, abs=30)

    async def test_what_killed_them_again_and_again_is_put_off(self, database: str) -> None:
        me = current_owner()
        for number in range(3):
            dead = "/".join([*me.split("/")[:4], str(number + 1)])
            async with open_at(database, dead) as store:
                if number == 0:
                    await polled(store, a=[aged(1)])
                assert len((await store.claim_pages(1, 600)).claims) == 1
        async with open_at(database, me) as store:
            put_off = await store.claim_pages(1, 600)
            assert put_off.claims == ()
            assert put_off.due_in_seconds == pytest.approx(30, abs=5)
            article = one(await store.articles(ArticleQuery()))
            assert (
                article.extraction_error
                == "3 attempts in a row never ended: its page may be crashing digestd"
            )


class TestManySources:
    async def test_claims_go_round_all_of_them(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pageturns, "_SOURCES_LOOKED_AT", 3)
        async with bench_at(database) as bench:
            names = [f"s{number}" for number in range(8)]
            entries = {name: [aged(hours, f"{name} {hours}") for hours in range(3)] for name in names}
            ids = await polled(bench.store, **entries)
            by_id = sorted(ids, key=lambda name: ids[name])
            given = [self._names(await bench.store.claim_pages(3, 60)) for _ in range(8)]
        # The seventh and eighth come with the first, and the next claim goes on behind that one.
        round_again = sorted([by_id[6], by_id[7], by_id[0]])
        assert given[:4] == [by_id[:3], by_id[3:6], round_again, by_id[1:4]]
        assert sorted(name for names in given for name in names) == sorted(by_id * 3)

    def _names(self, claims: PageClaims) -> list[str]:
        return sorted(claim.source_name for claim in claims.claims)

    async def test_exactly_as_many_as_are_looked_at_are_all_seen(
        self, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pageturns, "_SOURCES_LOOKED_AT", 3)
        async with bench_at(database) as bench:
            await polled(bench.store, **{name: [aged(1, name)] for name in "abc"})
            assert self._names(await bench.store.claim_pages(2, 60)) == ["b", "c"]
            assert self._names(await bench.store.claim_pages(2, 60)) == ["a"]
            assert (await bench.store.claim_pages(2, 60)).claims == ()

    def test_a_claim_that_begins_late_sees_the_first_ones_too(self, database: str) -> None:
        async def claim() -> None:
            async with bench_at(database) as bench:
                ids = await polled(bench.store, a=[aged(2, "a")], b=[aged(1, "b")])
                with bench.engine.begin() as connection:
                    request = PageRequest(2, 60, after=max(ids.values()))
                    claims, after = pages.claim(connection, request, NOW, "me")
                assert [claim.title for claim in claims.claims] == ["b", "a"]
                assert after == 0

        trio.run(claim)


@contextmanager
def statements_of(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that run meanwhile, with their parameters."""
    heard: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM articles" in statement:
            heard.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def plans(engine: Engine, work: Callable[[Connection], object]) -> list[str]:
    """How the database finds articles for each statement of `work`."""
    with engine.begin() as connection, statements_of(engine) as heard:
        work(connection)
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        return [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in heard
        ]


SCANS = ("SCAN articles\n", "Seq Scan on articles")


@pytest.mark.slow
async def test_no_statement_of_the_queue_reads_all_of_it(database: str) -> None:
    async with bench_at(database) as bench:
        await bench.store.sync_sources([spec(f"s{number}") for number in range(200)])
        ids = [status.source.id for status in await bench.store.sources()]
        fill(bench.engine, ids, 100)
        fill(bench.engine, ids, 10, extraction="done")
        fill(bench.engine, ids[:1], 5000, next_extraction_at=NOW + timedelta(hours=1))
        claiming = [
            lambda connection: pages.claim(connection, PageRequest(20, 60), NOW, "me"),
            lambda connection: pages.claim(connection, PageRequest(2, 60, source_ids=ids[:50]), NOW, "me"),
            lambda connection: pages.claim(connection, PageRequest(20, 60, source_ids=ids[:3]), NOW, "me"),
        ]
        for refreshed in (False, True):
            if refreshed:
                damage(bench, "ANALYZE")
            for work in claiming:
                turn, *_ = (plan for plan in plans(bench.engine, work) if "ix_articles_pending" in plan)
                assert turn
                assert not [
                    plan for plan in plans(bench.engine, work) if any(scan in plan + "\n" for scan in SCANS)
                ]
            nothing_due = plans(
                bench.engine, lambda c: pages.claim(c, PageRequest(9, 60, source_ids=[10**6]), NOW, "me")
            )
            assert all("ix_articles_waiting" in plan for plan in (nothing_due[0], nothing_due[-1])), (
                nothing_due
            )


@pytest.mark.slow
async def test_lists_use_an_index_for_source_and_since(database: str) -> None:
    async with bench_at(database) as bench:
        await bench.store.sync_sources([spec(f"s{number}") for number in range(200)])
        fill(bench.engine, [status.source.id for status in await bench.store.sources()], 100)
        damage(bench, "ANALYZE")
        for query in (
            ArticleQuery(source="s7"),
            ArticleQuery(source="s7", limit=20),
            ArticleQuery(since=datetime.now(UTC) + timedelta(hours=1), limit=20),
            ArticleQuery(limit=20),
        ):
            (plan,) = plans(bench.engine, lambda c, q=query: listing.listed(c, q))  # type: ignore[misc]
            assert not any(scan in plan + "\n" for scan in SCANS), (query, plan)


@pytest.mark.slow
async def test_the_length_of_the_queue_is_read_from_its_indexes(database: str) -> None:
    async with bench_at(database) as bench:
        await bench.store.sync_sources([spec(f"s{number}") for number in range(20)])
        ids = [status.source.id for status in await bench.store.sources()]
        fill(bench.engine, ids, 100, extraction="done", content="c" * 5000)
        fill(bench.engine, ids, 10, content="c" * 5000)
        fill(bench.engine, ids, 10, content="c" * 5000, next_extraction_at=NOW)
        damage(bench, "ANALYZE" if bench.engine.dialect.name == "sqlite" else "ANALYZE articles")
        ready, waiting = plans(bench.engine, lambda connection: pages.queue(connection, NOW))
        assert "ix_articles_pending" in ready
        assert "ix_articles_waiting" in waiting


def test_a_retry_of_nothing_changes_nothing(database: str) -> None:
    async def retry() -> None:
        async with bench_at(database) as bench:
            await polled(bench.store, a=[aged(1)])
            claim = one((await bench.store.claim_pages(1, 60)).claims)
            await bench.store.record_pages([PageRecord(claim.article_id, 1, "failed", 1)])
            with bench.engine.begin() as connection:
                assert pages.retry(connection, ArticleQuery(ids=()), NOW) == 0

    trio.run(retry)
