"""Pages an hour: one process and two, and what digestd adds to trafilatura alone."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import sys
import time
from collections.abc import Sequence

import trio

from benchmarks import documents
from benchmarks.bench import Bench
from benchmarks.usage import cpu_seconds, run
from digestd.errors import SourceError
from digestd.ingest.workers.pool import open_reader

_ALONE = """
import pickle, sys, time
from trafilatura import bare_extraction
pages = pickle.load(open(sys.argv[1], "rb"))
began = time.process_time()
for page in pages:
    bare_extraction(page, fast=True, include_comments=False, output_format="txt")
print(time.process_time() - began)
"""


def measure(bench: Bench) -> None:
    """Read the pages of `bench.pages` (gzipped HTML), or made-up ones."""
    pages = _pages(bench)
    for _ in range(bench.rounds):
        _round(bench, pages)


def _pages(bench: Bench) -> list[bytes]:
    if bench.pages is None:
        return [documents.page(100_000 + number) for number in range(60 if bench.quick else 200)]
    found = [gzip.decompress(path.read_bytes()) for path in sorted(bench.pages.rglob("*.html.gz"))]
    return found[: 60 if bench.quick else None]


def _round(bench: Bench, pages: Sequence[bytes]) -> None:
    wall = bench.results.figure("extraction", "wall", "ms a page")
    cpu = bench.results.figure("extraction", "CPU", "ms a page")
    one, two = (trio.run(_read_all, pages, processes) for processes in (1, 2))
    alone = _trafilatura_alone(bench, pages)
    for subject, seconds in (("two processes", two), ("one process", one)):
        wall.add(subject, 1_000 * seconds[0] / len(pages))
    for subject, value in (("digestd", one[1]), ("trafilatura alone", alone)):
        cpu.add(subject, 1_000 * value / len(pages))


async def _read_all(pages: Sequence[bytes], processes: int) -> tuple[float, float]:
    """Seconds on the clock, and of processors, for all of `pages`; the workers' start is not counted."""
    async with open_reader(processes, 30.0) as read:

        async def one(page: bytes) -> None:
            try:
                await read(page, "https://news.example/a", "text/html", feed_html="", title="")
            except SourceError:
                # Some pages hold no article.
                return

        async with trio.open_nursery() as warming:
            for page in pages[:processes]:
                warming.start_soon(one, page)
        began, cpu = time.perf_counter(), cpu_seconds(os.getpid())
        async with trio.open_nursery() as nursery:
            for page in pages:
                nursery.start_soon(one, page)
        return time.perf_counter() - began, cpu_seconds(os.getpid()) - cpu
    raise AssertionError("nothing leaves the block otherwise")


def _trafilatura_alone(bench: Bench, pages: Sequence[bytes]) -> float:
    folder = bench.place("alone")
    folder.mkdir(parents=True)
    (folder / "pages").write_bytes(pickle.dumps(list(pages)))
    used = run([sys.executable, "-c", _ALONE, "pages"], cwd=folder, env={}, stderr=folder / "stderr.log")
    seconds: float = json.loads(used.stdout)
    return seconds
