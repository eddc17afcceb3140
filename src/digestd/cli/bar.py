"""The progress bar of `--once`."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from digestd.daemon.once import Watcher
from digestd.ingest.poll import PollResult


class Bar(Watcher):
    """A progress bar on stderr; log lines written meanwhile appear above it."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("polling"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(
                "{task.fields[news]} new, {task.fields[failed]} failed, {task.fields[pages]} pages read"
            ),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
        )
        self._task: TaskID = self._progress.add_task("polling", total=None, news=0, failed=0, pages=0)
        self._news = self._failed = self._pages = 0

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begins(self, sources: int) -> None:
        """See :class:`digestd.daemon.once.Watcher`."""
        self._progress.update(self._task, total=sources)

    def polled(self, result: PollResult) -> None:
        """See :class:`digestd.daemon.once.Watcher`."""
        self._news += result.articles_new
        self._failed += result.outcome == "failed"
        self._progress.update(self._task, advance=1, news=self._news, failed=self._failed)

    def extracted(self, outcome: str) -> None:
        """See :class:`digestd.daemon.once.Watcher`."""
        self._pages += outcome == "done"
        self._progress.update(self._task, pages=self._pages)
