"""Very many sources in one process: start, memory, lateness and end; on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import psycopg

from benchmarks.bench import Bench
from benchmarks.digestd_runs import Edition, Installation, terminate
from benchmarks.loop import at, probed
from benchmarks.serving import Served, open_server
from benchmarks.usage import cpu_seconds, peak_memory
from digestd.feed.asking import asked_as
from digestd.kinds.feed import _PARSER_VERSION
from support.postgres import PostgresServer

_INTERVAL_SECONDS = 300
# Overdue at start, as after a restart: the rest is spread over the interval.
_OVERDUE_SECONDS = 10
_Bounds: TypeAlias = tuple[str, float | None, float | None]

_BOUNDS: Mapping[str, _Bounds] = {
    "start to first poll": ("s", 10.0, 5.0),
    "peak memory": ("MB", 800.0, 550.0),
    "lateness p99": ("ms", 100.0, 10.0),
    "SIGTERM to exit": ("s", 8.0, 4.0),
    "CPU": ("ms a poll", None, None),
}
_SMALL: Mapping[str, _Bounds] = {"peak memory": ("MB", 150.0, 100.0), "SIGTERM to exit": ("s", 1.0, None)}


def measure(bench: Bench) -> None:
    """`bench.sources` sources for `bench.minutes`, every 300 s, `max_sources` 100."""
    count = 5_000 if bench.quick else bench.sources
    _measure(bench, f"{count} sources", count, 60 * (0.5 if bench.quick else bench.minutes), _BOUNDS)


def measure_small(bench: Bench) -> None:
    """The same for a thousand sources."""
    _measure(bench, "1000 sources", 1_000, 20 if bench.quick else 60, _SMALL)


def _measure(
    bench: Bench,
    name: str,
    count: int,
    seconds: float,
    bounds: Mapping[str, _Bounds],
) -> None:
    databases = ["sqlite", "postgresql"] if bench.postgres else ["sqlite"]
    with open_server(hosts=64, entries=1, entry_bytes=100) as served:
        for database in databases:
            for edition in bench.editions:
                found = _run(bench, edition, served, count, seconds, database)
                for what, (unit, required, aim) in bounds.items():
                    figure = bench.results.figure(
                        f"{name}, {database}", what, unit, required=required, aim=aim
                    )
                    figure.add(edition.name, found[what])


def _run(
    bench: Bench, edition: Edition, served: Served, count: int, seconds: float, database: str
) -> dict[str, float]:
    folder = bench.place(database)
    with _database(database) as url:
        urls = served.urls("feed", count)
        worker = {"interval_seconds": _INTERVAL_SECONDS, "max_sources": 100}
        place = Installation(edition, folder, urls, worker, database=url)
        place.once("--limit", "1")
        _make_known(place, url)
        return _watched(place, served, seconds)


@contextmanager
def _database(name: str) -> Iterator[str | None]:
    if name == "sqlite":
        yield None
        return
    server = PostgresServer()
    try:
        server.start()
        yield server.create_database("digestd")
    finally:
        server.destroy()


def _watched(place: Installation, served: Served, seconds: float) -> dict[str, float]:
    probe = place.folder / "probe.json"
    before, began = served.answered(), time.perf_counter()
    with place.daemon(probe) as process, peak_memory(process.pid) as peak:
        first = _first_poll(process, served, before) - began
        # What was overdue at the start is late, and is no measure.
        settled = min(seconds / 3, 30)
        time.sleep(settled)
        cpu, polls = cpu_seconds(process.pid), served.answered()
        time.sleep(seconds - settled)
        cpu, polls = cpu_seconds(process.pid) - cpu, served.answered() - polls
        ended = terminate(process)
    late = json.loads(probe.read_text())["late"]
    return {
        "start to first poll": first,
        "peak memory": peak.bytes / 1_000_000,
        "lateness p99": 1_000 * at(sorted(late[-polls:]), 0.99),
        "SIGTERM to exit": ended,
        "CPU": 1_000 * cpu / max(polls, 1),
        "loop blocked p99.9": 1_000 * at(probed(probe)["lag"], 0.999),
    }


def _first_poll(process: subprocess.Popen[bytes], served: Served, before: int) -> float:
    while served.answered() == before:
        if process.poll() is not None:
            raise RuntimeError("digestd has ended")
        time.sleep(0.02)
    return time.perf_counter()


def _make_known(place: Installation, url: str | None) -> None:
    """Let every source have been polled once, as the one that was: that would take longer than all the rest."""
    rows = _rows(place)
    if url is None:
        with closing(sqlite3.connect(_file(place.state))) as database, database:
            (known,) = database.execute("SELECT cursor FROM sources WHERE etag IS NOT NULL").fetchone()
            database.executemany(
                "UPDATE sources SET etag = ?, next_fetch_at = ?, cursor = ?, last_success_at = last_fetched_at "
                "WHERE name = ?",
                [
                    (tag, due.isoformat(timespec="microseconds"), _cursor(known, one), name)
                    for tag, due, one, name in rows
                ],
            )
        return
    with psycopg.connect(url) as server:
        found = server.execute("SELECT cursor FROM sources WHERE etag IS NOT NULL").fetchone()
        assert found is not None
        known = json.dumps(found[0])
        server.cursor().executemany(
            "UPDATE sources SET etag = %s, next_fetch_at = %s, cursor = %s WHERE name = %s",
            [(tag, due, _cursor(known, one), name) for tag, due, one, name in rows],
        )
        server.commit()


def _rows(place: Installation) -> list[tuple[str, datetime, str, str]]:
    chance = random.Random(1)
    now = datetime.now(UTC)
    return [
        (
            f'"feed-{number}"',
            now + timedelta(seconds=chance.uniform(-_OVERDUE_SECONDS, _INTERVAL_SECONDS - _OVERDUE_SECONDS)),
            url,
            f"{place.prefix}{number}",
        )
        for number, url in enumerate(place.urls)
    ]


def _cursor(known: str, url: str) -> str:
    return json.dumps({**json.loads(known), "asked": asked_as(url, "", _PARSER_VERSION)})


def _file(state: Path) -> Path:
    (file,) = state.glob("*.db")
    return file
