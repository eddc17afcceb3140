"""`--csv`, `--json`, `--failing` and `--degraded`, as a person types them after a round of polls."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.farm import open_farm
from support.process import environment, run, write_settings

SET_ASIDE = """INSERT INTO entries_set_aside
    (source_id, entry_key, guid, title, reason, entry, first_seen_at, last_seen_at)
    SELECT id, 'key', '@guid', char(9) || '＝1+2', 'too odd', '{"title": "＝1"}', :at, :at
    FROM sources WHERE name = 'odd'
"""
AT = {"at": "2026-03-01 00:00:00.000000+00:00"}


def spoil(database: Path) -> None:
    """Make the source `odd` degraded without a failure, and leave an entry of it aside."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE sources SET state = 'degraded', last_error = 'shape: +1' WHERE name = 'odd'"
        )
        connection.execute(SET_ASIDE, AT)


class Polled:
    """Three sources after one round: one whose titles are formulas, one degraded, one failing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with open_farm() as farm:
            farm.grow("=1+2", 2)
            farm.grow("odd")
            farm.grow("broken")
            self._file = write_settings(folder, farm.sources(), extract={"enabled": False})
            run(["--once", "-c", str(self._file)], folder)
        spoil(folder / "state" / "digestd.db")

    def says(self, *arguments: str, **environ: str) -> str:
        command = [sys.executable, "-m", "digestd", *arguments, "-c", str(self._file)]
        done = subprocess.run(
            command, capture_output=True, env=environment(self._folder, environ), timeout=60, check=True
        )
        assert done.stderr == b""
        return done.stdout.decode()

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        # Whatever the locale, it is UTF-8.
        text = self.says(*arguments, "--csv", PYTHONIOENCODING="latin-1")
        assert text.endswith("\r\n")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def names(self, *arguments: str) -> set[str]:
        return {source["name"] for source in json.loads(self.says("sources", *arguments, "--json"))}


def as_cells(record: dict[str, Any]) -> dict[str, str]:
    """The cells that mean the plain values of `record`."""
    words = {None: "", True: "true", False: "false"}
    return {
        key: words[value] if value is None or isinstance(value, bool) else str(value)
        for key, value in record.items()
    }


@pytest.fixture(scope="module")
def polled(tmp_path_factory: pytest.TempPathFactory) -> Polled:
    return Polled(tmp_path_factory.mktemp("polled"))


@pytest.mark.slow
def test_articles_as_csv_are_those_of_json_with_formulas_defused(polled: Polled) -> None:
    rows = polled.rows("articles", "--source", "=1+2")
    listed = json.loads(polled.says("articles", "--source", "=1+2", "--json"))
    assert {row["title"] for row in rows} == {"'=1+2 entry 0", "'=1+2 entry 1"}
    assert {row["source"] for row in rows} == {"'=1+2"}
    harmless = [as_cells(record) | {"source": "'=1+2", "title": f"'{record['title']}"} for record in listed]
    assert rows == harmless


@pytest.mark.slow
def test_entries_set_aside_as_csv(polled: Polled) -> None:
    (row,) = polled.rows("articles", "--set-aside")
    assert row == {
        "source": "odd",
        "guid": "'@guid",
        "title": "' ＝1+2",
        "reason": "too odd",
        "entry": '{"title": "＝1"}',
        "first_seen_at": "2026-03-01T00:00:00+00:00",
        "last_seen_at": "2026-03-01T00:00:00+00:00",
    }


@pytest.mark.slow
def test_sources_as_csv_are_those_of_json(polled: Polled) -> None:
    rows = polled.rows("sources", "--failing")
    listed = json.loads(polled.says("sources", "--failing", "--json"))
    assert rows == [as_cells(record) for record in listed]
    assert [(row["name"], row["failing"], row["consecutive_failures"]) for row in rows] == [
        ("broken", "true", "1")
    ]


@pytest.mark.slow
def test_failing_and_degraded_are_told_apart(polled: Polled) -> None:
    assert polled.names("--failing") == {"broken"}
    assert polled.names("--degraded") == {"odd"}
    assert polled.names("--failing", "--degraded") == {"broken", "odd"}
    table = polled.says("sources")
    assert re.search(r"^ ?broken +active, failing +0 ", table, re.M)
    assert re.search(r"^ ?odd +degraded +1 ", table, re.M)
    assert re.search(r"^ ?=1\+2 +active +2 ", table, re.M)
    assert "\n3 sources, 1 failing, 1 degraded without failing\n" in table


@pytest.mark.parametrize(
    "command",
    [["sources"], ["articles"], ["articles", "--set-aside"]],
    ids=["sources", "articles", "set aside"],
)
def test_json_and_csv_exclude_each_other(tmp_path: Path, command: list[str]) -> None:
    done = run([*command, "--json", "--csv"], tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("Error: Invalid value: --json and --csv exclude each other\n")


@pytest.mark.slow
def test_a_reader_of_csv_that_has_enough_is_no_error(tmp_path: Path) -> None:
    sources = {f"source number {n}": f"http://127.0.0.1:9/{n}" for n in range(3000)}
    file = write_settings(tmp_path, sources)
    run(["--once", "--source", "source number 0", "-c", str(file)], tmp_path)
    command = f"{sys.executable} -m digestd sources --csv -c {file} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment(tmp_path, {}), check=False
    )
    header, status = done.stdout.splitlines()
    assert header.startswith('"name","kind","url"')
    # 128 + SIGPIPE, as any Unix filter ends.
    assert (status, done.stderr) == ("141", "")
