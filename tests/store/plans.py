"""Large databases, and how they would answer what the store asks: shared by the tests of what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from unittest import mock

from sqlalchemy import Engine, Executable, event

from digestd.store.direct import Answer, Direct
from store.conftest import SqlBench

Statement: TypeAlias = tuple[str, Any]
"""A statement as it was sent to the driver, with the parameters of its first row."""

ARTICLES_PER_SOURCE = 10

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) SELECT i FROM n",
    "postgresql": "SELECT i FROM generate_series({first}, {last}) AS i",
}
_SOURCES = """INSERT INTO sources (name, kind, url, options, enabled, origin, state, etag, last_fetched_at,
last_success_at, next_fetch_at, schedule_reason, consecutive_failures, unfinished_claims, changed_at)
SELECT 's' || i, 'feed', 'https://' || i || '.example/feed.xml', '{{}}', true, 'file', 'active', '"' || i || '"',
'{past}', '{past}', '{past}', 'interval', 0, 0, '{past}' FROM ({numbers}) AS numbers"""
_HOSTS = """INSERT INTO hosts (host_key, host, next_start_at)
SELECT {digest}, i || '.example', '{past}' FROM ({numbers}) AS numbers"""
_SET_ASIDE = """INSERT INTO entries_set_aside (source_id, entry_key, title, reason, entry, first_seen_at, last_seen_at)
SELECT i, {digest}, 'A title', 'a reason', '{{}}', '{past}', '{past}' FROM ({numbers}) AS numbers"""
# One every 31 seconds, for a year. One in a hundred is in the queue, half of those wait; one in a thousand has failed.
_ARTICLES = """INSERT INTO articles (source_id, entry_key, identity, guid, url, title, summary, published_at,
published_from, fetched_at, last_seen_at, content_hash, extraction, extraction_attempts, next_extraction_at, text_hash)
SELECT 1 + i / {per_source}, {digest}, {digest}, 'guid ' || i, 'https://news.example/' || i,
'An article about number ' || i, 'What it says in short about number ' || i, {moment}, 'entry', {moment}, '{past}',
{digest}, CASE WHEN i % 100 = 0 THEN 'pending' WHEN i % 1000 = 1 THEN 'failed' ELSE 'done' END, 1,
CASE WHEN i % 200 = 0 THEN '{future}' END{cast}, CASE WHEN i % 100 > 1 THEN {digest} END
FROM ({numbers}) AS numbers"""
# One every two seconds, for some days.
_POLLS = """INSERT INTO fetches (source_id, fetched_at, outcome, seconds, body_bytes, articles_new, articles_updated,
unchanged_before, schedule_reason, next_delay_seconds)
SELECT i, {polled}, CASE WHEN i % 5 = 0 THEN 'failed' ELSE 'fetched' END, 0.3, 30000, 2, 0, 3, 'interval', 300
FROM ({numbers}) AS numbers"""
# One in fifty articles of the sources from 50,000 on.
_REVISED = "UPDATE articles SET updates = 1, updated_at = fetched_at WHERE source_id >= 50000 AND id % 50 = 7"
_VERSIONS = """INSERT INTO article_versions (source_id, article_id, number, title, content, said_at, replaced_at,
changes) SELECT source_id, id, 1, 'Another title', 'It said so', fetched_at, updated_at, '{{"title": ["a", "b"]}}'
FROM articles WHERE updates = 1"""
_DIGEST = {"sqlite": "printf('%064x', i)", "postgresql": "lpad(to_hex(i), 64, '0')"}
_SECONDS_AGO = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', 'now', '-' || (i * {step}) || ' seconds')",
    "postgresql": "now() - (i * {step}) * interval '1 second'",
}
_CAST = {"sqlite": "", "postgresql": "::timestamptz"}

_NOT_OURS = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")
# SQLite says SCAN of an index too that is read from one end on: these it may, since they hold few articles, or because
# the list has a limit or is of the key alone.
_FULL_LOOKS = {
    "sqlite": re.compile(
        r"^SCAN (sources|articles|article_versions|hosts|entries_set_aside|fetches)\b(?! USING (COVERING )?INDEX "
        r"(ix_articles_(pending|waiting|extraction_owner|fetched_at|source_id_published_at|revised)|"
        r"ix_fetches_source_id_id)\b)"
    ),
    "postgresql": re.compile(
        r"Seq Scan on (sources|articles|article_versions|hosts|entries_set_aside|fetches)\b"
    ),
}


def fill_sources(bench: SqlBench, count: int, moment: datetime) -> None:
    """Add so many sources `s1`, `s2` ..., each with a host of its own and due, all changed at `moment`."""
    for statement in (_SOURCES, _HOSTS):
        _fill(bench, statement, 1, count, moment)


def fill_set_aside(bench: SqlBench, count: int, moment: datetime) -> None:
    """Set one entry aside for each of the first `count` sources."""
    _fill(bench, _SET_ASIDE, 1, count, moment)


def fill_versions(bench: SqlBench, moment: datetime) -> None:
    """Revise some of the articles, once each."""
    for statement in (_REVISED, _VERSIONS):
        _fill(bench, statement, 0, 0, moment)


def fill_polls(bench: SqlBench, count: int, moment: datetime) -> None:
    """Add to the log a poll of each of the first `count` sources."""
    _fill(bench, _POLLS, 1, count, moment)


def fill_articles(bench: SqlBench, first: int, last: int, moment: datetime) -> None:
    """Add the articles with these numbers, from 0 on, ten to a source, all seen last at `moment`."""
    _fill(bench, _ARTICLES, first, last, moment)


def analyse(bench: SqlBench) -> None:
    """Let the database's planner know what the tables hold, as autovacuum would."""
    command = "ANALYZE" if bench.engine.dialect.name == "sqlite" else "VACUUM ANALYZE"
    with bench.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(command)


@contextmanager
def sent() -> Iterator[list[Statement]]:
    """The statements that are sent to any database within the block."""
    statements: list[Statement] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if not statement.startswith(_NOT_OURS):
            # Those of several rows are a list, those of one a tuple or a dictionary.
            statements.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    execute = Direct.execute

    def noted(direct: Direct, statement: Executable, parameters: Any = None) -> Answer:
        answer = execute(direct, statement, parameters)
        known = direct._known[statement]
        first = parameters[0] if isinstance(parameters, Sequence) else parameters or {}
        statements.append((known.text(first), tuple(known.values(first))))
        return answer

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with mock.patch.object(Direct, "execute", noted):
            yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def explained(bench: SqlBench, statements: Sequence[Statement]) -> str:
    """The plans of `statements`."""
    lines: list[str] = []
    explain = "EXPLAIN QUERY PLAN" if bench.engine.dialect.name == "sqlite" else "EXPLAIN"
    with bench.engine.connect() as connection:
        for statement, parameters in statements:
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            lines += [str(row[-1]) for row in rows]
    return "\n".join(lines)


def looked_through(bench: SqlBench, statements: Sequence[Statement]) -> set[str]:
    """The tables that `statements` read from end to end."""
    full_look = _FULL_LOOKS[bench.engine.dialect.name]
    found = (full_look.search(line) for line in explained(bench, statements).splitlines())
    return {match[1] for match in found if match}


def pages_read(bench: SqlBench, statements: Sequence[Statement], *, after: str) -> int:
    """How many pages PostgreSQL looks at to execute `statements` once more after the one named, all of which are undone
    in the end."""
    total = 0
    with bench.engine.connect() as connection, connection.begin() as transaction:
        connection.exec_driver_sql(after)
        for statement, parameters in statements:
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON, TIMING OFF) {statement}"
            (result,) = connection.exec_driver_sql(explain, parameters).scalar_one()
            total += result["Plan"]["Shared Hit Blocks"] + result["Plan"]["Shared Read Blocks"]
        transaction.rollback()
    return total


def _fill(bench: SqlBench, statement: str, first: int, last: int, moment: datetime) -> None:
    name = bench.engine.dialect.name
    filled = statement.format(
        numbers=_NUMBERS[name].format(first=first, last=last),
        digest=_DIGEST[name],
        moment=_SECONDS_AGO[name].format(step=31),
        polled=_SECONDS_AGO[name].format(step=2),
        cast=_CAST[name],
        past=moment.isoformat(timespec="microseconds"),
        future=(datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="microseconds"),
        per_source=ARTICLES_PER_SOURCE,
    )
    with bench.engine.begin() as connection:
        # Without parameters, a percent sign is one.
        connection.exec_driver_sql(filled, execution_options={"no_parameters": True})
