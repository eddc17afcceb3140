"""Several daemons on one PostgreSQL: each source polled by one of them at a time, and nothing lost when one dies."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psycopg
import pytest

from support.farm import Farm
from support.process import Digestd, run, write_settings

QUERY = "SELECT s.name, a.guid FROM articles a JOIN sources s ON s.id = a.source_id"
INTERVAL = 4


def kept(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return sorted(connection.execute(QUERY).fetchall())


def settings(folder: Path, farm: Farm, name: str = "one") -> str:
    folder = folder / name
    folder.mkdir(exist_ok=True)
    file = write_settings(
        folder,
        farm.sources(),
        worker={"interval_seconds": INTERVAL, "jitter_seconds": 0, "poll_timeout_seconds": 2},
    )
    return str(file)


@pytest.mark.slow
def test_no_feed_is_fetched_twice_in_an_interval_and_each_is(
    tmp_path: Path, farm: Farm, postgres_url: str
) -> None:
    for number in range(60):
        farm.grow(f"feed{number}", 2)
    file, environ = (
        settings(tmp_path, farm),
        {"DATABASE_URL": postgres_url, "EXTRACT_ENABLED": "false", "WORKER_LOG_LEVEL": "DEBUG"},
    )
    with (
        Digestd(["-c", file], tmp_path, environ) as first,
        Digestd(["-c", file], tmp_path, environ) as second,
    ):
        for daemon in (first, second):
            daemon.wait_for("worker.started")
        began = time.monotonic()
        time.sleep(3.5 * INTERVAL)
        seconds = time.monotonic() - began
        counts = [farm.requests[f"feed{number}"] for number in range(60)]
        assert min(counts) >= 3
        assert max(counts) <= seconds / INTERVAL + 2, "the first round was under way when we began to count"
        assert kept(postgres_url) == sorted(farm.guids())
        for daemon in (first, second):
            assert len(daemon.events("worker.fetch.complete")) > 10, "they share the work"
            assert daemon.events("worker.lease.lost") == []
            daemon.send(signal.SIGTERM)
            assert daemon.end() == 0


@pytest.mark.slow
def test_what_a_killed_replica_held_is_polled_again_by_the_other(
    tmp_path: Path, farm: Farm, postgres_url: str
) -> None:
    farm.slow_seconds = 1.0
    for number in range(8):
        farm.grow(f"slow{number}", 2)
    file, environ = (
        settings(tmp_path, farm),
        {"DATABASE_URL": postgres_url, "EXTRACT_ENABLED": "false", "WORKER_LOG_LEVEL": "DEBUG"},
    )
    with Digestd(["-c", file], tmp_path, environ) as first:
        first.wait_for("worker.started")
        first.wait_until(lambda: sum(farm.requests.values()) > 2, "a poll in flight")
        with Digestd(["-c", file], tmp_path, environ) as second:
            second.wait_for("worker.started")
            first.send(signal.SIGKILL)
            first.end()
            killed = time.monotonic()
            for number in range(8):
                farm.grow(f"slow{number}", 3)
            second.wait_until(
                lambda: set(kept(postgres_url)) == farm.guids(), "everything that was served", 40
            )
            # The lease, for poll_timeout_seconds and 15 s, and an interval.
            assert time.monotonic() - killed < 17 + INTERVAL + 5
            assert kept(postgres_url) == sorted(farm.guids())
            second.send(signal.SIGTERM)
            assert second.end() == 0


@pytest.mark.slow
def test_a_replica_that_was_stopped_past_its_lease_writes_nothing(
    tmp_path: Path, farm: Farm, postgres_url: str
) -> None:
    farm.slow_seconds = 1.5
    farm.grow("slow", 2)
    file, environ = (
        settings(tmp_path, farm),
        {"DATABASE_URL": postgres_url, "EXTRACT_ENABLED": "false", "WORKER_LOG_LEVEL": "DEBUG"},
    )
    with Digestd(["-c", file], tmp_path, environ) as stopped:
        stopped.wait_until(lambda: farm.requests["slow"] == 1, "the first poll")
        time.sleep(0.3)
        stopped.send(signal.SIGSTOP)
        # As if its lease had run out: waiting for it would take 17 s.
        with psycopg.connect(postgres_url) as connection:
            moved = connection.execute(
                "UPDATE sources SET lease_expires_at = lease_expires_at - interval '20 s' "
                "WHERE lease_token IS NOT NULL RETURNING id"
            )
            assert len(moved.fetchall()) == 1
        farm.grow("slow", 3)
        with Digestd(["-c", file], tmp_path, environ) as other:
            other.wait_until(lambda: len(kept(postgres_url)) == 5, "the other one's poll", 30)
            stopped.send(signal.SIGCONT)
            stopped.wait_for("worker.lease.lost")
            assert kept(postgres_url) == sorted(farm.guids())
            for daemon in (stopped, other):
                daemon.send(signal.SIGTERM)
                assert daemon.end() == 0
                assert "Traceback" not in daemon.stderr


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
        write_settings(
            tmp_path / "one", farm.sources(), worker={"interval_seconds": INTERVAL, "jitter_seconds": 0}
        )
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
