"""How long PostgreSQL may be silent, and a transaction may think: enough for 100,000 sources on a busy machine."""

from __future__ import annotations

import time
from dataclasses import replace

import psycopg
import pytest
from psycopg import waiting
from psycopg.abc import PQGen
from sqlalchemy import text

from digestd.store import session, sourcelist, sync
from digestd.store.engine import create, database_url
from store.builders import one, source_ids, spec
from store.conftest import open_at


def answering(pauses: list[float]) -> PQGen[str]:
    """What psycopg waits with: an answer after each of `pauses`."""
    for _ in pauses:
        while not (yield waiting.Wait.R):
            pass
    return "done"


def drive(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> object:
    """Wait for a server that takes these `pauses` (s) between one word and the next, and be told of it ten times a
    second."""
    now = 1_000.0
    monkeypatch.setattr("digestd.store.session.time.monotonic", lambda: now)
    waited = session._heard_from(answering(pauses), 5.0)
    try:
        next(waited)
        for pause in pauses:
            for _ in range(round(pause * 10)):
                now += 0.1
                waited.send(waiting.Ready.NONE)
            waited.send(waiting.Ready.R)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it never ended")


def test_a_long_answer_is_waited_for_as_long_as_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drive([4.0] * 20, monkeypatch) == "done"


def test_silence_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(session._Silence):
        drive([4.0, 5.3], monkeypatch)


def test_what_the_server_refuses_is_told_as_it_is(postgres_url: str) -> None:
    engine = create(database_url(postgres_url), pool_size=1, connect_timeout_seconds=5)
    try:
        with engine.connect() as connection, pytest.raises(Exception, match="division by zero") as refused:
            connection.execute(text("SELECT 1 / 0"))
    finally:
        engine.dispose()
    assert isinstance(refused.value.__cause__, psycopg.errors.DivisionByZero)


async def test_who_thinks_about_a_long_list_is_not_thrown_out(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read of 100,000 sources is compared with the files between two statements: seconds of one core."""

    def slowly(*given: object) -> sourcelist.SyncPlan:
        time.sleep(1.5)
        return sourcelist.plan_sync(*given)  # type: ignore[arg-type]

    monkeypatch.setitem(session._SETTINGS, "idle_in_transaction_session_timeout", "500ms")
    monkeypatch.setattr(sync, "plan_sync", slowly)
    async with open_at(postgres_url) as store:
        assert one(await source_ids(store, spec())) == 1


@pytest.mark.slow
async def test_a_hundred_thousand_sources_are_taken_over_however_long_it_takes(postgres_url: str) -> None:
    """Each of these took longer in one call than the server may be silent, where something else kept the cores busy."""
    specs = [spec(f"s{number}") for number in range(100_000)]
    async with open_at(postgres_url) as store:
        assert len((await store.sync_sources(specs)).added) == 100_000
        changed = [replace(one, category="x") for one in specs]
        assert len((await store.sync_sources(changed)).changed) == 100_000
        assert len((await store.sync_sources([])).removed) == 100_000
