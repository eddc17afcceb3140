"""Robbed of its database: nothing is lost, nothing doubled, nobody blamed."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from support.farm import Farm
from support.kept import Database
from support.postgres import PostgresServer
from support.process import Digestd, write_settings


def catch_up(daemon: Digestd, farm: Farm, database: Database) -> None:
    daemon.wait_for("worker.started")
    daemon.wait_until(lambda: set(database.entries()) == farm.guids(), "everything that was served", 40)
    assert database.entries() == sorted(farm.guids()), "and nothing twice"


@pytest.mark.slow
def test_postgres_away_for_a_while_is_waited_for(
    tmp_path: Path, farm: Farm, own_postgres_server: PostgresServer
) -> None:
    url = own_postgres_server.create_database("digestd")
    database = Database(tmp_path, url)
    for number in range(10):
        farm.grow(f"feed{number}", 3)
    file = write_settings(tmp_path, farm.sources())
    with Digestd(["-c", str(file)], tmp_path, database.environ) as daemon:
        catch_up(daemon, farm, database)
        own_postgres_server.stop("immediate")
        for number in range(10):
            farm.grow(f"feed{number}", 2)
        daemon.wait_for("worker.store.unavailable")
        time.sleep(3)
        assert len(daemon.events("worker.store.unavailable")) == 1, "told once"
        own_postgres_server.start()
        daemon.wait_for("worker.store.recovered", seconds=60)
        catch_up(daemon, farm, database)
        failing = database.query("SELECT name FROM sources WHERE consecutive_failures > 0")
        assert failing == [], "no source is blamed"
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert "Traceback" not in daemon.stderr
