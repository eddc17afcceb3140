"""`digestd sources add|enable|disable|remove|poll`, as an operator runs them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from digestd.cli.articles import since_of
from support.process import run

FILE = """sources:
  - name: From the file
    url: https://file.example/feed
"""
URL = "https://psirt.example/feed"


class Shell:
    """A directory with settings in it, and commands run there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "conf").mkdir()
        (folder / "conf" / "digestd.yaml").write_text(FILE)

    def run(self, *arguments: str) -> CompletedProcess[str]:
        return run(list(arguments), self._folder, STATE_DIRECTORY=str(self._folder))

    def says(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refuses(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode != 0
        assert done.stdout == ""
        return f"{done.returncode} {done.stderr}"

    def listed(self) -> dict[str, Any]:
        return {source["name"]: source for source in json.loads(self.says("sources", "--json"))}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.slow
def test_a_source_is_added_polled_disabled_enabled_and_removed(shell: Shell) -> None:
    soon = "; a running daemon follows within seconds"
    added = shell.says("sources", "add", "Example", URL, "--interval-seconds", "900")
    assert added == f"added 'Example'{soon}\n"
    assert shell.listed()["Example"]["url"] == URL
    assert shell.says("sources", "poll", "Example") == f"'Example' is due now{soon}, as does --once\n"
    assert shell.says("sources", "disable", "Example") == f"disabled 'Example'{soon}\n"
    assert shell.listed()["Example"]["enabled"] is False
    assert shell.says("sources", "enable", "Example") == f"enabled 'Example'{soon}\n"
    assert shell.says("sources", "remove", "Example") == f"removed 'Example', its articles stay{soon}\n"
    assert "Example" not in shell.listed()


@pytest.mark.slow
def test_what_is_wrong_is_said_and_changes_nothing(shell: Shell) -> None:
    assert (
        shell.refuses("sources", "add", "Example", "ftp://psirt.example/")
        == "78 digestd: the configuration is wrong:\n"
        "  (Example): url: must start with http:// or https://\n"
    )
    assert "unknown kind 'feet'; did you mean 'feed'?" in shell.refuses(
        "sources", "add", "Example", URL, "--kind", "feet"
    )
    assert "'From the file' stands in conf/digestd.yaml: change it there" in shell.refuses(
        "sources", "add", "From the file", URL
    )
    assert shell.refuses("sources", "poll", "Nobody") == (
        "69 digestd: there is no database " + str(shell._folder / "digestd.db") + " yet: "
        "nothing was polled into it; if the daemon keeps its own elsewhere, "
        "set STATE_DIRECTORY or database.url as it has them\n"
    )
    shell.says("sources", "add", "Example", URL)
    assert shell.refuses("sources", "add", "Example", URL) == (
        "1 digestd: there is a source 'Example' already; `digestd sources` lists it\n"
    )
    for command in ("poll", "enable", "disable", "remove"):
        assert shell.refuses("sources", command, "Nobody") == (
            "1 digestd: no source is called 'Nobody'; `digestd sources` lists them\n"
        )


@pytest.mark.slow
def test_a_source_of_the_file_is_disabled_over_it_and_removed_there_alone(shell: Shell) -> None:
    # Nothing answers at the example's address: it is polled once, so that the database knows it.
    shell.run("--once", "--source", "From the file", "--log-level", "CRITICAL")
    assert shell.says("sources", "disable", "From the file").startswith(
        "disabled 'From the file', whatever its file says; "
    )
    assert shell.listed()["From the file"]["enabled"] is False
    assert shell.refuses("sources", "remove", "From the file") == (
        "1 digestd: 'From the file' comes from a file: take it out there, or `digestd sources disable` it\n"
    )


@pytest.mark.parametrize(
    ("text", "age"), [("90min", 5_400), ("6h", 21_600), ("2d", 172_800), ("1.5 d", 129_600), ("1w", 604_800)]
)
def test_an_age_is_a_moment_before_now(text: str, age: int) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert since_of(text, now) == now - timedelta(seconds=age)


def test_a_date_is_in_utc_unless_it_says_otherwise() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert since_of("2026-11-20", now) == datetime(2026, 11, 20, tzinfo=UTC)
    assert since_of("2026-11-20T10:00:00+02:00", now) == datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-3d", "d"])
def test_other_words_are_no_moment(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        since_of(text, datetime(2026, 11, 23, tzinfo=UTC))
    assert str(caught.value) == f"{text!r} is neither an age (90min, 6h, 2d, 1w) nor a date (2026-11-23)"
