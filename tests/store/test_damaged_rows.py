"""Rows of `sources` that somebody wrote something into that cannot be read."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from digestd.store import Claim, ClaimRequest, Refused
from store.builders import one, source_ids, spec, taken
from store.conftest import SqlBench, bench_at, damage

ERROR = "its row in the table sources (id {}) cannot be read: somebody changed it by hand; mend it there"


@pytest.mark.parametrize(("column", "value"), [("options", "{no json"), ("last_success_at", "yesterday")])
async def test_a_damaged_row_costs_the_claims_beside_it_nothing(
    sqlite_url: str, column: str, value: str
) -> None:
    async with bench_at(sqlite_url) as bench:
        ids = await source_ids(bench.store, spec("a"), spec("b"), spec("c"))
        damage(bench, ids[1], column, value)
        answers = await bench.store.claim([ClaimRequest(source_id, 60) for source_id in ids])
        assert [type(answer) for answer in answers] == [Claim, Refused, Claim]
        assert isinstance(answers[0], Claim)
        assert bench_token(bench, ids[0]) == answers[0].token


_SQLITE = """CREATE TRIGGER no_update BEFORE UPDATE ON sources WHEN NEW.name = 'b'
BEGIN SELECT RAISE(ABORT, 'b is refused'); END"""
_POSTGRES = """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF NEW.name = 'b' THEN RAISE EXCEPTION 'b is refused'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON sources FOR EACH ROW EXECUTE FUNCTION refuse()"""


async def test_a_claim_that_the_database_refuses_costs_the_others_nothing(database: str) -> None:
    async with bench_at(database) as bench:
        ids = await source_ids(bench.store, spec("a"), spec("b"), spec("c"))
        with bench.engine.begin() as connection:
            connection.execute(text(_SQLITE if bench.engine.dialect.name == "sqlite" else _POSTGRES))
        answers = await bench.store.claim([ClaimRequest(source_id, 60) for source_id in ids])
        assert [type(answer) for answer in answers] == [Claim, Refused, Claim]


async def test_errors_of_several_damaged_rows_are_not_the_same_one(sqlite_url: str) -> None:
    async with bench_at(sqlite_url) as bench:
        ids = await source_ids(bench.store, spec("a"), spec("b"))
        for source_id in ids:
            damage(bench, source_id, "options", "{no json")
        first, second = await bench.store.claim([ClaimRequest(source_id, 60) for source_id in ids])
        assert isinstance(first, Refused)
        assert isinstance(second, Refused)
        assert first.error is not second.error


async def test_a_damaged_row_is_listed_with_what_is_wrong(sqlite_url: str) -> None:
    async with bench_at(sqlite_url) as bench:
        ids = await source_ids(bench.store, spec("a"), spec("b"))
        damage(bench, ids[0], "last_success_at", "yesterday")
        statuses = await bench.store.sources()
        assert [status.source.name for status in statuses] == ["a", "b"]
        assert [status.last_error for status in statuses] == [ERROR.format(ids[0]), None]
        assert statuses[0].state == "degraded"
        assert statuses[0].source.spec.url == "https://a.example/feed"


async def test_what_the_file_holds_is_written_anew(sqlite_url: str) -> None:
    async with bench_at(sqlite_url) as bench:
        specs = [spec("a", options={"depth": 1}), spec("b")]
        ids = await source_ids(bench.store, *specs)
        damage(bench, ids[0], "options", "{no json")
        report = await bench.store.sync_sources(specs)
        assert report.changed == ("a",)
        assert (await taken(bench.store, ids[0])).source.spec.options == {"depth": 1}


async def test_a_source_that_was_removed_stays_so_though_its_row_is_damaged(sqlite_url: str) -> None:
    async with bench_at(sqlite_url) as bench:
        ids = await source_ids(bench.store, spec("a"), spec("b"))
        await bench.store.sync_sources([spec("b")])
        damage(bench, ids[0], "cursor", "{no json")
        assert one(await bench.store.sources()).source.name == "b"


def bench_token(bench: SqlBench, source_id: int) -> object:
    return bench.row(source_id)["lease_token"]
