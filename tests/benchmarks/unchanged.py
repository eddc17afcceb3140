"""Polls that bring nothing: 304 back to back and spread out, and the same body again without validators."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.digestd_runs import Edition, Installation, cpu_while
from benchmarks.peers import Peer, installed
from benchmarks.results import Figure
from benchmarks.serving import Served, open_server

_POLLS_A_SECOND = 333
# Small: made once, and then only asked for.
_ENTRIES, _ENTRY_BYTES = 3, 300


def measure(bench: Bench) -> None:
    """304 back to back, beside the peers, and bodies without validators."""
    count = 400 if bench.quick else 2_000
    with open_server(hosts=bench.hosts, entries=_ENTRIES, entry_bytes=_ENTRY_BYTES) as served:
        figure = bench.results.figure(
            "unchanged", "304, back to back, CPU", "ms a poll", required=0.8, aim=0.55
        )
        _back_to_back(bench, figure, served.urls("feed", count), with_peers=bench.peers)
    with open_server(hosts=bench.hosts, entries=20, entry_bytes=2_000) as served:
        figure = bench.results.figure("unchanged", "same body, CPU", "ms a poll", required=1.2, aim=0.8)
        _back_to_back(bench, figure, served.urls("bare", count), with_peers=False)


def measure_spread(bench: Bench) -> None:
    """304 as a daemon gets them: so many a second, evenly."""
    with open_server(hosts=bench.hosts, entries=_ENTRIES, entry_bytes=_ENTRY_BYTES) as served:
        figure = bench.results.figure(
            "spread", f"304, {_POLLS_A_SECOND} a second, CPU", "ms a poll", required=1.4, aim=0.9
        )
        for _ in range(bench.rounds):
            for edition in bench.editions:
                figure.add(edition.name, _spread(bench, edition, served))


def _back_to_back(bench: Bench, figure: Figure, urls: list[str], *, with_peers: bool) -> None:
    places = [Installation(edition, bench.place("unchanged"), urls) for edition in bench.editions]
    polls: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {}
    for place in places:
        place.once()
        polls[place.edition.name] = _cpu_of(place)
    for peer in _warmed(bench, urls) if with_peers else ():
        polls[peer.name] = _peer_cpu(peer)
    for _ in range(bench.rounds):
        for name, (work, idle) in polls.items():
            figure.add(name, 1_000 * (work() - idle()) / len(urls))


def _cpu_of(place: Installation) -> tuple[Callable[[], float], Callable[[], float]]:
    return lambda: place.once("--all").cpu, lambda: place.start_up().cpu


def _peer_cpu(peer: Peer) -> tuple[Callable[[], float], Callable[[], float]]:
    return lambda: peer.update().cpu, lambda: peer.start_up().cpu


def _warmed(bench: Bench, urls: list[str]) -> list[Peer]:
    found, missing = installed(bench.place("peers"), urls, bench.reader)
    bench.results.note(*missing)
    for peer in found:
        peer.update()
    return found


def _spread(bench: Bench, edition: Edition, served: Served) -> float:
    interval = 3 if bench.quick else 6
    seconds = 2 * interval if bench.quick else 4 * interval
    urls = served.urls("feed", interval * _POLLS_A_SECOND)
    place = Installation(edition, bench.place("spread"), urls, {"interval_seconds": interval})
    place.once()
    with place.daemon() as process:
        place.wait_for(process, "worker.started")
        # The first round is overdue as a whole; from the second one on each poll has its own moment.
        time.sleep(2 * interval)
        before = served.answered()
        cpu = cpu_while(process, seconds)
        return 1_000 * cpu / (served.answered() - before)
