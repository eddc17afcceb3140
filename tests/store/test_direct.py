"""What goes to SQLite directly is what SQLAlchemy would have written and read."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, create_engine, select, update

from digestd.errors import StoreUnavailable
from digestd.model import Entry, LeftOut, PollState
from digestd.store import Claim, ClaimRequest, HostPause, HostStart, LeaseLost, Recorded, Refused, StepRecord
from digestd.store.direct import DirectEngine, NotDirectly, Statement
from digestd.store.entries import new_article
from digestd.store.polls import Fetched
from digestd.store.schema import sources
from digestd.store.sql import SqlStore, open_store
from store.builders import YESTERDAY, entry, source_ids, spec, step, taken
from store.builders import one as only
from store.conftest import bench_at
from store.documents import guids, serve

QUIET = Fetched("unchanged", None, 0.1, 0)
TEXT = st.one_of(st.none(), st.text(max_size=20), st.just("a\0b\ud800"))
STATES = st.builds(
    PollState,
    TEXT,
    TEXT,
    TEXT,
    st.one_of(st.none(), st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text()))),
)
STEPS = st.builds(
    StepRecord,
    source_id=st.just(0),
    token=st.just(""),
    next_state=STATES,
    succeeded=st.just(True),
    consecutive_failures=st.integers(0, 5),
    state=st.sampled_from(["active", "degraded", "gone"]),
    schedule_reason=st.text(max_size=10),
    next_delay_seconds=st.floats(0, 1e6),
    lease_seconds=st.just(75.0),
    last_error=TEXT,
    fetched=st.just(QUIET),
)


async def rows_after(file: Path, steps: Sequence[StepRecord], *, directly: bool) -> list[dict[str, Any]]:
    """Claim and record a source for each of `steps`, all at one time; every column of every row then."""
    async with open_store(f"sqlite:///{file}", owner="me", pool_size=1, connect_timeout_seconds=5) as store:
        assert isinstance(store, SqlStore)
        if not directly:
            store._polls._direct = None
        await store.sync_sources([spec(f"s{n}") for n in range(len(steps))])
        ids = [status.source.id for status in await store.sources()]
        hosts = [HostStart(f"host{n % 2}", 5.0 * (n % 3)) for n in range(len(ids))]
        requests = [ClaimRequest(one, 75, host=host) for one, host in zip(ids, hosts, strict=True)]
        claims = await store.claim(requests)
        told: list[object] = [
            replace(one, token="") if isinstance(one, Claim) else type(one) for one in claims
        ]
        records = [
            replace(step, source_id=one, token=claim.token)
            for step, one, claim in zip(steps, ids, claims, strict=True)
            if isinstance(claim, Claim)
        ]
        assert await store.record(records) == [Recorded(0, 0)] * len(records)
        assert await store.record(records) == [LeaseLost()] * len(records)
    with sqlite3.connect(file) as database:
        database.row_factory = sqlite3.Row
        kept = [*database.execute("SELECT * FROM sources"), *database.execute("SELECT * FROM hosts")]
        return [{"told": told}, *(_without_now(dict(row)) for row in kept)]


def _without_now(row: dict[str, Any]) -> dict[str, Any]:
    """`row` with its moments to the minute, from now on: it was written a moment before or after the other."""
    now = datetime.now(UTC)
    # What the entry says is the same for both, to the microsecond.
    said = {"published_at"} if row.get("published_from") == "entry" else set()
    for name, value in row.items():
        if name.endswith("_at") and name not in said and value is not None:
            moment = datetime.fromisoformat(value)
            assert value == moment.isoformat(timespec="microseconds")
            row[name] = round((moment - now).total_seconds() / 60)
    return row


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=4))
def test_both_ways_write_the_same_rows(steps: list[StepRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = [
            trio.run(lambda way=way: rows_after(Path(folder, str(way)), steps, directly=way))  # type: ignore[misc]
            for way in (True, False)
        ]
    assert found[0] == found[1]


async def test_polls_that_bring_nothing_go_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = f"sqlite:///{tmp_path / 'a.db'}"
    async with open_store(database, owner="me", pool_size=1, connect_timeout_seconds=5) as store:
        await store.sync_sources([spec("a")])
        monkeypatch.setattr("digestd.store.polling.transact", None)
        (claim,) = await store.claim([ClaimRequest(1, 75, host=HostStart("h", 5.0))])
        assert isinstance(claim, Claim)
        quiet = StepRecord(
            1, claim.token, PollState(), True, 0, "active", "interval", 300.0, 75.0, fetched=QUIET
        )
        assert await store.record([quiet]) == [Recorded(0, 0)]


GUIDS = st.sampled_from(["1", "2", "3"])
ENTRIES = st.builds(
    entry,
    GUIDS,
    title=st.sampled_from(["A title", "Another", "a\0b\ud800"]),
    content=st.sampled_from([None, "one", "two"]),
    facts=st.sampled_from([None, {"due": "today"}, {"due": "soon"}]),
    published_at=st.sampled_from([None, YESTERDAY]),
    complete=st.booleans(),
)
LEFT_OUT = st.builds(LeftOut, GUIDS, GUIDS, st.just("A title"), st.just("its date is odd"), st.just("{}"))
DOCUMENTS = st.fixed_dictionaries(
    {
        "entries": st.lists(ENTRIES, max_size=4).map(tuple),
        "left_out": st.lists(LEFT_OUT, max_size=2).map(tuple),
        "whole": st.booleans(),
        "if_all_new": st.booleans(),
        "deleted": st.one_of(st.none(), GUIDS),
        "fetched": st.sampled_from([None, Fetched("fetched", None, 0.2, 7)]),
    }
)
TABLES = ("sources", "articles", "tombstones", "article_versions", "entries_set_aside", "fetches")


async def tables_after(
    file: Path, documents: Sequence[Mapping[str, Any]], *, directly: bool
) -> list[list[Any]]:
    """Let a source bring `documents` one after the other; what was answered, and every column of every row then."""
    async with bench_at(f"sqlite:///{file}") as bench:
        assert isinstance(bench.store, SqlStore)
        if not directly:
            bench.store._polls._direct = None
        source_id = only(await source_ids(bench.store, spec()))
        answers: list[Any] = []
        for document in documents:
            given = dict(document)
            deleted = given.pop("deleted")
            await bench.store.delete_articles(
                [row["id"] for row in bench.articles() if row["guid"] == deleted]
            )
            claim = await taken(bench.store, source_id, force=True)
            record = step(claim, *given.pop("entries"), **given | {"if_all_new": None})
            if given["if_all_new"]:
                older = PollState(cursor={"older": 1})
                record = replace(
                    record, if_all_new=replace(record, next_state=older, final=False, entries=())
                )
            answers += await bench.store.record([record, replace(record, token="another")])
            # Ends what was not final; the lease of what was is lost.
            answers += await bench.store.record([step(claim)])
    with sqlite3.connect(file) as database:
        database.row_factory = sqlite3.Row
        rows = [[*database.execute(f"SELECT * FROM {name} ORDER BY id")] for name in TABLES]
    return [answers, *([_without_now(dict(row)) | {"lease_token": None} for row in some] for some in rows)]


@settings(max_examples=25, deadline=None)
@given(documents=st.lists(DOCUMENTS, min_size=1, max_size=5))
def test_both_ways_write_the_same_documents(migrated_sqlite: Path, documents: list[dict[str, Any]]) -> None:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for way in (True, False):
            file = Path(folder, f"{way}.db")
            file.write_bytes(migrated_sqlite.read_bytes())
            found.append(trio.run(lambda: tables_after(file, documents, directly=way)))  # noqa: B023
    assert found[0] == found[1]


async def test_documents_go_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench_at(f"sqlite:///{tmp_path / 'a.db'}") as bench:
        source_id = only(await source_ids(bench.store, spec()))
        monkeypatch.setattr("digestd.store.polling.transact", None)
        said = [entry(str(number)) for number in range(5)]
        assert await serve(bench, source_id, *said) == Recorded(5, 0)
        assert await serve(bench, source_id, entry("1", content="other"), *said[3:]) == Recorded(0, 1)


async def test_a_document_that_cannot_go_directly_goes_by_the_long_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench_at(f"sqlite:///{tmp_path / 'a.db'}") as bench:
        source_id = only(await source_ids(bench.store, spec()))
        bad = entry("2", facts={"number": 1})
        monkeypatch.setattr("digestd.store.writing.new_article", _refused_if_it_has_facts)
        answer = await serve(bench, source_id, entry("1"), bad, entry("3"))
        assert (answer.articles_new, [one.guid for one in answer.set_aside]) == (2, ["2"])
        assert guids(bench) == ["1", "3"]


def _refused_if_it_has_facts(
    source_id: int, key: str, entry: Entry, *args: Any, **named: Any
) -> dict[str, Any]:
    row = dict(new_article(source_id, key, entry, *args, **named))
    return row | {"title": None} if entry.facts else row


async def test_a_damaged_row_is_refused_by_itself(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'a.db'}"
    async with open_store(database, owner="me", pool_size=1, connect_timeout_seconds=5) as store:
        await store.sync_sources([spec("a"), spec("b")])
        with sqlite3.connect(tmp_path / "a.db") as other:
            other.execute("UPDATE sources SET options = 'no JSON' WHERE name = 'a'")
        damaged, sound = await store.claim([ClaimRequest(1, 75), ClaimRequest(2, 75)])
        assert isinstance(damaged, Refused)
        assert isinstance(sound, Claim)


async def test_a_paused_host_is_heeded(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'a.db'}"
    async with open_store(database, owner="me", pool_size=1, connect_timeout_seconds=5) as store:
        await store.sync_sources([spec("a")])
        await store.pause_hosts([HostPause("h", 30.0)])
        (answer,) = await store.claim([ClaimRequest(1, 75, host=HostStart("h", 0.0))])
        assert type(answer).__name__ == "Wait"
        with sqlite3.connect(tmp_path / "a.db") as other:
            row = other.execute("SELECT lease_token, unfinished_claims FROM sources").fetchone()
        assert row == (None, 0)


def test_what_goes_wrong_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    direct = DirectEngine(engine)

    def insert_and(error: Exception) -> None:
        def work(transaction: Any) -> None:
            transaction._connection.execute("INSERT INTO t VALUES (1)")
            raise error

        direct.transact(work)

    with pytest.raises(NotDirectly):
        insert_and(ValueError("a bug"))
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    with pytest.raises(StoreUnavailable, match="cannot be used just now: database or disk is full"):
        insert_and(full)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0


def test_a_statement_wants_every_parameter() -> None:
    engine = create_engine("sqlite://")
    changed = update(sources).where(sources.c.id == bindparam("row_id")).values(etag=bindparam("new"))
    statement = Statement(changed, engine.dialect)
    assert statement.values({"row_id": 1, "new": "x"}) == ["x", 1]
    with pytest.raises(KeyError):
        statement.values({"row_id": 1})


def test_rows_have_the_types_of_their_columns() -> None:
    engine = create_engine("sqlite://")
    chosen = select(sources.c.enabled, sources.c.options, sources.c.next_fetch_at)
    moment = datetime.now(UTC) + timedelta(hours=1)
    row = Statement(chosen, engine.dialect).row([1, '{"a": [1]}', moment.isoformat()])
    assert (row.enabled, row.options, row.next_fetch_at) == (True, {"a": [1]}, moment)
