"""What the log says of a poll that has ended."""

from __future__ import annotations

from digestd.log import get_logger, tells_debug
from digestd.model import Failure, Step
from digestd.store import StepRecord


def tell_ended(
    step: Step,
    record: StepRecord,
    failure: Failure | None,
    seconds: float,
    articles_new: int,
    articles_updated: int,
) -> None:
    """Log the end of a poll, whose last step was `step`, after so many seconds and articles: a failure as a warning,
    and what brought nothing for who debugs."""
    changed = articles_new or articles_updated
    if not (failure or changed or tells_debug()):
        return
    log = get_logger()
    report = log.warning if failure else log.info if changed else log.debug
    report(
        "worker.fetch.complete",
        outcome=step.outcome,
        duration_seconds=round(seconds, 6),
        articles_new=articles_new,
        articles_updated=articles_updated,
        bytes=step.body_bytes,
        next_in_seconds=round(record.next_delay_seconds, 3),
        schedule_reason=record.schedule_reason,
        **_failure_keys(failure, record),
    )


def _failure_keys(failure: Failure | None, record: StepRecord) -> dict[str, object]:
    if failure is None:
        remark = "degraded" if record.state == "degraded" else "remark"
        return {remark: record.last_error} if record.last_error else {}
    return {
        "cause": failure.cause,
        "error": failure.message[:500],
        "status": failure.status,
        "consecutive_failures": record.consecutive_failures,
    }
