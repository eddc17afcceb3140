"""`digestd articles delete`, as an operator runs it."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest
import trio

from store.builders import entry, polled
from store.conftest import open_at
from support.process import run


async def fill(folder: Path) -> list[int]:
    """Two articles of one source; returns their ids, in the order of their titles."""
    async with open_at(f"sqlite:///{folder / 'digestd.db'}") as store:
        await polled(store, Example=[entry("1", "One"), entry("2", "Two\x1b[31m")])
        kept = await store.newest_articles(10)
        return [article.id for article in sorted(kept, key=lambda article: article.title)]


def delete(folder: Path, *ids: object) -> CompletedProcess[str]:
    return run(["articles", "delete", *map(str, ids)], folder, STATE_DIRECTORY=str(folder))


@pytest.mark.slow
def test_articles_are_deleted_without_asking_and_named(tmp_path: Path) -> None:
    one, two = trio.run(fill, tmp_path)
    done = delete(tmp_path, two, one, two)
    assert (done.returncode, done.stderr) == (0, "")
    expected = {one: f"deleted {one}, 'One' of 'Example'", two: f"deleted {two}, 'Two\\x1b[31m' of 'Example'"}
    assert done.stdout.splitlines() == [expected[number] for number in sorted(expected)]
    assert "0 articles" in run(["articles"], tmp_path, STATE_DIRECTORY=str(tmp_path)).stdout


@pytest.mark.slow
def test_an_unknown_one_is_told_and_the_others_go(tmp_path: Path) -> None:
    one, two = trio.run(fill, tmp_path)
    done = delete(tmp_path, 4711, one)
    assert (done.returncode, done.stdout) == (1, f"deleted {one}, 'One' of 'Example'\n")
    assert done.stderr == "digestd: there is no article 4711; `digestd articles` lists them\n"
    assert delete(tmp_path, one).returncode == 1
    assert delete(tmp_path, 2**63 - 1, two).returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("ids", [[], [0], [2**63], ["all"]])
def test_what_is_no_id_is_a_mistake(tmp_path: Path, ids: list[object]) -> None:
    done = delete(tmp_path, *ids)
    assert (done.returncode, done.stdout) == (2, "")
