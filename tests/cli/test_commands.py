"""The commands beside the daemon, as a person types them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digestd.cli import setup
from digestd.errors import ConfigurationError
from support.farm import open_farm
from support.process import environment, run, write_settings


def test_help_and_version_answer_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    help_text = run(["--help"], tmp_path)
    assert time.monotonic() - began < 2, "half a second on an idle machine"
    assert help_text.returncode == 0
    assert "digestd demo                          see it work: no network, no settings" in help_text.stdout
    assert re.fullmatch(r"digestd \d+\.\d+\.\d+\n", run(["--version"], tmp_path).stdout)


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['digestd', '--help']\n"
        "try: runpy.run_module('digestd', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'trio', 'httpx2', 'feedparser', 'pydantic', 'alembic', 'rich', 'structlog'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stderr == "[]\n"


@pytest.mark.slow
def test_init_writes_both_files_and_never_overwrites(tmp_path: Path) -> None:
    done = run(["init", "new/conf"], tmp_path)
    assert done.returncode == 0
    assert done.stdout == (
        "wrote new/conf/digestd.yaml\nwrote new/conf/sources.yaml\nnext: digestd check -c new/conf/digestd.yaml\n"
    )
    again = run(["init", "new/conf"], tmp_path)
    assert again.returncode == 78
    assert "new/conf/digestd.yaml: is there already and is not overwritten\n" in again.stderr
    checked = run(["check", "-c", "new/conf/digestd.yaml"], tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "  interval_seconds: 300" in checked.stdout


def test_init_says_in_words_that_a_folder_cannot_be_looked_into(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)
    with pytest.raises(ConfigurationError) as refused:
        setup.init(folder)
    assert refused.value.problems == (f"{folder}: cannot be written: File name too long",)


def test_check_prints_what_is_in_force_with_secrets_masked_and_changes_nothing(tmp_path: Path) -> None:
    file = write_settings(tmp_path, {"tokened": "https://user:hunter2@example.com/feed?token=hunter2"})
    done = run(
        ["-c", str(file), "check"],
        tmp_path,
        WORKER_MAX_SOURCES="7",
        FETCH_PROXY="http://u:hunter2@proxy:3128",
    )
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "  max_sources: 7  (environment)\n" in done.stdout
    assert "  proxy: http://***@proxy:3128  (environment)\n" in done.stdout
    assert "  tokened  feed  https://***@example.com/feed?token=***\n" in done.stdout
    assert re.search(r"^database: not there yet; it is created at the first start$", done.stdout, re.M)
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_check_names_what_the_database_is(tmp_path: Path, postgres_url: str) -> None:
    file = write_settings(tmp_path, {"a": "https://example.com/feed"})
    before = run(["check", "-c", str(file)], tmp_path, DATABASE_URL=postgres_url)
    assert "database: reachable and empty; its tables are created at the first start\n" in before.stdout
    run(["sources", "-c", str(file)], tmp_path, DATABASE_URL=postgres_url)
    after = run(["check", "-c", str(file)], tmp_path, DATABASE_URL=postgres_url)
    assert "database: reachable, its schema is current\n" in after.stdout


@pytest.mark.slow
def test_sources_and_digest_show_what_was_polled(tmp_path: Path) -> None:
    with open_farm() as farm:
        farm.grow("good", 3)
        farm.grow("broken")
        file = write_settings(tmp_path, farm.sources())
        run(["--once", "-c", str(file)], tmp_path)
    table = run(["sources", "-c", str(file)], tmp_path)
    assert table.returncode == 0
    assert re.search(r"^ ?good +active +3 ", table.stdout, re.M)
    assert "http_status: the server answered 500" in table.stdout
    assert table.stdout.endswith("2 sources, 1 failing\n")
    listed = json.loads(run(["sources", "--failing", "--json", "-c", str(file)], tmp_path).stdout)
    assert [(row["name"], row["consecutive_failures"]) for row in listed] == [("broken", 1)]
    digest = run(["digest", "-c", str(file), "--per-source", "2", "--days", "3650"], tmp_path).stdout
    assert "good\n────\n• good entry 2\n" in digest
    assert "https://news.example/good/2\n  Text of entry 2 of good.\n" in digest
    assert "entry 0" not in digest


@pytest.mark.slow
def test_on_a_terminal_a_bar_shows_progress(tmp_path: Path) -> None:
    with open_farm() as farm:
        for number in range(5):
            farm.grow(f"feed{number}", 2)
        output = on_a_terminal(["--once", "-c", str(write_settings(tmp_path, farm.sources()))], tmp_path)
    assert re.search(r"polling .*5/5.*10 new, 0 failed", output.replace("\r", "\n")), output
    assert "articles new       10" in output


def on_a_terminal(arguments: list[str], folder: Path) -> str:
    """What a person at a terminal of 100 columns sees."""
    master, slave = pty.openpty()
    environ = environment(folder, {"TERM": "xterm", "COLUMNS": "100"})
    process = subprocess.Popen(
        [sys.executable, "-m", "digestd", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=folder,
        env=environ,
    )
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:
        pass  # Linux reports the end of a terminal as an error.
    process.wait(30)
    os.close(master)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    sources = {f"source number {n}": f"https://example.com/{n}" for n in range(3000)}
    file = write_settings(tmp_path, sources)
    command = f"{sys.executable} -m digestd check -c {file} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment(tmp_path, {}), check=False
    )
    assert (done.stdout, done.stderr) == (f"settings: {file}\n", "")


def test_looking_makes_no_database(tmp_path: Path) -> None:
    file = write_settings(tmp_path, {"a": "https://example.com/feed"})
    done = run(["sources", "-c", str(file)], tmp_path)
    assert done.returncode == 69
    assert done.stderr == (
        f"digestd: there is no database {tmp_path}/state/digestd.db yet: nothing was polled into it; "
        "if the daemon keeps its own elsewhere, set STATE_DIRECTORY or database.url as it has them\n"
    )
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_after_the_end_does_not_change_the_status(number: signal.Signals) -> None:
    program = (
        "import atexit, os, sys; from digestd.cli import run; sys.argv[1:] = ['--version']; "
        f"atexit.register(os.kill, os.getpid(), {number:d}); run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
