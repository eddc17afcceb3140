"""`digestd demo` as a newcomer runs it: from any directory, without network or settings."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import sysconfig
import time
from contextlib import closing
from pathlib import Path

import pytest

from digestd.cli import demonstration
from digestd.errors import StoreUnavailable
from support.process import environment, run

ROOT = Path(__file__).parents[2]


def check_output(done: subprocess.CompletedProcess[str]) -> None:
    """The demo went as the README tells."""
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(
        r"^Northmoor CERT: exploited vulnerabilities\n─+\n• CVE-2026-90001 in gannetmail is exploited\n",
        done.stdout,
        re.M,
    )
    assert (
        "sources checked    6 of 6\n        fetched    5\n        unchanged  0\n        failed     1\n"
        in done.stdout
    )
    assert "http_status: the server answered 500" in done.stdout
    assert "articles new       27\n" in done.stdout
    assert "pages read         27\n" in done.stdout
    assert len(re.findall(r"^  http://127\.0\.0\.1:\d+/\S+$", done.stdout, re.M)) == 15
    database = re.search(r"^database +(\S+) \(SQLite", done.stdout, re.M)
    assert database is not None
    with closing(sqlite3.connect(database[1])) as connection:
        read = connection.execute("SELECT count(*) FROM articles WHERE extraction = 'done' AND text <> ''")
        assert read.fetchone() == (27,)


@pytest.mark.slow
def test_the_demo_shows_a_digest_within_ten_seconds(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    began = time.monotonic()
    done = run(["demo"], empty, TMPDIR=str(tmp_path))
    assert time.monotonic() - began < 10
    check_output(done)
    assert len(re.findall("^polled ", done.stderr, re.M)) == 6, "progress is shown"
    assert list(empty.iterdir()) == []


async def test_a_failure_that_is_expected_comes_out_of_the_demo_as_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        await demonstration._ingest(tmp_path / "file" / "digestd.db")


@pytest.mark.slow
def test_the_demo_runs_from_an_installed_wheel_in_an_empty_directory(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(ROOT)]
    built = subprocess.run(pip, capture_output=True, text=True, check=False)
    if built.returncode and os.environ.get("CI") != "true":
        pytest.skip(f"no wheel could be built here (it needs hatchling): {built.stderr[-300:]}")
    assert built.returncode == 0, built.stderr
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    python = venv / "bin" / "python"
    (wheel,) = wheels.glob("digestd-*.whl")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", str(wheel)], check=True, capture_output=True
    )
    # The dependencies are borrowed from this environment; a .pth file does not follow its editable installs.
    (packages,) = (venv / "lib").glob("python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"])
    empty = tmp_path / "empty"
    empty.mkdir()
    environ = environment(tmp_path, {"TMPDIR": str(tmp_path)})
    environ.pop("PYTHONPATH", None)
    where = "import digestd; print(digestd.__file__)"
    found = subprocess.run(
        [python, "-c", where], capture_output=True, text=True, env=environ, cwd=empty, check=True
    )
    assert found.stdout.startswith(str(venv)), "it is the wheel's digestd"
    done = subprocess.run(
        [venv / "bin" / "digestd", "demo"],
        capture_output=True,
        text=True,
        env=environ,
        cwd=empty,
        timeout=60,
        check=False,
    )
    check_output(done)
