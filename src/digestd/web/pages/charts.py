"""The throughput of the last hours as small bar charts: their geometry, and the same in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from digestd.store.overview import PollCounts
from digestd.web.pages.board import Hour

WIDTH = 240.0
HEIGHT = 48.0
_GAP = 2.0
_LEAST = 1.5
"""A bar that stands for anything at all can be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in units of :data:`WIDTH` and :data:`HEIGHT`, from the left and the top, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its name, what all its bars stand for, and what it shows in a sentence."""

    key: str
    title: str
    total: str
    words: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class HourRow:
    """The numbers of one hour, for who does not see the charts."""

    hour: str
    stamp: str
    new: str
    brought: str
    failed: str


def charts(hours: Sequence[Hour]) -> list[Chart]:
    """What the last `hours` brought: articles, polls that brought some, and polls that failed."""
    return [
        _chart("new", "New articles", hours, _new),
        _chart("brought", "Polls that brought articles", hours, _brought),
        _chart("failed", "Polls that failed", hours, _failed),
    ]


def hour_rows(hours: Sequence[Hour]) -> list[HourRow]:
    """The same as a table, the latest hour first."""
    return [
        HourRow(
            f"{hour.since:%H}:00",
            hour.since.isoformat(timespec="seconds"),
            *(
                "not counted yet" if hour.polls is None else f"{value(hour.polls):,}"
                for value in (_new, _brought, _failed)
            ),
        )
        for hour in reversed(hours)
    ]


def _new(polls: PollCounts) -> int:
    return polls.articles_new


def _brought(polls: PollCounts) -> int:
    return polls.brought


def _failed(polls: PollCounts) -> int:
    return polls.failed


def _chart(key: str, title: str, hours: Sequence[Hour], value: Callable[[PollCounts], int]) -> Chart:
    values = [None if hour.polls is None else value(hour.polls) for hour in hours]
    counted = [number for number in values if number is not None]
    most = max(counted, default=0)
    total = f"{sum(counted):,}" + ("" if len(counted) == len(values) else " so far")
    words = f"{title} in the last {len(hours)} hours: {total}"
    if most:
        peak = hours[values.index(most)].since
        words += f"; most in the hour from {peak:%H}:00 UTC: {most:,}"
    slot = WIDTH / max(1, len(hours))
    bars = tuple(
        _bar(place * slot, slot - _GAP, number, most, f"{hour.since:%H}:00 UTC: {number:,}")
        for place, (hour, number) in enumerate(zip(hours, values, strict=True))
        if number
    )
    return Chart(key, title, total, words, bars)


def _bar(x: float, width: float, number: int, most: int, words: str) -> Bar:
    height = max(_LEAST, HEIGHT * number / most)
    return Bar(round(x, 2), round(HEIGHT - height, 2), round(width, 2), round(height, 2), words)
