"""What commands that take long have in common: how far they are, and their end before it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from digestd.store.copying import Progress as Told


@contextlib.contextmanager
def cleaning_up_on_signals() -> Iterator[None]:
    """Let a signal unwind what was begun, and end with 128 and its number: half of it is no success."""
    with _signals_ending_by(sys.exit):
        yield


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Let a signal end the process at once, with 128 and its number: for what is one transaction, of which nothing is
    to be cleaned up, and which did not succeed."""
    with _signals_ending_by(os._exit):
        yield


@contextlib.contextmanager
def _signals_ending_by(end: Callable[[int], object]) -> Iterator[None]:
    def handle(number: int, _frame: object) -> None:
        end(128 + number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def bar() -> Iterator[Told]:
    """A progress bar on stderr where it is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    terminal = sys.stderr is not None and sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not terminal) as progress:
        task = progress.add_task("looking", total=None)

        def told(what: str, done: int, total: int) -> None:
            # Of how much is not always known.
            progress.update(task, description=what, completed=done, total=total or None)

        yield told
