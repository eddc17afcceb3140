"""`digestd sources show`: what a person gets to know of one source after a few polls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from digestd.feed.reasons import explained
from support.farm import Farm, open_farm
from support.process import environment, run, write_settings


def shown(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "digestd", "sources", "show", *arguments]
    return subprocess.run(
        command, capture_output=True, env=environment(folder, {}), timeout=60, text=True, check=False
    )


@pytest.mark.slow
def test_it_tells_the_last_polls_and_why_the_next_one_is_when_it_is(tmp_path: Path) -> None:
    with open_farm() as farm:
        expect_polls_told(tmp_path, farm)


def expect_polls_told(tmp_path: Path, farm: Farm) -> None:
    farm.grow("news", 2)
    farm.grow("broken")
    file = write_settings(tmp_path, farm.sources(), extract={"enabled": False}, worker={"jitter_seconds": 0})
    config = ["-c", str(file)]
    for _ in range(3):
        run(["--once", "--all", *config], tmp_path)
    farm.grow("news")
    run(["--once", "--all", *config], tmp_path)
    run(["--once", "--all", *config], tmp_path)

    done = shown(tmp_path, "news", *config)
    assert done.returncode == 0
    facts = {line[:14].strip(): line[14:] for line in done.stdout.splitlines()}
    assert facts["kind"] == "feed"
    assert facts["articles"] == "3"
    assert facts["why"] == "its interval"
    assert "1 polls since then brought nothing." in done.stdout
    polls = [line.split() for line in done.stdout.splitlines() if " fetched " in line]
    assert [(line[-5], line[-4], line[-3]) for line in polls] == [("1", "0", "2"), ("2", "0", "0")]

    record = json.loads(shown(tmp_path, "broken", "--json", "--limit", "2", *config).stdout)
    assert (record["name"], record["failing"], record["unchanged_polls"]) == ("broken", True, 0)
    assert [fetch["status"] for fetch in record["fetches"]] == [500, 500]
    assert record["fetches"][0]["error"].startswith("http_status: ")
    assert record["fetches"][0]["schedule_reason"] == "backoff:5"

    unknown = shown(tmp_path, "nobody", *config)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "digestd: no source is called 'nobody'; `digestd sources` lists them\n"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("interval", "its interval"),
        ("backoff:3", "it failed 3 times in a row"),
        (
            "ttl:capped",
            "what the feed says of its updates (ttl, sy:updatePeriod), but no longer than allowed",
        ),
        ("of a third party: 1", "of a third party: 1"),
        ("backoff", "backoff"),
    ],
)
def test_reasons_are_words(reason: str, words: str) -> None:
    assert explained(reason) == words
