from __future__ import annotations

import json
import sys

import pytest
import trio

from store.builders import source_ids, spec
from store.conftest import open_at

# The id of a source, and the title of the article recorded for it.
Recording = tuple[int, str]

# Each process polls every source it can claim, again and again, and says what it recorded.
_PROGRAM = """
import json, sys, trio
from digestd.model import Entry, PollState
from digestd.store import Claim, ClaimRequest, Recorded, StepRecord
from digestd.store.owner import current_owner
from digestd.store.sql import open_store

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

def step(claim, number):
    entry = Entry(identity=f"{number:064x}", content_hash=name, title=str(number))
    state = PollState(cursor={"next": number + 1})
    return StepRecord(claim.source.id, claim.token, state, True, 0, "active", "now", 0, 60, (entry,))

async def main():
    recorded = []
    async with open_store(url, owner=current_owner(), pool_size=2, connect_timeout_seconds=5) as store:
        ids = [status.source.id for status in await store.sources()]
        for _ in range(count):
            claims = await store.claim([ClaimRequest(source_id, 60, force=True) for source_id in ids])
            held = [claim for claim in claims if isinstance(claim, Claim)]
            steps = [step(claim, (claim.state.cursor or {"next": 1})["next"]) for claim in held]
            for one, answer in zip(steps, await store.record(steps), strict=True):
                assert answer == Recorded(1, 0), answer
                recorded.append([one.source_id, one.entries[0].title])
            await trio.sleep(0)
    print(json.dumps(recorded))

trio.run(main)
"""


@pytest.mark.slow
async def test_two_processes_never_poll_one_source_at_one_time(database: str) -> None:
    async with open_at(database) as store:
        ids = await source_ids(store, *(spec(name) for name in "abcde"))
    recorded = [pair for answers in await _run_both(database) for pair in answers]
    # Every step went on where the last one ended, whoever recorded it: nothing was done twice or left out.
    for source_id in ids:
        numbers = sorted(int(title) for its_id, title in recorded if its_id == source_id)
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers
    async with open_at(database) as store:
        assert sum(status.articles for status in await store.sources(count_articles=True)) == len(recorded)


async def _run_both(url: str) -> list[list[Recording]]:
    answers: list[list[Recording]] = []

    async def run(name: str) -> None:
        command = [sys.executable, "-c", _PROGRAM, url, name, "40"]
        environment = {"PYTHONPATH": ":".join(sys.path)}
        done = await trio.run_process(command, capture_stdout=True, env=environment)
        answers.append(json.loads(done.stdout))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, "one")
            nursery.start_soon(run, "two")
    return answers


async def test_sync_of_two_processes_at_once_adds_each_source_once(database: str) -> None:
    specs = [spec(f"source{number}") for number in range(50)]
    added: list[str] = []

    async def sync() -> None:
        async with open_at(database) as store:
            added.extend((await store.sync_sources(specs)).added)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(sync)
    assert sorted(added) == sorted(one.name for one in specs)
