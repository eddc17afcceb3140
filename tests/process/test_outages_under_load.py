"""A PostgreSQL that goes away again and again while two replicas write to it: nothing lost, doubled or blamed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from support.farm import Farm, open_farm
from support.kept import Database
from support.postgres import PostgresServer
from support.process import Digestd, write_settings
from support.wire import Wire

FEEDS = 120


@pytest.fixture
def many_hosts() -> Iterator[Farm]:
    """Feeds on thirty hosts, so that politeness leaves room for load."""
    with open_farm(hosts=30) as opened:
        yield opened


def grow(farm: Farm, seconds: float, chance: random.Random) -> None:
    """Let entries appear for `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        farm.grow(f"feed{chance.randrange(FEEDS)}", chance.randint(1, 2))
        time.sleep(0.02)


def settings(folder: Path, farm: Farm) -> str:
    """A file of settings for the feeds of `farm`, each of which has two entries."""
    for number in range(FEEDS):
        farm.grow(f"feed{number}", 2)
    return str(
        write_settings(folder, farm.sources(), worker={"interval_seconds": 2}, extract={"enabled": False})
    )


def expect_caught_up(replicas: list[Digestd], farm: Farm, database: Database) -> None:
    """Everything that was served is kept, once, without anybody's help; no source was blamed."""
    replicas[0].wait_until(lambda: set(database.entries()) == farm.guids(), "everything that was served", 60)
    assert database.entries() == sorted(farm.guids()), "and nothing twice"
    blamed = database.query("SELECT name, last_error FROM sources WHERE consecutive_failures > 0")
    assert blamed == []


@pytest.mark.slow
def test_ten_restarts_and_broken_commits_under_load(
    tmp_path: Path, many_hosts: Farm, own_postgres_server: PostgresServer
) -> None:
    farm, chance = many_hosts, random.Random(7)
    own_postgres_server.create_database("digestd")
    wire = Wire(own_postgres_server)
    database = Database(tmp_path, own_postgres_server.url("digestd"))
    file = settings(tmp_path, farm)
    with ExitStack() as running:
        running.callback(wire.close)
        environ = {"DATABASE_URL": wire.url("digestd")}
        replicas = [running.enter_context(Digestd(["-c", file], tmp_path, environ)) for _ in range(2)]
        for replica in replicas:
            replica.wait_for("worker.started")
        for number in range(10):
            grow(farm, 1.2, chance)
            wire.cut_commits("after", "before", "after")
            grow(farm, 0.5, chance)
            own_postgres_server.stop("immediate" if number % 2 else "fast")
            grow(farm, chance.choice([0.0, 0.5, 2.0]), chance)
            own_postgres_server.start()
        expect_caught_up(replicas, farm, database)
        assert wire.cut == 30
        for replica in replicas:
            assert replica.events("worker.store.unavailable")
            replica.send(signal.SIGTERM)
            assert replica.end() == 0
            assert "Traceback" not in replica.stderr, replica.stderr


@pytest.mark.slow
def test_slow_full_read_only_and_hung_databases_are_lived_through(
    tmp_path: Path, many_hosts: Farm, own_postgres_server: PostgresServer
) -> None:
    farm, chance = many_hosts, random.Random(8)
    url = own_postgres_server.create_database("digestd")
    wire = Wire(own_postgres_server)
    database = Database(tmp_path, url)
    file = settings(tmp_path, farm)
    with ExitStack() as running:
        running.callback(wire.close)
        environ = {"DATABASE_URL": wire.url("digestd")}
        daemon = running.enter_context(Digestd(["-c", file], tmp_path, environ))
        daemon.wait_for("worker.started")
        expect_caught_up([daemon], farm, database)

        wire.delay_seconds = 0.3
        grow(farm, 5, chance)
        wire.delay_seconds = 0.0
        expect_caught_up([daemon], farm, database)

        make_read_only(url, True)
        grow(farm, 3, chance)
        assert daemon.events("worker.store.unavailable"), "which is told"
        make_read_only(url, False)
        expect_caught_up([daemon], farm, database)

        with ExitStack() as connections:
            fill(url, connections)
            grow(farm, 5, chance)
        expect_caught_up([daemon], farm, database)

        own_postgres_server.hang()
        try:
            grow(farm, 12, chance)
        finally:
            own_postgres_server.go_on()
        expect_caught_up([daemon], farm, database)
        # Told when it goes and when it is back, not by everybody and not all the time: an outage that follows
        # another within seconds may pass untold, but is counted.
        told = daemon.events("worker.store.unavailable")
        assert 1 <= len(told) <= 30
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert len(daemon.events("worker.store.recovered")) == len(told)
        assert daemon.events("worker.metrics")[-1]["store_outages"] >= 3
        assert "Traceback" not in daemon.stderr, daemon.stderr


def make_read_only(url: str, read_only: bool) -> None:
    """Let the database and its sessions become what a standby is, or end that."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(
            f"ALTER DATABASE digestd SET default_transaction_read_only = {'on' if read_only else 'off'}".encode()
        )
        end_sessions(connection)


def end_sessions(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def fill(url: str, connections: ExitStack) -> None:
    """Take every connection that the server has, also those of the daemon but perhaps one."""
    for _ in range(200):
        try:
            opened = connections.enter_context(psycopg.connect(url, autocommit=True))
        except psycopg.OperationalError:
            return
        end_sessions_of_digestd(opened)


def end_sessions_of_digestd(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'digestd'"
    )


@pytest.mark.slow
def test_a_hung_database_does_not_hold_up_the_end(
    tmp_path: Path, many_hosts: Farm, own_postgres_server: PostgresServer
) -> None:
    url = own_postgres_server.create_database("digestd")
    for number in range(20):
        many_hosts.grow(f"feed{number}", 2)
    file = write_settings(tmp_path, many_hosts.sources(), extract={"enabled": False})
    with Digestd(["-c", str(file)], tmp_path, {"DATABASE_URL": url}) as daemon:
        daemon.wait_for("worker.started")
        own_postgres_server.hang()
        try:
            time.sleep(1.5)
            began = time.monotonic()
            daemon.send(signal.SIGTERM)
            assert daemon.end(30) == 0
        finally:
            own_postgres_server.go_on()
        assert time.monotonic() - began < 15
        assert "Traceback" not in daemon.stderr, daemon.stderr
