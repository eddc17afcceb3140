"""The targets hold on their seeds, without a fuzzer; and with one, for a few seconds each, where it is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fuzz.seeds import SEEDS
from fuzz.targets import TARGETS

TESTS = Path(__file__).parents[1]
MOST_SECONDS = 2.0


def test_every_target_has_seeds() -> None:
    assert TARGETS.keys() == SEEDS.keys()


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name, seeds in SEEDS.items() for seed in (b"", *seeds)]
)
def test_targets_hold_on_their_seeds(name: str, seed: bytes) -> None:
    begin = time.perf_counter()
    TARGETS[name](seed)
    assert time.perf_counter() - begin < MOST_SECONDS


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed (extra fuzz)"
)
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_targets_hold_for_a_few_seconds_of_fuzzing(name: str, tmp_path: Path) -> None:
    run = fuzzed(name, tmp_path)
    assert run.returncode == 0, run.stdout[-5_000:]
    assert "DONE" in run.stdout


def fuzzed(name: str, corpus: Path, seconds: int = 3) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fuzz.run", name, "--seconds", str(seconds), "--corpus", str(corpus)]
    return subprocess.run(
        command,
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
