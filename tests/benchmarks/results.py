"""What benchmarks find: values by subject, round by round, as JSON and as tables with ratios."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(slots=True)
class Figure:
    """One measured thing: for each subject its values, one a round; the first subject is what others are compared with.

    `required` and `aim` are upper bounds.
    """

    benchmark: str
    name: str
    unit: str
    required: float | None = None
    aim: float | None = None
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, subject: str, value: float) -> None:
        """Note `value` of `subject` for this round."""
        self.values.setdefault(subject, []).append(value)

    def ratio(self, subject: str) -> float | None:
        """How many times as much `subject` takes as the first one: the median of the ratios of each round."""
        first = next(iter(self.values.values()))
        ratios = [other / own for other, own in zip(self.values[subject], first, strict=False) if own > 0]
        return median(ratios) if ratios else None


@dataclass(slots=True)
class Results:
    """The figures of one run, and `notes` of what was not run."""

    machine: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def figure(
        self, benchmark: str, name: str, unit: str, *, required: float | None = None, aim: float | None = None
    ) -> Figure:
        """The figure with this name, begun where it is new."""
        for one in self.figures:
            if (one.benchmark, one.name) == (benchmark, name):
                return one
        self.figures.append(Figure(benchmark, name, unit, required, aim))
        return self.figures[-1]

    def note(self, *lines: str) -> None:
        """Say `lines` once each below the tables."""
        self.notes = list(dict.fromkeys([*self.notes, *lines]))

    def write(self, path: Path) -> None:
        """Write everything to `path` as JSON."""
        path.write_text(json.dumps(self._plain(), indent=1) + "\n")

    def _plain(self) -> dict[str, Any]:
        figures = [
            {
                "benchmark": one.benchmark,
                "name": one.name,
                "unit": one.unit,
                "required": one.required,
                "aim": one.aim,
                "subjects": {
                    subject: {"values": values, "median": median(values), "ratio": one.ratio(subject)}
                    for subject, values in one.values.items()
                },
            }
            for one in self.figures
        ]
        return {"machine": self.machine, "figures": figures, "notes": self.notes}

    def table(self) -> str:
        """Everything as a table in Markdown."""
        lines = [
            "| | subject | median | least to most | times the first | required, aim |",
            "|---|---|---|---|---|---|",
        ]
        for one in self.figures:
            lines += _rows(one)
        return "\n".join([*lines, "", f"Measured on {self.machine}.", *self.notes])


def _rows(figure: Figure) -> Iterable[str]:
    bounds = [f"{bound:g}" for bound in (figure.required, figure.aim) if bound is not None]
    label = f"{figure.benchmark}: {figure.name}, {figure.unit}"
    for subject, values in figure.values.items():
        ratio = figure.ratio(subject)
        times = "" if ratio is None else f"{ratio:.2f}"
        spread = f"{_shown(min(values))} to {_shown(max(values))}"
        yield f"| {label} | {subject} | {_shown(median(values))} | {spread} | {times} | {', '.join(bounds)} |"
        label, bounds = "", []


def _shown(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
