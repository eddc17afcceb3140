"""Several daemons on one database: they share its sources, and what one changes the others follow.

Many of them, and what happens when some die, is in `test_replica_farm`.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from support.farm import Farm
from support.kept import Database
from support.pgbouncer import PROGRAM, PgBouncer
from support.postgres import PostgresServer
from support.process import Digestd, run, write_settings

INTERVAL = 4


def settings(folder: Path, farm: Farm) -> str:
    file = write_settings(
        folder, farm.sources(), worker={"interval_seconds": INTERVAL, "poll_timeout_seconds": 2}
    )
    return str(file)


@pytest.mark.slow
def test_two_processes_on_one_sqlite_file_fetch_each_feed_once_an_interval(
    tmp_path: Path, farm: Farm
) -> None:
    for number in range(60):
        farm.grow(f"feed{number}", 2)
    file, environ = settings(tmp_path, farm), {"EXTRACT_ENABLED": "false"}
    with (
        Digestd(["-c", file], tmp_path, {**environ, "FETCH_USER_AGENT": "first"}) as first,
        Digestd(["-c", file], tmp_path, {**environ, "FETCH_USER_AGENT": "second"}) as second,
    ):
        for daemon in (first, second):
            daemon.wait_for("worker.started")
        time.sleep(3.5 * INTERVAL)
        for daemon in (first, second):
            daemon.send(signal.SIGTERM)
            assert daemon.end() == 0
            assert "Traceback" not in daemon.stderr
            assert daemon.events("worker.lease.lost") == []
    for name in farm.sources():
        times = [asked.at for asked in farm.asked if asked.name == name]
        assert len(times) >= 3
        assert min(after - before for before, after in pairwise(times)) > INTERVAL - 0.05
    assert Database(tmp_path).entries() == sorted(farm.guids())
    shares = Counter(asked.agent for asked in farm.asked)
    assert min(shares["first"], shares["second"]) > 40, "they share the work"


@pytest.mark.slow
def test_what_one_changes_the_other_follows(tmp_path: Path, farm: Farm, postgres_url: str) -> None:
    farm.grow("first", 1)
    file, environ = (
        settings(tmp_path, farm),
        {"DATABASE_URL": postgres_url, "EXTRACT_ENABLED": "false", "WORKER_LOG_LEVEL": "DEBUG"},
    )
    environ["FETCH_ALLOW_PRIVATE_NETWORKS"] = "true"
    with (
        Digestd(["-c", file], tmp_path, environ) as first,
        Digestd(["-c", file], tmp_path, environ) as second,
    ):
        for daemon in (first, second):
            daemon.wait_for("worker.started")
        farm.grow("added", 2)
        added = run(["sources", "add", "added", f"{farm.url}/added", "-c", file], tmp_path, **environ)
        assert (added.returncode, added.stderr) == (0, "")
        first.wait_until(lambda: farm.requests["added"] >= 1, "the poll of what a command added", 8)
        # With SIGHUP one of them reads its file again, and the other one hears of it from the database.
        farm.grow("filed", 1)
        write_settings(tmp_path, farm.sources(), worker={"interval_seconds": INTERVAL})
        first.send(signal.SIGHUP)
        first.wait_for("worker.reloaded")
        first.wait_until(lambda: farm.requests["filed"] >= 1, "the poll of what the file added", 8)
        disabled = run(["sources", "disable", "first", "-c", file], tmp_path, **environ)
        assert (disabled.returncode, disabled.stderr) == (0, "")
        time.sleep(2)
        asked = farm.requests["first"]
        time.sleep(2 * INTERVAL)
        assert farm.requests["first"] == asked
        assert farm.requests["filed"] >= 3
        for daemon in (first, second):
            daemon.send(signal.SIGTERM)
            assert daemon.end() == 0
            assert "Traceback" not in daemon.stderr


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")
def test_behind_pgbouncer_the_regular_look_is_enough(
    tmp_path: Path, farm: Farm, postgres_server: PostgresServer, postgres_url: str
) -> None:
    farm.grow("first", 3)
    farm.grow("added", 2)
    bouncer = PgBouncer(postgres_server)
    try:
        name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
        database = Database(tmp_path, bouncer.url(str(name)))
        environ = {**database.environ, "FETCH_ALLOW_PRIVATE_NETWORKS": "true"}
        file = str(write_settings(tmp_path, {"first": f"{farm.url}/first"}, extract={"enabled": False}))
        with Digestd(["-c", file], tmp_path, environ) as daemon:
            daemon.wait_for("worker.started")
            daemon.wait_until(lambda: len(database.entries()) == 3, "the first poll")
            added = run(["sources", "add", "added", f"{farm.url}/added", "-c", file], tmp_path, **environ)
            assert (added.returncode, added.stderr) == (0, "")
            daemon.wait_until(lambda: len(database.entries()) == 5, "the poll of what a command added", 10)
            daemon.send(signal.SIGTERM)
            assert daemon.end() == 0
            assert "Traceback" not in daemon.stderr
            assert daemon.events("worker.store.unavailable") == []
    finally:
        bouncer.close()
