"""The benchmarks in small: that they run, and that digestd has not become a multiple of what it was.

Only ratios within one run are judged: seconds tell of the machine and of who else is on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import Results

MOST_TIMES_THE_BARE_PIPELINE = 6.0
"""What digestd may take for an unchanged poll beside a pipeline without leases, logs and limits."""


def _run(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).parent), "--quick", "--json", "figures.json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| | subject | median |")
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return figures


@pytest.mark.slow
def test_an_unchanged_poll_costs_no_multiple_of_a_bare_pipeline(tmp_path: Path) -> None:
    # lemon24/reader is not installed for this: an empty folder has none.
    found = _run(tmp_path, "--rounds", "3", "--only", "unchanged", "--no-reader")
    figure = next(one for one in found["figures"] if one["name"].startswith("304"))
    subjects = figure["subjects"]
    assert subjects["bare pipeline"]["median"] > 0
    assert 1 / subjects["bare pipeline"]["ratio"] < MOST_TIMES_THE_BARE_PIPELINE, figure


@pytest.mark.slow
def test_a_thousand_sources_start_poll_and_end(tmp_path: Path) -> None:
    found = _run(tmp_path, "--only", "small", "--no-postgres", "--no-peers")
    assert {one["name"] for one in found["figures"]} == {"peak memory", "SIGTERM to exit"}
    assert all(one["subjects"]["digestd"]["median"] > 0 for one in found["figures"])


def test_ratios_are_of_pairs_of_one_round(tmp_path: Path) -> None:
    results = Results("this machine")
    figure = results.figure("cold", "CPU", "s", required=5)
    for own, other in ((1.0, 3.0), (2.0, 4.0), (4.0, 20.0)):
        figure.add("digestd", own)
        figure.add("reader", other)
    results.note("newsboat is not on the path", "newsboat is not on the path")
    assert figure.ratio("reader") == 3.0
    assert results.table().splitlines() == [
        "| | subject | median | least to most | times the first | required, aim |",
        "|---|---|---|---|---|---|",
        "| cold: CPU, s | digestd | 2 | 1 to 4 | 1.00 | 5 |",
        "|  | reader | 4 | 3 to 20 | 3.00 |  |",
        "",
        "Measured on this machine.",
        "newsboat is not on the path",
    ]
    results.write(tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["figures"][0]["subjects"]["reader"] == {"values": [3, 4, 20], "median": 4, "ratio": 3}
