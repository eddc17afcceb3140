"""`--once`: poll the sources that are due, one time, and say what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from digestd.config import Configuration
from digestd.daemon.ending import Ending, expected_alone
from digestd.daemon.pipeline import Pipeline, open_pipeline, tell_started, tell_stopped
from digestd.ingest.poll import PollResult
from digestd.ingest.source import SourceLife
from digestd.log import get_logger
from digestd.metrics import Metrics
from digestd.model import Failure, SourceStatus


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sources `--once` polls: those due; `names`, due or not; or `everything`. At most `limit`, those first that
    are due longest."""

    names: tuple[str, ...] = ()
    everything: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What `--once` did: how many sources were to be polled, the totals, and each failure by source name."""

    sources: int
    totals: Mapping[str, Any]
    failures: Mapping[str, Failure] = field(default_factory=dict)
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


async def once(
    config: Configuration, environ: Mapping[str, str], selection: Selection, watcher: Watcher
) -> Summary:
    """Poll the sources of `selection` once each and return what happened.

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
    failures: dict[str, Failure] = {}
    chosen: list[SourceStatus] = []
    async with trio.open_nursery() as services:
        await services.start(ending.watch)
        with ending.hurry:
            async with open_pipeline(config, environ, ending, metrics) as pipeline:
                if pipeline is not None:
                    chosen = choose(pipeline.statuses, selection)
                    tell_started(config, environ, len(chosen))
                    watcher.begins(len(chosen))
                    await _poll_each(chosen, selection, pipeline, ending, watcher, failures)
        services.cancel_scope.cancel()
    tell_stopped(metrics, trio.current_time())
    totals = metrics.summary(trio.current_time())
    return Summary(len(chosen), totals, failures, interrupted=ending.shutdown.begun.is_set())


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


async def _poll_each(
    chosen: Sequence[SourceStatus],
    selection: Selection,
    pipeline: Pipeline,
    ending: Ending,
    watcher: Watcher,
    failures: dict[str, Failure],
) -> None:
    force = bool(selection.names) or selection.everything

    async def poll(status: SourceStatus) -> None:
        life = SourceLife(status, pipeline.around)
        result: PollResult | None = None
        try:
            answer = await life.once(force=force)
            result = (
                answer if isinstance(answer, PollResult) else PollResult(life.name, None, 0, failing=False)
            )
        # The border round one source, as in the supervisor: its bug is its failure, and nobody else's.
        except* Exception as bug:  # noqa: BLE001 - see above
            get_logger().error("worker.source.crashed", source=life.name, exc_info=bug)
            failure = Failure("bug", "a bug in digestd or in its kind; see the log")
            result = PollResult(life.name, "failed", 0, failing=True, failure=failure)
        if result is not None:
            if result.failure is not None:
                failures[life.name] = result.failure
            watcher.polled(result)

    async with trio.open_nursery() as sources:
        sources.start_soon(ending.bound_by_grace, sources.cancel_scope)
        async with trio.open_nursery() as polls:
            for status in chosen:
                polls.start_soon(poll, status, name=f"source {status.source.name}")
        sources.cancel_scope.cancel()
