"""What following changes costs where there are 100,000 sources."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from store.builders import spec
from store.conftest import SqlBench, bench_at, open_at

NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n",
    "postgresql": "SELECT i FROM generate_series(1, 100000) AS i",
}
FILL = """INSERT INTO sources (name, kind, url, options, enabled, origin, state, consecutive_failures,
unfinished_claims, changed_at) SELECT 's' || i, 'feed', 'https://' || i || '.example/', '{{}}', true, 'file', 'active',
0, 0, '{moment}' FROM ({numbers}) AS numbers"""


def fill(bench: SqlBench, moment: datetime) -> None:
    numbers = NUMBERS[bench.engine.dialect.name]
    with bench.engine.begin() as connection:
        connection.execute(
            text(FILL.format(moment=moment.isoformat(timespec="microseconds"), numbers=numbers))
        )
        connection.execute(text("ANALYZE"))


def explained(bench: SqlBench, statements: list[tuple[str, Any]]) -> str:
    """The plans of `statements`, as they were sent to the driver."""
    lines: list[str] = []
    explain = "EXPLAIN QUERY PLAN" if bench.engine.dialect.name == "sqlite" else "EXPLAIN"
    with bench.engine.connect() as connection:
        for statement, parameters in statements:
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            lines += [str(row[-1]) for row in rows]
    return "\n".join(lines)


@pytest.mark.slow
async def test_a_look_at_100_000_sources_reads_only_what_was_changed(database: str) -> None:
    async with bench_at(database) as bench:
        fill(bench, datetime.now(UTC) - timedelta(days=1))
        statements: list[tuple[str, Any]] = []
        last = await bench.store.changed_sources(None)
        await bench.store.set_enabled("s50000", False)

        def note(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
            if "FROM sources" in statement:
                statements.append((statement, parameters))

        event.listen(bench.store._writing, "before_cursor_execute", note)  # type: ignore[attr-defined]
        changes = await bench.store.changed_sources(last.latest, last.told)
        event.remove(bench.store._writing, "before_cursor_execute", note)  # type: ignore[attr-defined]
        assert [status.source.name for status in changes.statuses] == ["s50000"]
        assert len(statements) == 2
        plan = explained(bench, statements)
        assert "ix_sources_changed_at" in plan
        assert "Seq Scan" not in plan
        assert "SCAN" not in plan.replace("Index Scan", "")
        began = time.perf_counter()
        for _ in range(20):
            changes = await bench.store.changed_sources(changes.latest, changes.told)
            assert changes.statuses == ()
        assert (time.perf_counter() - began) / 20 < 0.02


@pytest.mark.slow
async def test_a_long_list_is_changed_long_before_a_look_would_miss_it(database: str) -> None:
    """Looks go a minute back: a change that takes longer from its moment to its end might never be seen. Every step
    grows with the list as it is, not with its square."""
    specs = [spec(f"s{number}") for number in range(20_000)]
    lists = [
        specs,
        [replace(one, category="x") for one in specs],
        [replace(one, name=f"{one.name} moved") for one in specs],
        [spec(f"t{number}") for number in range(20_000)],
    ]
    async with open_at(database) as store:
        for one_list in lists:
            began = time.perf_counter()
            report = await store.sync_sources(one_list)
            assert len(report.added + report.changed + report.renamed) == len(specs)
            assert time.perf_counter() - began < 12
