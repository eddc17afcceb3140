"""What a step means for its source: when it is due again, whether it counts, what is written. Decides, and does
nothing."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from datetime import datetime

from digestd.config import WorkerSettings
from digestd.config.access import Access
from digestd.errors import BadURL, ConfigurationError, NotAFeed
from digestd.feed import gone, shape
from digestd.feed.schedule import (
    LONGEST_HINT_SECONDS,
    Rhythm,
    Schedule,
    after_deferral,
    after_failure,
    after_success,
    state_after,
    while_gone,
)
from digestd.feed.silence import labelled, silence
from digestd.ingest.moving import moved_by
from digestd.kinds import Kind
from digestd.model import Failure, PollState, Source, SourceSpec, Step
from digestd.store import Claim, Fetched, StepRecord

UNREACHED = frozenset({"dns", "connect"})
"""Causes that our own network can have as well as the source's."""
ANSWERED = frozenset({"http_status", "protocol", "too_large", "redirect", "tls", "not_a_feed", "parser"})
"""Causes that prove that the source's host answered."""
PUT_OFF = frozenset({"paused", "busy"})
"""Causes that are nobody's failure: the poll is put off."""

_FROM_FEED = "the source says content: feed"
_NOT_EXTRACTED = "extract.enabled is false"

_PUT_OFF_SECONDS = 60.0
_LONGEST_MESSAGE = 500


class RedactedBug(Exception):
    """A bug whose traceback, which is the message, told a secret."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many failures in a row a step makes of its source, when it comes back, what it leaves for the next, and
    whether the source is gone."""

    consecutive_failures: int
    schedule: Schedule
    next_state: PollState
    gone: bool = False


def judge(
    claim: Claim,
    step: Step,
    settings: WorkerSettings,
    *,
    now: datetime,
    chance: float,
    offline: bool,
    excused: bool = False,
) -> Verdict:
    """Judge `step` of the source of `claim`; `chance` from [0, 1) draws the jitter, `offline` tells that our own
    network is away, `excused` that the source's last failure was that already, and counted."""
    rhythm, failure = rhythm_of(claim.source.spec, settings), step.failure
    if failure is None:
        schedule = after_success(rhythm, step.hints, now, chance)
        return Verdict(0, schedule, gone.after_success(step.next_state))
    if is_put_off(step):
        seconds = failure.retry_after_seconds or _PUT_OFF_SECONDS
        schedule = Schedule(seconds + chance * min(rhythm.jitter, seconds), "put_off")
        return Verdict(claim.consecutive_failures, schedule, step.next_state)
    if failure.cause in UNREACHED and offline:
        schedule = after_deferral(rhythm.interval, rhythm.jitter, chance)
        counted = 0 if excused and claim.consecutive_failures == 1 else claim.consecutive_failures
        return Verdict(counted, schedule, step.next_state)
    failures = claim.consecutive_failures + 1
    farewell = gone.after_failure(step.next_state, failure, now)
    if farewell.gone:
        return Verdict(failures, while_gone(rhythm.interval, chance), farewell.state, gone=True)
    retry_after = failure.retry_after_seconds
    schedule = after_failure(failures, rhythm.interval, rhythm.jitter, chance, retry_after)
    return Verdict(failures, schedule, farewell.state)


def rhythm_of(spec: SourceSpec, settings: WorkerSettings) -> Rhythm:
    """How often the source of `spec` is to be polled: as it says itself, else as `settings` say. An interval of its own
    is no matter of choice, unless it says `adaptive`, too."""
    options = spec.options
    adaptive = options.get("adaptive")
    if not isinstance(adaptive, bool):
        adaptive = settings.adaptive and spec.interval_seconds is None
    longest_hint = options.get("longest_hint_seconds")
    if not isinstance(longest_hint, int | float):
        longest_hint = LONGEST_HINT_SECONDS
    return Rhythm(
        settings.interval_seconds if spec.interval_seconds is None else spec.interval_seconds,
        settings.jitter_seconds if spec.jitter_seconds is None else spec.jitter_seconds,
        (settings.adaptive_min_seconds, settings.adaptive_max_seconds) if adaptive else None,
        0.0 if options.get("hints") is False else longest_hint,
    )


def is_put_off(step: Step) -> bool:
    """Whether `step` is neither a success nor a failure."""
    return step.failure is not None and step.failure.cause in PUT_OFF


def record_of(
    claim: Claim,
    step: Step,
    verdict: Verdict,
    *,
    now: datetime,
    lease_seconds: float,
    final: bool,
    extract: bool,
    fetched: Fetched | None = None,
) -> StepRecord:
    """What to write of `step`; `final` gives the lease back, `extract` tells whether article pages are fetched at all,
    `fetched` is what the log of polls is told.
    A poll that ends with more to come is due at once."""
    failure, remark = step.failure, shape.remembered(step.next_state)
    misshapen = remark is not None or (failure is not None and _is_misshapen(failure))
    counts = verdict.consecutive_failures > claim.consecutive_failures
    moved = moved_by(claim.source, step, verdict.next_state, counts=counts)
    from_feed = claim.source.spec.options.get("content") == "feed"
    unfinished = step.more and failure is None
    return StepRecord(
        source_id=claim.source.id,
        token=claim.token,
        next_state=moved.state,
        succeeded=failure is None,
        consecutive_failures=verdict.consecutive_failures,
        state=state_after(verdict.consecutive_failures, misshapen=misshapen, gone=verdict.gone),
        schedule_reason=verdict.schedule.reason,
        next_delay_seconds=0.0 if unfinished and final else verdict.schedule.delay_seconds,
        lease_seconds=lease_seconds,
        entries=tuple(entry for document in step.documents for entry in document.entries),
        skip_pages=_FROM_FEED if from_feed else None if extract else _NOT_EXTRACTED,
        left_out=tuple(one for document in step.documents for one in document.left_out),
        last_error=_words(failure, f"shape: {remark}" if remark else _silence(step, now) or _remark(step)),
        final=final,
        effective_url=moved.effective_url,
        whole=step.whole and not step.more,
        fetched=fetched,
    )


def _is_misshapen(failure: Failure) -> bool:
    """Whether the source answers, but not with what a feed should be: 202 says that there is none yet."""
    return failure.cause == NotAFeed.cause or failure.status == 202


def _words(failure: Failure | None, remark: str | None) -> str | None:
    """What `digestd sources` says: of a failure first, as it is newer than what the last document looked like."""
    if failure is not None:
        return f"{failure.cause}: {failure.message}"[:_LONGEST_MESSAGE]
    return remark and remark[:_LONGEST_MESSAGE]


def _remark(step: Step) -> str | None:
    return step.remark and f"remark: {step.remark}"


def _silence(step: Step, now: datetime) -> str | None:
    words = silence(step.hints.newest_at, step.hints.gap_seconds, now)
    return words and labelled(words)


def late(state: PollState, limit: float) -> Step:
    """The step of a kind that did not end within `limit` seconds."""
    message = f"the poll did not end within {limit:g} s (worker.poll_timeout_seconds)"
    return Step(next_state=state, failure=Failure("timeout", message))


def unequipped(kind: Kind, source: Source, state: PollState, error: ConfigurationError | BadURL) -> Step:
    """The step of a source of `kind` that cannot be asked with what its options say. Whatever the kind raises
    escapes."""
    reason = str(error)[:_LONGEST_MESSAGE]
    without = getattr(kind, "without_secrets", None)
    if without is not None and isinstance(error, ConfigurationError):
        step: Step = without(source, state, reason)
        return step
    return Step(next_state=state, failure=Failure("settings", reason))


def redacted(step: Step, access: Access) -> Step:
    """`step` without the secrets of `access` in its words or its URL: servers send back what they were sent."""
    if step.effective_url is not None and access.redacted(step.effective_url) != step.effective_url:
        step = replace(step, effective_url=None)
    if step.failure is None or not access.hidden:
        return step
    return replace(step, failure=replace(step.failure, message=access.redacted(step.failure.message)))


def discreet(bug: Exception, access: Access) -> Exception:
    """`bug`; where its traceback tells a secret of `access`, an exception that holds the traceback without it instead:
    kinds raise what they stumble over, and servers send back what they were sent."""
    if not access.hidden:
        return bug
    told = "".join(traceback.format_exception(bug))
    redacted = access.redacted(told)
    return bug if redacted == told else RedactedBug(redacted)


def broken(state: PollState, kind: str, bug: Exception) -> Step:
    """The step of a source whose kind, or whose document's way into the store, has a bug."""
    error: BaseException = bug
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    reason = f"a bug in digestd or in the kind {kind!r}: {type(error).__name__}: {error}; see the log"
    return Step(next_state=state, failure=Failure("bug", reason[:_LONGEST_MESSAGE]))
