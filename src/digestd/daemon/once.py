"""`--once`: poll the sources that are due, one time, drain extraction, and say what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from digestd.config import Configuration
from digestd.daemon.collecting import settle
from digestd.daemon.ending import Ending, expected_alone
from digestd.daemon.pipeline import Pipeline, open_pipeline, tell_started, tell_stopped
from digestd.daemon.retention import Retention
from digestd.ingest.poll import PollResult
from digestd.ingest.source import CRASHED, SourceLife
from digestd.metrics import Metrics
from digestd.model import Failure, SourceStatus
from digestd.store import Gone, Wait

TIDYING_SECONDS = 10.0
"""How long `--once` deletes at most, at its end."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sources `--once` polls: those due; `names`, due or not; or `everything`. At most `limit`, those first that
    are due longest."""

    names: tuple[str, ...] = ()
    everything: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What `--once` did: how many sources were to be polled, the totals, each failure by source name, and why others
    were not polled."""

    sources: int
    totals: Mapping[str, Any]
    failures: Mapping[str, Failure] = field(default_factory=dict)
    not_polled: Mapping[str, str] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def every_source_failed(self) -> bool:
        """Whether there was something to poll and all of it failed."""
        return self.sources > 0 and len(self.failures) == self.sources


class Watcher:
    """Who follows a run of `--once`; this one does not."""

    def begins(self, sources: int) -> None:
        """`sources` are going to be polled."""

    def polled(self, result: PollResult) -> None:
        """One of them was."""

    def extracted(self, outcome: str) -> None:
        """An attempt at an article's page ended: `done`, `failed`, `skipped`, `retry` or `put_off`."""


async def once(
    config: Configuration, environ: Mapping[str, str], selection: Selection, watcher: Watcher
) -> Summary:
    """Poll the sources of `selection` once each, read the pages of articles until none is due (with named sources: of
    theirs), delete what retention lets go, and return what happened.

    Error handling and cancellation as in :func:`digestd.daemon.serve.serve`.
    """
    with expected_alone():
        return await _once(config, environ, selection, watcher)
    raise AssertionError("expected_alone raises what it catches")


async def _once(
    config: Configuration, environ: Mapping[str, str], selection: Selection, watcher: Watcher
) -> Summary:
    ending = Ending(config.settings.worker.shutdown_grace_seconds)
    metrics = Metrics(trio.current_time())
    results = _Results(watcher)
    chosen: list[SourceStatus] = []
    async with trio.open_nursery() as services:
        await services.start(ending.watch)
        with ending.hurry:
            async with open_pipeline(config, environ, ending, metrics, watcher.extracted) as pipeline:
                settle(collected=False)
                if pipeline is not None:
                    chosen = choose(pipeline.statuses, selection)
                    if chosen:
                        pipeline.around.hosts.prepare()
                    tell_started(config, environ, len(chosen))
                    watcher.begins(len(chosen))
                    await _poll_each(chosen, selection, pipeline, ending, results)
                    if not selection.names:
                        await _tidy(config, pipeline, ending)
        services.cancel_scope.cancel()
    tell_stopped(metrics, trio.current_time())
    totals = metrics.summary(trio.current_time())
    interrupted = ending.shutdown.begun.is_set()
    return Summary(len(chosen), totals, results.failures, results.not_polled, interrupted)


async def _tidy(config: Configuration, pipeline: Pipeline, ending: Ending) -> None:
    """Retention, for who runs nothing but `--once`; what takes longer is left to the next run."""
    shutdown = ending.shutdown
    retention = Retention(
        config.settings.retention, pipeline.store, shutdown, pipeline.around.chance, pipeline.around.crashes
    )
    with shutdown.idle(), trio.move_on_after(TIDYING_SECONDS):
        await retention.once()


def choose(statuses: Sequence[SourceStatus], selection: Selection) -> list[SourceStatus]:
    """The sources of `selection` among `statuses`, the longest due (or never polled) first."""
    longest_first = sorted(statuses, key=lambda s: -1e18 if s.due_in_seconds is None else s.due_in_seconds)
    if selection.names:
        wanted = [s for s in longest_first if s.source.name in selection.names]
    elif selection.everything:
        wanted = longest_first
    else:
        wanted = [s for s in longest_first if (s.due_in_seconds or 0) <= 0]
    return wanted[: selection.limit]


class _Results:
    """Gathers what became of each source."""

    def __init__(self, watcher: Watcher) -> None:
        self.failures: dict[str, Failure] = {}
        self.not_polled: dict[str, str] = {}
        self._watcher = watcher

    def add(self, name: str, answer: PollResult | Wait | Gone | None) -> None:
        """Note `answer` for the source called `name`; None is a shutdown that came first."""
        result = answer if isinstance(answer, PollResult) else PollResult(name, None, 0, failing=False)
        if result.outcome == "failed" and result.failure is not None:
            self.failures[name] = result.failure
        elif result.outcome is None:
            self.not_polled[name] = _why_not(answer)
        self._watcher.polled(result)


def _why_not(answer: PollResult | Wait | Gone | None) -> str:
    if isinstance(answer, PollResult):
        return answer.failure.message if answer.failure else "another process took it over"
    if isinstance(answer, Gone):
        return f"it is {answer.reason}"
    if isinstance(answer, Wait):
        return _WAITS.get(answer.reason, answer.reason).format(seconds=answer.seconds)
    return "interrupted"


_WAITS = {
    "leased": "another process polls it just now",
    "not_due": "another process has polled it meanwhile",
    "paused": "its host wants to be left alone for another {seconds:.0f} s",
    "unfinished_claims": "it may be crashing digestd, and is put off for {seconds:.0f} s",
}


async def _poll_each(
    chosen: Sequence[SourceStatus],
    selection: Selection,
    pipeline: Pipeline,
    ending: Ending,
    results: _Results,
) -> None:
    force = bool(selection.names) or selection.everything

    async def poll(status: SourceStatus) -> None:
        life = SourceLife(status, pipeline.around)
        answer: PollResult | Wait | Gone | None = None
        try:
            answer = await life.once(force=force)
        # The border round one source, as in the supervisor: its bug is its failure, and nobody else's.
        except* Exception as bug:  # noqa: BLE001 - see above
            now = trio.current_time()
            pipeline.around.crashes.tell(CRASHED, bug, subject=life.subject, now=now, source=life.name)
            failure = Failure("bug", "a bug in digestd or in its kind; see the log")
            answer = PollResult(life.name, "failed", 0, failing=True, failure=failure)
        results.add(life.name, answer)

    async with trio.open_nursery() as sources:
        sources.start_soon(ending.bound_by_grace, sources.cancel_scope)
        async with trio.open_nursery() as work:
            polled = trio.Event()
            if pipeline.extraction is not None:
                # Who asked for single sources wants to see these.
                its = [status.source.id for status in chosen] if selection.names else None
                work.start_soon(pipeline.extraction.drain, polled, its, name="extraction")
            async with trio.open_nursery() as polls:
                for status in chosen:
                    polls.start_soon(poll, status, name=f"source {status.source.name}")
            polled.set()
            pipeline.bell.ring()
        sources.cancel_scope.cancel()
    ending.tell_if_cut_off()
