"""Killed at random moments, again and again, while the feeds grow: what is kept is what was served, in both directions.

`DIGESTD_KILL_CYCLES` says how many kills; the default is the short form that runs with the other tests.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.farm import Asked, Farm, open_farm
from support.kept import Database, Holding
from support.newsroom import Story
from support.postgres import PostgresServer
from support.process import Digestd, run, write_settings

KILLS = int(os.environ.get("DIGESTD_KILL_CYCLES", "9"))
KILLS_PER_DATABASE = 25
"""Each new database is also killed while it is made, and each one that is left is compared as a whole."""
FEEDS = [f"feed{number}" for number in range(24)]


@dataclass(frozen=True, slots=True)
class Blow:
    """How one cycle ends: so long after its start, or after it has started to poll, so long after a SIGTERM if that
    comes first, beside a second process that lives on for a while."""

    polling: bool
    after_seconds: float
    warned_seconds: float | None
    outlived_seconds: float | None
    extract: bool

    @classmethod
    def draw(cls, chance: random.Random) -> Blow:
        """A start takes 0.8 s where nothing else runs, and all feeds come to their first poll within another second. On
        a busy machine it takes longer: half of all blows wait for it."""
        polling, first, last = chance.choices(
            [(False, 0.0, 0.9), (False, 0.7, 2.2), (True, 0.0, 1.4)], [3, 2, 5]
        )[0]
        return cls(
            polling=polling,
            after_seconds=chance.uniform(first, last),
            warned_seconds=chance.uniform(0.0, 0.2) if chance.random() < 0.3 else None,
            outlived_seconds=chance.uniform(0.0, 1.0) if chance.random() < 0.3 else None,
            extract=chance.random() < 0.25,
        )


@pytest.fixture(params=["sqlite", "postgres"])
def databases(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Iterator[Database]]:
    """Ever new databases that do not exist yet, each with a folder of its own."""
    with ExitStack() as made:
        yield new_databases(tmp_path, request if request.param == "postgres" else None, made)


def new_databases(folder: Path, request: pytest.FixtureRequest | None, made: ExitStack) -> Iterator[Database]:
    for number in range(KILLS):
        place = folder / str(number)
        place.mkdir()
        if request is None:
            yield Database(place)
            continue
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = f"kills_{os.getpid()}_{number}"
        made.callback(server.drop_database, name)
        yield Database(place, server.create_database(name))


@pytest.mark.slow
def test_sigkill_at_random_moments_loses_nothing_and_doubles_nothing(databases: Iterator[Database]) -> None:
    chance = random.Random(KILLS)
    killed = in_hand = entries = 0
    while killed < KILLS:
        with open_farm(with_pages=True) as farm:
            # So that often a request is under way.
            farm.on_request = lambda _: time.sleep(0.1 * chance.random())
            database = next(databases)
            for name in FEEDS:
                farm.grow(name, 5)
            file = write_settings(
                database.folder, farm.sources(), worker={"max_sources": 4}, extract={"processes": 1}
            )
            for _ in range(min(KILLS_PER_DATABASE, KILLS - killed)):
                strike(Blow.draw(chance), file, database, farm, chance)
                killed += 1
                in_hand += expect_nothing_skipped(database, farm)
            catch_up(file, database, farm)
            entries += len(farm.guids())
    print(f"{killed} kills, {in_hand} polls in hand, {entries} entries")
    assert in_hand > 0


def strike(blow: Blow, file: Path, database: Database, farm: Farm, chance: random.Random) -> None:
    """One cycle: start, grow, kill."""
    environ = {**database.environ, "EXTRACT_ENABLED": str(blow.extract).lower()}
    with ExitStack() as running:
        count = 1 if blow.outlived_seconds is None else 2
        victim, *others = [
            running.enter_context(Digestd(["-c", str(file)], database.folder, environ)) for _ in range(count)
        ]
        if blow.polling:
            victim.wait_for("worker.started", seconds=30)
        grow(farm, blow.after_seconds, chance)
        if blow.warned_seconds is not None:
            victim.send(signal.SIGTERM)
            grow(farm, blow.warned_seconds, chance)
        kill_group(victim)
        for other in others:
            grow(farm, blow.outlived_seconds or 0.0, chance)
            kill_group(other)
        for process in (victim, *others):
            # By SIGTERM where Python itself was still starting.
            assert process.end() in (0, -signal.SIGKILL, -signal.SIGTERM), process.stderr
            assert "Traceback" not in process.stderr, process.stderr


def grow(farm: Farm, seconds: float, chance: random.Random) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        farm.grow(chance.choice(FEEDS), chance.randint(1, 3))
        time.sleep(min(left, 0.05))


def kill_group(process: Digestd) -> None:
    """Kill the daemon and its workers; it may have ended by itself just now."""
    with suppress(ProcessLookupError):
        os.killpg(process.process.pid, signal.SIGKILL)


def expect_nothing_skipped(database: Database, farm: Farm) -> int:
    """No article is there twice or was never served, and each source has every entry of the document whose ETag it
    keeps: whatever it asks for next, it can miss none. Returns how many polls were in hand."""
    holdings = standing(database)
    served = farm.guids()
    for name, holding in holdings.items():
        kept = {(name, guid) for guid in holding.guids}
        assert len(kept) == len(holding.guids), f"{name} has articles twice"
        assert kept <= served
        size = int(holding.etag.strip('"')) if holding.etag else 0
        assert {(name, Story(name, number).guid) for number in range(size)} <= kept, f"{name} lost entries"
    return sum(holding.lease_owner is not None for holding in holdings.values())


def standing(database: Database) -> dict[str, Holding]:
    """What is there, which may be nothing yet."""
    try:
        return database.holdings()
    except psycopg.errors.UndefinedTable:
        return {}
    except sqlite3.OperationalError as error:
        if re.search("unable to open database file|no such table", str(error)):
            return {}
        raise


def catch_up(file: Path, database: Database, farm: Farm) -> None:
    """Let a last process run undisturbed: it has all that was served in the end, once, and blames nobody."""
    environ = {**database.environ, "EXTRACT_ENABLED": "false"}
    # Some were killed three times in a row, by chance, and are put off: for longer than we want to wait.
    for name, holding in standing(database).items():
        if holding.unfinished_claims >= 3:
            asked = run(["sources", "poll", name, "-c", str(file)], database.folder, **environ)
            assert asked.returncode == 0, asked.stderr
    with Digestd(["-c", str(file)], database.folder, environ) as daemon:
        daemon.wait_for("worker.started")
        daemon.wait_until(lambda: set(database.entries()) == farm.guids(), "everything that was served", 30)
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert "Traceback" not in daemon.stderr
    assert database.entries() == sorted(farm.guids())
    blamed = "SELECT name FROM sources WHERE consecutive_failures > 0 OR lease_owner IS NOT NULL"
    assert database.query(blamed) == []
    assert database.query("SELECT guid FROM entries_set_aside") == []
    for article in database.articles():
        feed, _, number = article.guid.rpartition("-")
        assert article.text in (None, Story(feed, int(number)).text), "no page is mixed up with another"


@pytest.mark.slow
def test_a_source_that_kills_the_process_is_found_out_and_polled_alone(tmp_path: Path, farm: Farm) -> None:
    database = Database(tmp_path)
    for name in [*FEEDS, "poison"]:
        farm.grow(name, 2)
    file = write_settings(database.folder, farm.sources(), worker={"interval_seconds": 3})
    environ = {**database.environ, "EXTRACT_ENABLED": "false"}
    daemons: list[Digestd] = []

    def kill_who_asks_for_poison(asked: Asked) -> None:
        if asked.name == "poison":
            kill_group(daemons[-1])
            time.sleep(1)

    def restarted() -> Digestd:
        daemons.append(Digestd(["-c", str(file)], database.folder, environ))
        return daemons[-1]

    farm.on_request = kill_who_asks_for_poison
    with ExitStack() as running:
        for _ in range(3):
            assert running.enter_context(restarted()).end() == -signal.SIGKILL
        daemon = running.enter_context(restarted())
        assert told_of_poison(daemon) == (
            "3 polls in a row never ended: this source may be crashing digestd",
            30,
        )
        farm.grow(FEEDS[0])
        healthy = {entry for entry in farm.guids() if entry[0] != "poison"}
        daemon.wait_until(lambda: set(database.entries()) == healthy, "what all others have", 60)
        shown = run(["sources", "-c", str(file)], database.folder, **environ, COLUMNS="300")
        (line,) = [line for line in shown.stdout.splitlines() if "poison" in line]
        assert (
            "3 polls in a row never ended: this source may be crashing digestd; polled alone from now on"
            in line
        )
        # Asked for by hand, it does so once more: alone.
        poll_poison(file, database)
        assert daemon.end() == -signal.SIGKILL
        assert {name for name, holding in database.holdings().items() if holding.lease_owner} == {"poison"}
        daemon = running.enter_context(restarted())
        assert told_of_poison(daemon) == (
            "4 polls in a row never ended: this source may be crashing digestd",
            60,
        )
        # Mended by its publisher, it is a source like any other.
        farm.on_request = lambda _: None
        poll_poison(file, database)
        daemon.wait_until(lambda: database.entries() == sorted(farm.guids()), "its entries, too")
        assert database.holdings()["poison"].unfinished_claims == 0
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert "Traceback" not in daemon.stderr


def told_of_poison(daemon: Digestd) -> tuple[str, float]:
    """What the log says when poison is put off, and for how long that is; others may have died with it, and be told of
    as well."""
    told: list[dict[str, Any]] = []

    def is_told() -> bool:
        told[:] = [event for event in daemon.events("worker.source.put_off") if event["source"] == "poison"]
        return bool(told)

    daemon.wait_until(is_told, "word of poison")
    return told[0]["error"], told[0]["next_in_seconds"]


def poll_poison(file: Path, database: Database) -> None:
    asked = run(["sources", "poll", "poison", "-c", str(file)], database.folder, **database.environ)
    assert asked.returncode == 0, asked.stderr
