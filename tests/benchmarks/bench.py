"""What every benchmark is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.digestd_runs import Edition
from benchmarks.results import Results


@dataclass(frozen=True, slots=True)
class Bench:
    """The `editions` of digestd to be measured, the first being what others are compared with; a `folder` for what is
    written; how often everything is done (`rounds`). `feeds` is a folder of real feeds and `pages` one of real pages,
    where there is one; made-up ones are used else. `reader` is the Python of an environment with lemon24/reader.
    `sources` is how many the benchmark of scale has."""

    results: Results
    folder: Path
    editions: tuple[Edition, ...]
    rounds: int
    quick: bool
    feeds: Path | None = None
    pages: Path | None = None
    reader: Path | None = None
    sources: int = 100_000
    minutes: float = 3.0
    postgres: bool = True
    peers: bool = True
    hosts: int = 16
    _count: list[int] = field(default_factory=list)

    def place(self, name: str) -> Path:
        """A folder that nobody has used."""
        self._count.append(0)
        return self.folder / f"{len(self._count)}-{name.replace(' ', '-')}"
