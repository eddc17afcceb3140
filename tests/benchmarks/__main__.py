"""Run the benchmarks: `python tests/benchmarks --help`. See docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import cold, extraction, loop, scale, start, unchanged
from benchmarks.bench import Bench
from benchmarks.digestd_runs import Edition, pinned_environment
from benchmarks.peers import reader_python
from benchmarks.results import Results

BENCHMARKS: dict[str, Callable[[Bench], None]] = {
    "cold": cold.measure,
    "unchanged": unchanged.measure,
    "spread": unchanged.measure_spread,
    "loop": loop.measure,
    "start": start.measure,
    "extraction": extraction.measure,
    "small": scale.measure_small,
    "scale": scale.measure,
}


def main() -> None:
    """Measure what the arguments say, and print a table; everything is in the JSON file, too."""
    given = _arguments()
    results = Results(pinned_environment())
    with tempfile.TemporaryDirectory(prefix="digestd-bench-") as temporary:
        folder = Path(temporary)
        bench = Bench(
            results=results,
            folder=folder,
            editions=_editions(given.against),
            rounds=given.rounds or (1 if given.quick else 3),
            quick=given.quick,
            feeds=given.feeds,
            pages=given.pages,
            reader=None
            if given.no_peers or given.no_reader
            else reader_python(given.reader or folder / "reader"),
            sources=given.sources,
            minutes=given.minutes,
            postgres=not given.no_postgres,
            peers=not given.no_peers,
        )
        for name in given.only or BENCHMARKS:
            print(f"{name} …", file=sys.stderr, flush=True)
            BENCHMARKS[name](bench)
            results.write(given.json)
    print(results.table())


def _editions(against: list[str]) -> tuple[Edition, ...]:
    others = (one.partition("=") for one in against)
    return (Edition(), *(Edition(name, Path(source).resolve()) for name, _, source in others))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks", description="Measure digestd beside its peers."
    )
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="this one (repeatable)")
    parser.add_argument("--quick", action="store_true", help="small numbers, one round: to see that it works")
    parser.add_argument("--rounds", type=int, help="how often everything is done (3)")
    parser.add_argument("--feeds", type=Path, help="a folder of real feeds for `cold`")
    parser.add_argument("--pages", type=Path, help="a folder of real pages (*.html.gz) for `extraction`")
    parser.add_argument(
        "--against", action="append", default=[], metavar="NAME=SRC", help="another digestd's src/"
    )
    parser.add_argument("--sources", type=int, default=100_000, help="for `scale`")
    parser.add_argument("--minutes", type=float, default=3.0, help="for `scale`, on each database")
    parser.add_argument("--no-postgres", action="store_true", help="SQLite alone")
    parser.add_argument("--no-peers", action="store_true", help="digestd alone")
    parser.add_argument(
        "--no-reader", action="store_true", help="without lemon24/reader, which pip has to install"
    )
    parser.add_argument(
        "--reader", type=Path, help="where lemon24/reader is, or goes (a folder of its own each time)"
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    main()
