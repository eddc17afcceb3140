"""Rows that a database refuses, though everything was done to make them storable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from sqlalchemy import text

from digestd.errors import StoreUnavailable
from digestd.model import PollState
from digestd.store import Claim, ClaimRequest, Recorded, Refused, SetAside, StepRecord
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import SqlBench, bench_at

_SQLITE_RULE = "WHEN NEW.title LIKE 'poison%' BEGIN SELECT RAISE(ABORT, 'poison is refused'); END"
_SQLITE = [
    f"CREATE TRIGGER no_{event} BEFORE {event} ON articles {_SQLITE_RULE}" for event in ("INSERT", "UPDATE")
]
_POSTGRES = [
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.title LIKE 'poison%' THEN RAISE EXCEPTION 'poison is refused'; END IF; RETURN NEW; END $$""",
    "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON articles FOR EACH ROW EXECUTE FUNCTION refuse()",
]
_DROP_SQLITE = ["DROP TRIGGER no_INSERT", "DROP TRIGGER no_UPDATE"]
_DROP_POSTGRES = ["DROP TRIGGER refuse ON articles"]


def refuse_poison(bench: SqlBench) -> str:
    """Let the database refuse titles that begin with `poison`; returns the reason it will give."""
    is_sqlite = bench.engine.dialect.name == "sqlite"
    with bench.engine.begin() as connection:
        for statement in _SQLITE if is_sqlite else _POSTGRES:
            connection.execute(text(statement))
    return "poison is refused" + ("" if is_sqlite else " CONTEXT: PL/pgSQL function refuse() line 2 at RAISE")


async def test_a_refused_entry_costs_the_others_nothing(database: str) -> None:
    async with bench_at(database) as bench:
        reason = refuse_poison(bench)
        source_id = one(await source_ids(bench.store, spec()))
        entries = [
            entry("1"),
            entry("2", "poison" * 100),
            entry("3"),
            entry("g" * 300, "poison"),
        ]
        answer = await bench.store.record([step(await taken(bench.store, source_id), *entries)])
        refused = (SetAside("2", ("poison" * 100)[:200], reason), SetAside("g" * 200, "poison", reason))
        assert answer == [Recorded(2, 0, refused)]
        assert [article["guid"] for article in bench.articles()] == ["3", "1"]
        assert bench.row(source_id)["lease_token"] is None


async def test_an_update_that_is_refused_leaves_no_version(database: str) -> None:
    async with bench_at(database) as bench:
        reason = refuse_poison(bench)
        source_id = one(await source_ids(bench.store, spec()))
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"), entry("2"))])
        edits = [entry("1", "poison"), entry("2", "Edited")]
        for _ in range(2):
            claim = await taken(bench.store, source_id, force=True)
            (answer,) = await bench.store.record([step(claim, *edits)])
            assert isinstance(answer, Recorded)
            assert answer.set_aside == (SetAside("1", "poison", reason),)
        assert sorted(str(article["title"]) for article in bench.articles()) == ["A title", "Edited"]
        assert [version["changes"] for version in bench.versions()] == [{"title": ["A title", "Edited"]}]


async def test_a_refused_entry_is_kept_beside_the_articles(database: str) -> None:
    async with bench_at(database) as bench:
        reason = refuse_poison(bench)
        source_id = one(await source_ids(bench.store, spec()))
        refused = entry("2", "poison \u00e9 \ud83d\ude00", content="<p>kept</p>")
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"), refused)])
        (kept,) = await bench.store.entries_set_aside(10)
        assert (kept.source_name, kept.guid, kept.reason) == ("a", "2", reason)
        written = json.loads(kept.entry)
        assert (written["content"], written["link"]) == ("<p>kept</p>", refused.link)
        assert kept.entry.isascii()
        assert one(await bench.store.sources(count_articles=True)).entries_set_aside == 1
        # Seen again: still one row, seen later.
        await bench.store.record([step(await taken(bench.store, source_id, force=True), refused)])
        (again,) = await bench.store.entries_set_aside(10)
        assert again.first_seen_at == kept.first_seen_at
        assert again.last_seen_at > kept.last_seen_at
        with bench.engine.begin() as connection:
            for statement in _DROP_SQLITE if bench.engine.dialect.name == "sqlite" else _DROP_POSTGRES:
                connection.execute(text(statement))
        await bench.store.record([step(await taken(bench.store, source_id, force=True), refused)])
        assert [article["guid"] for article in bench.articles()] == ["1", "2"]
        assert await bench.store.entries_set_aside(10) == []


async def test_what_cannot_even_be_set_aside_is_not_remembered_as_seen(database: str) -> None:
    async with bench_at(database) as bench:
        refuse_poison(bench)
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        with bench.engine.begin() as connection:
            connection.execute(text("ALTER TABLE entries_set_aside RENAME TO elsewhere"))
        seen = replace(step(claim, entry("1"), entry("2", "poison")), next_state=PollState(etag='"new"'))
        assert isinstance(one(await bench.store.record([seen])), Refused)
        assert bench.articles() == []
        assert bench.row(source_id)["etag"] is None


async def test_a_refused_change_leaves_the_article_as_it_was(database: str) -> None:
    async with bench_at(database) as bench:
        reason = refuse_poison(bench)
        source_id = one(await source_ids(bench.store, spec()))
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"), entry("2"))])
        changed = [entry("1", "poison"), entry("2", "changed")]
        answer = await bench.store.record([step(await taken(bench.store, source_id, force=True), *changed)])
        assert answer == [Recorded(0, 1, (SetAside("1", "poison", reason),))]
        assert [article["title"] for article in bench.articles()] == ["changed", "A title"]


async def test_a_step_of_refused_entries_only_brings_nothing_new(database: str) -> None:
    async with bench_at(database) as bench:
        reason = refuse_poison(bench)
        source_id = one(await source_ids(bench.store, spec()))
        answer = await bench.store.record([step(await taken(bench.store, source_id), entry("1", "poison"))])
        assert answer == [Recorded(0, 0, (SetAside("1", "poison", reason),))]
        assert bench.row(source_id)["last_new_at"] is None


async def test_a_step_without_entries_that_the_database_refuses_is_answered(database: str) -> None:
    async with bench_at(database) as bench:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        is_sqlite = bench.engine.dialect.name == "sqlite"
        with bench.engine.begin() as connection:
            for statement in _SQLITE if is_sqlite else _POSTGRES:
                changed = statement.replace("ON articles", "ON sources").replace(
                    "NEW.title", "NEW.last_error"
                )
                connection.execute(text(changed))
        refused = one(await bench.store.record([step(claim, last_error="poison")]))
        assert isinstance(refused, Refused)
        assert "poison is refused" in str(refused.error)
        assert bench.row(source_id)["lease_token"] == claim.token
        assert await bench.store.record([step(claim)]) == [Recorded(0, 0)]


async def test_when_sqlite_drops_the_whole_transaction_nothing_is_committed_alone(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "digestd.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    async with bench_at(f"sqlite:///{path}") as bench:
        with bench.engine.begin() as connection:
            connection.execute(text(_SQLITE[0].replace("ABORT", "ROLLBACK")))
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        before = bench.row(source_id)
        with pytest.raises(StoreUnavailable, match="cannot be used just now: it lost the transaction: "):
            await bench.store.record([step(claim, entry("1"), entry("2", "poison"), entry("3"))])
        assert bench.articles() == []
        assert bench.row(source_id) == before


# A connection that is refused, a deadlock, a full disk, no memory, a lock not to be had, a statement that took too
# long, a shutdown, a disk that fails, a standby, a transaction that sat idle (PostgreSQL's manual, appendix A).
_OUTAGES = ["08006", "40P01", "53100", "53200", "55P03", "57014", "57P01", "58030", "25006", "25P03"]


@pytest.mark.parametrize("state", _OUTAGES)
async def test_an_outage_in_the_middle_of_a_step_is_no_refusal(postgres_url: str, state: str) -> None:
    """Entries that were set aside for it would not be asked for again."""
    async with bench_at(postgres_url) as bench:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        raising = f"RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'just now';"
        with bench.engine.begin() as connection:
            for statement in _POSTGRES:
                changed = statement.replace("RAISE EXCEPTION 'poison is refused';", raising)
                connection.execute(text(changed))
        with pytest.raises(StoreUnavailable, match="cannot be used just now: just now"):
            await bench.store.record([step(claim, entry("1"), entry("2", "poison"))])
        assert (bench.articles(), await bench.store.entries_set_aside(10)) == ([], [])
        with bench.engine.begin() as connection:
            for statement in _DROP_POSTGRES:
                connection.execute(text(statement))
        answer = await bench.store.record([step(claim, entry("1"), entry("2", "poison"))])
        assert answer == [Recorded(2, 0)]


async def test_a_step_that_is_refused_costs_what_shares_its_transaction_nothing(database: str) -> None:
    async with bench_at(database) as bench:
        ids = await source_ids(bench.store, spec("a"), spec("b"), spec("c"))
        bad, good = [step(await taken(bench.store, one_id)) for one_id in ids[:2]]
        answers: dict[str, list[object]] = {}

        async def record(name: str, record: StepRecord) -> None:
            answers[name] = [*await bench.store.record([record])]

        async def claim() -> None:
            answers["claim"] = [*await bench.store.claim([ClaimRequest(ids[2], 75)])]

        async with trio.open_nursery() as nursery:
            # No column takes such a number.
            nursery.start_soon(record, "bad", replace(bad, consecutive_failures=2**70))
            nursery.start_soon(record, "good", good)
            nursery.start_soon(claim)
        assert isinstance(one(answers["bad"]), Refused)
        assert answers["good"] == [Recorded(0, 0)]
        assert isinstance(one(answers["claim"]), Claim)
        assert [bench.row(one_id)["lease_token"] is None for one_id in ids] == [False, True, False]
