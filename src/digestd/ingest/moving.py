"""Where sources move to: what a failure makes of it, and what the log says."""

from __future__ import annotations

from digestd.feed import moving
from digestd.feed.moving import Moved
from digestd.log import get_logger
from digestd.masking import mask_url
from digestd.model import PollState, Source, Step
from digestd.store import Recorded, StepRecord


def moved_by(source: Source, step: Step, next_state: PollState, *, counts: bool) -> Moved:
    """What is to be written of where `source` leads after `step`, which leaves `next_state`, and `counts` against it
    where it failed."""
    if step.failure is None:
        return Moved(next_state, step.effective_url)
    if not counts:
        return Moved(next_state)
    return moving.after_failure(next_state, step.failure, adopted=source.effective_url is not None)


def tell_moved(source: Source, record: StepRecord, answer: Recorded) -> None:
    """Log what the store made of the URL that `record` of a step of `source` brings."""
    if answer.moved:
        get_logger().info(
            "worker.source.moved",
            url_before=mask_url(source.url),
            url=mask_url(record.effective_url or source.spec.url),
            cause="permanent redirect" if record.succeeded else record.last_error,
        )
    for duplicate in answer.duplicates:
        get_logger().warning(
            "worker.source.duplicate",
            paused=duplicate.paused,
            kept=duplicate.kept,
            url=mask_url(record.effective_url or ""),
            effect="the paused one is not polled",
            remedy="take one of the two out, or poll both: digestd sources enable NAME",
        )
