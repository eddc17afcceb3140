"""`--once`: poll the sources that are due, one time, drain extraction, and say what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import trio

from digestd import kinds
from digestd.config import Configuration
from digestd.daemon.collecting import settle
from digestd.daemon.ending import Ending, expected_alone
from digestd.daemon.opening import Known, open_known, tell_started, tell_stopped
from digestd.daemon.retention import Retention
from digestd.errors import StoreUnavailable
from digestd.metrics import Metrics
from digestd.model import Failure, SourceStatus

if TYPE_CHECKING:
    from digestd.ingest.poll import PollResult

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


@dataclass(slots=True)
class Round:
    """What became of the sources that were to be polled: how many they were, and as in :class:`Summary`."""

    sources: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)
    not_polled: dict[str, str] = field(default_factory=dict)


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
    done = Round()
    async with trio.open_nursery() as services:
        await services.start(ending.watch)
        with ending.hurry:
            async with open_known(config, environ, ending, metrics) as known:
                settle(collected=False)
                if known is not None:
                    if await _nothing_to_do(config, known, selection, metrics):
                        tell_started(config, environ, 0)
                        watcher.begins(0)
                    else:
                        # Not with the module: what fetches and reads takes as long to import as all the rest of a run
                        # that finds nothing to do. That it is there was seen at start (digestd.daemon.packages).
                        from digestd.daemon.round import go_round

                        await go_round(config, environ, known, ending, metrics, selection, watcher, done)
                    if not selection.names:
                        await _tidy(config, known, ending)
        services.cancel_scope.cancel()
    tell_stopped(metrics, trio.current_time())
    totals = metrics.summary(trio.current_time())
    interrupted = ending.shutdown.begun.is_set()
    return Summary(done.sources, totals, done.failures, done.not_polled, interrupted)


async def _nothing_to_do(config: Configuration, known: Known, selection: Selection, metrics: Metrics) -> bool:
    """Whether no source is to be polled and no page to be read; False where that is not sure."""
    # Kinds of others are built to see whether they can be, and told if they cannot.
    used = {status.source.spec.kind for status in known.statuses}
    if choose(known.statuses, selection) or not kinds.are_ours(used):
        return False
    if config.settings.extract.enabled:
        try:
            queue = await known.store.page_queue()
        except StoreUnavailable:
            return False
        metrics.pages_pending, metrics.pages_oldest_seconds = queue.pending, queue.oldest_seconds
        return queue.pending == 0
    return True


async def _tidy(config: Configuration, known: Known, ending: Ending) -> None:
    """Retention, for who runs nothing but `--once`; what takes longer is left to the next run."""
    shutdown = ending.shutdown
    chance = Random()  # noqa: S311 - jitter is no secret
    retention = Retention(config.settings.retention, known.store, shutdown, chance)
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
