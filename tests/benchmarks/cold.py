"""Every feed for the first time: processor time and time on the clock, start-up not counted, beside the peers."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.digestd_runs import Installation
from benchmarks.peers import installed
from benchmarks.serving import Served, open_server

FEEDS = 200
_QUICK_FEEDS = 40


def measure(bench: Bench) -> None:
    """Fetch the real feeds of `bench.feeds`, or made-up ones, ten at a time."""
    count = _QUICK_FEEDS if bench.quick else FEEDS
    with open_server(hosts=bench.hosts, folder=bench.feeds, entries=25, entry_bytes=4_000) as served:
        for _ in range(bench.rounds):
            _round(bench, served, served.files(bench.feeds) if bench.feeds else served.urls("feed", count))


def _round(bench: Bench, served: Served, urls: list[str]) -> None:
    name = f"{len(urls)} {'real' if bench.feeds else 'made-up'} feeds"
    cpu = bench.results.figure("cold", f"CPU, {name}", "s")
    wall = bench.results.figure("cold", f"wall, {name}", "s")
    for edition in bench.editions:
        place = Installation(edition, bench.place("cold"), urls)
        whole, idle = place.once(), place.start_up()
        cpu.add(edition.name, whole.cpu - idle.cpu)
        wall.add(edition.name, whole.wall - idle.wall)
    if not bench.peers:
        return
    found, missing = installed(bench.place("peers"), urls, bench.reader)
    bench.results.note(*missing)
    for peer in found:
        idle, whole = peer.start_up(), peer.update()
        cpu.add(peer.name, whole.cpu - idle.cpu)
        wall.add(peer.name, whole.wall - idle.wall)
