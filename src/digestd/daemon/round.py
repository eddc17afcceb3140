"""The round of `--once`: each source that is due is polled one time, and pages are read until none is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from digestd.config import Configuration
from digestd.daemon.ending import Ending
from digestd.daemon.once import Round, Selection, Watcher, choose
from digestd.daemon.opening import Known, tell_started
from digestd.daemon.pipeline import Pipeline, open_pipeline
from digestd.ingest.poll import PollResult
from digestd.ingest.source import CRASHED, SourceLife
from digestd.metrics import Metrics
from digestd.model import Failure, SourceStatus
from digestd.store import Gone, Wait


async def go_round(
    config: Configuration,
    environ: Mapping[str, str],
    known: Known,
    ending: Ending,
    metrics: Metrics,
    selection: Selection,
    watcher: Watcher,
    done: Round,
) -> None:
    """Poll the sources of `selection` among those `known`, and note in `done` what became of them."""
    async with open_pipeline(config, known, ending, metrics, watcher.extracted) as pipeline:
        chosen = choose(pipeline.statuses, selection)
        done.sources = len(chosen)
        if chosen:
            pipeline.around.hosts.prepare()
        tell_started(config, environ, len(chosen))
        watcher.begins(len(chosen))
        await _poll_each(chosen, selection, pipeline, ending, _Results(done, watcher))


class _Results:
    """Gathers in `done` what became of each source."""

    def __init__(self, done: Round, watcher: Watcher) -> None:
        self._done = done
        self._watcher = watcher

    def add(self, name: str, answer: PollResult | Wait | Gone | None) -> None:
        """Note `answer` for the source called `name`; None is a shutdown that came first."""
        result = answer if isinstance(answer, PollResult) else PollResult(name, None, 0, failing=False)
        if result.outcome == "failed" and result.failure is not None:
            self._done.failures[name] = result.failure
        elif result.outcome is None:
            self._done.not_polled[name] = _why_not(answer)
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
