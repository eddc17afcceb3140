"""Killed at any moment, or robbed of its database: nothing is lost, nothing doubled."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from support.farm import Farm
from support.postgres import PostgresServer
from support.process import Digestd, write_settings

QUERY = "SELECT s.name, a.guid FROM articles a JOIN sources s ON s.id = a.source_id"


def in_sqlite(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "state" / "digestd.db")) as connection:
        return sorted(connection.execute(QUERY).fetchall())


def in_postgres(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return sorted(connection.execute(QUERY).fetchall())


def catch_up(daemon: Digestd, farm: Farm, read: object, argument: object) -> None:
    assert callable(read)
    daemon.wait_for("worker.started")
    daemon.wait_until(lambda: set(read(argument)) == farm.guids(), "everything that was served", 40)
    assert read(argument) == sorted(farm.guids()), "and nothing twice"


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_sigkill_at_random_moments_loses_nothing_and_doubles_nothing(
    tmp_path: Path, farm: Farm, database: str, request: pytest.FixtureRequest
) -> None:
    environ: dict[str, str] = {}
    if database == "postgres":
        environ = {"DATABASE_URL": request.getfixturevalue("postgres_url")}
    names = [f"feed{number}" for number in range(12)]
    for name in names:
        farm.grow(name, 5)
    file = write_settings(tmp_path, farm.sources(), worker={"max_sources": 4})
    chance = random.Random(11)
    for _ in range(12):
        with Digestd(["-c", str(file)], tmp_path, environ) as daemon:
            end = time.monotonic() + 0.4 + 1.2 * chance.random()
            while time.monotonic() < end:
                farm.grow(chance.choice(names), chance.randint(1, 3))
                time.sleep(0.02)
            daemon.send(signal.SIGKILL)
            daemon.end()
    with Digestd(["-c", str(file)], tmp_path, environ) as daemon:
        if database == "postgres":
            catch_up(daemon, farm, in_postgres, environ["DATABASE_URL"])
        else:
            catch_up(daemon, farm, in_sqlite, tmp_path)
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0


@pytest.mark.slow
def test_postgres_away_for_a_while_is_waited_for(
    tmp_path: Path, farm: Farm, own_postgres_server: PostgresServer
) -> None:
    url = own_postgres_server.create_database("digestd")
    for number in range(10):
        farm.grow(f"feed{number}", 3)
    file = write_settings(tmp_path, farm.sources())
    with Digestd(["-c", str(file)], tmp_path, {"DATABASE_URL": url}) as daemon:
        catch_up(daemon, farm, in_postgres, url)
        own_postgres_server.stop("immediate")
        for number in range(10):
            farm.grow(f"feed{number}", 2)
        daemon.wait_for("worker.store.unavailable")
        time.sleep(3)
        assert len(daemon.events("worker.store.unavailable")) == 1, "told once"
        own_postgres_server.start()
        daemon.wait_for("worker.store.recovered", seconds=60)
        catch_up(daemon, farm, in_postgres, url)
        with psycopg.connect(url) as connection:
            failing = connection.execute(
                "SELECT count(*) FROM sources WHERE consecutive_failures > 0"
            ).fetchone()
        assert failing == (0,), "no source is blamed"
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert "Traceback" not in daemon.stderr
