"""Several processes on one queue of extraction, and random lives of it on several stores."""

from __future__ import annotations

import json
import sys
from collections import Counter

import pytest
import trio

from digestd.store import PageClaims, PageQueue, PageRecorded
from store.builders import aged, done, polled
from store.conftest import bench_at, open_at

# Each process claims until nothing is left, and says what it claimed and what became of it.
_PROGRAM = """
import hashlib, json, sys, trio
from digestd.model import Page
from digestd.store import PageRecord, PageRecorded
from digestd.store.owner import current_owner
from digestd.store.sql import open_store

url = sys.argv[1]

def record(claim):
    text = f"the text of {claim.title} by {current_owner()}"
    page = Page(text, hashlib.sha256(text.encode()).hexdigest(), claim.url)
    return PageRecord(claim.article_id, claim.attempt, "done", 0, page=page)

async def main():
    claimed = []
    async with open_store(url, owner=current_owner(), pool_size=2, connect_timeout_seconds=5) as store:
        while True:
            answer = await store.claim_pages(7, 60)
            if not answer.claims and answer.due_in_seconds is None:
                break
            claimed += [claim.article_id for claim in answer.claims]
            answers = await store.record_pages([record(claim) for claim in answer.claims])
            assert answers == [PageRecorded()] * len(answer.claims), answers
            await trio.sleep(0 if answer.claims else 0.01)
    print(json.dumps(claimed))

trio.run(main)
"""


@pytest.mark.slow
async def test_two_processes_share_one_queue(database: str) -> None:
    async with open_at(database) as store:
        entries = {name: [aged(hours, f"{name} {hours}") for hours in range(60)] for name in "abcde"}
        await polled(store, **entries)
    with trio.fail_after(60):
        claimed = await _run(database, 2)
    assert all(claimed)
    times = Counter(article_id for ids in claimed for article_id in ids)
    assert len(times) == 300
    assert set(times.values()) == {1}
    async with bench_at(database) as bench:
        assert await bench.store.page_queue() == PageQueue(0, 0, None)
        assert {row["extraction"] for row in bench.articles()} == {"done"}


async def _run(url: str, processes: int) -> list[list[int]]:
    answers: list[list[int]] = []

    async def run() -> None:
        environment = {"PYTHONPATH": ":".join(sys.path)}
        command = [sys.executable, "-c", _PROGRAM, url]
        ended = await trio.run_process(command, capture_stdout=True, env=environment)
        answers.append(json.loads(ended.stdout))

    async with trio.open_nursery() as nursery:
        for _ in range(processes):
            nursery.start_soon(run)
    return answers


async def test_claims_at_one_moment_are_disjoint(database: str) -> None:
    claims: list[PageClaims] = []

    async def claim() -> None:
        async with open_at(database) as store:
            claims.append(await store.claim_pages(5, 60))

    async with open_at(database) as store:
        await polled(
            store, **{name: [aged(hours, f"{name} {hours}") for hours in range(30)] for name in "abc"}
        )
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(claim)
        ids = [claim.article_id for answer in claims for claim in answer.claims]
        assert len(ids) == len(set(ids)) == 20
        everything = [claim for answer in claims for claim in answer.claims]
        answers = await store.record_pages([done(claim) for claim in everything])
        assert answers == [PageRecorded()] * 20
