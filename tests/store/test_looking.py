"""A look into a database tells what is there, and leaves it as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from digestd.errors import SchemaError, StoreUnavailable
from digestd.store import HostPause, HostStart
from digestd.store.engine import database_url
from digestd.store.looking import key_of, look
from store.builders import entry, polled
from store.conftest import open_at


def content(url: str) -> dict[str, Any]:
    """Every row of every table."""
    engine = create_engine(database_url(url))
    with engine.connect() as connection:
        names = ("sources", "articles", "hosts", "fetches", "tombstones", "entries_set_aside", "sources_list")
        found = {}
        for name in names:
            try:
                rows = connection.execute(text(f"SELECT * FROM {name}")).all()
            except DBAPIError:
                connection.rollback()
                continue
            found[name] = sorted(map(repr, rows))
    engine.dispose()
    return found


async def test_sources_and_what_entries_are_to_them(database: str) -> None:
    async with open_at(database) as store:
        ids = await polled(store, a=[entry("one"), entry("two"), entry("gone")], b=[entry("other")])
        (gone,) = [article for article in await store.newest_articles(5) if article.guid == "gone"]
        await store.delete_articles([gone.id])
    before = content(database)
    asked = [entry("one"), entry("two", "Another title"), entry("gone"), entry("other")]
    with look(database, 5) as view:
        assert [status.source.name for status in view.sources()] == ["a", "b"]
        (status,) = view.sources("a")
        assert status.source.id == ids["a"]
        assert view.sources("nobody") == []
        standings = view.standings(ids["a"], asked)
    assert [standings[key_of(one)] for one in asked] == ["known", "changed", "deleted", "new"]
    assert content(database) == before
    assert before["articles"]


async def test_hosts_that_want_to_be_left_alone(database: str) -> None:
    async with open_at(database) as store:
        await store.pause_hosts([HostPause("a.example", 600), HostPause("127.0.0.1:8080", 60)])
        await store.start_at_hosts([HostStart("b.example", 1.0)])
    with look(database, 5) as view:
        pauses = view.pauses()
    assert sorted(pauses) == ["127.0.0.1:8080", "a.example"]
    assert 590 < pauses["a.example"] <= 600


async def test_nothing_can_be_written(database: str) -> None:
    async with open_at(database):
        pass
    with pytest.raises(StoreUnavailable) as caught, look(database, 5) as view:
        view._connection.execute(text("DELETE FROM sources"))
    assert str(caught.value).startswith("the database ")
    assert " cannot be looked into: " in str(caught.value)


async def test_the_file_stays_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "digestd.db"
    async with open_at(f"sqlite:///{file}") as store:
        await polled(store, a=[entry("one")])
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    with look(f"sqlite:///{file}", 5) as view:
        assert view.standings(1, [entry("one")])
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


def test_no_file_is_made(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "digestd.db"
    with pytest.raises(StoreUnavailable) as caught, look(f"sqlite:///{file}", 5):
        pass
    assert str(caught.value) == f"there is no database {file} yet"
    assert not file.parent.exists()


def test_what_is_not_ours_is_not_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE something (id INTEGER)"))
    url = f"sqlite:///{file}"
    with pytest.raises(StoreUnavailable) as caught, look(url, 5):
        pass
    assert "is not that of this digestd; its next start brings it up to date" in str(caught.value)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE sources (id INTEGER)"))
    with pytest.raises(SchemaError), look(url, 5):
        pass
    engine.dispose()
