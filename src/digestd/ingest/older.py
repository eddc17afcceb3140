"""How a poll goes on to older entries, and what is written where nothing in a document is known. Decides, and does
nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from digestd.feed import overflow, paging
from digestd.feed.schedule import Schedule
from digestd.model import Failure, PollState, Step
from digestd.store import Claim, Recorded, StepRecord

PAGES_A_POLL = 10
"""How many pages of older entries one poll reads; the next one goes on."""

# These say nothing of the page that was to be asked for.
_NOT_OF_THE_PAGE = frozenset({"settings"})


@dataclass(slots=True)
class Course:
    """How far one poll has come: the `state` to go on from, which of its pages of older entries comes next (0 for the
    source's own document), what it has brought, and whether entries were lost before it."""

    state: PollState
    page: int
    articles_new: int = 0
    articles_updated: int = 0
    steps: int = 0
    overflowed: bool = False

    def note(self, step: Step, written: StepRecord, answer: Recorded) -> None:
        """Go on after `step`, of which `written` was written."""
        self.state = written.next_state
        self.steps += 1
        self.articles_new += answer.articles_new
        self.articles_updated += answer.articles_updated
        self.page += answer.all_new and step.older is not None
        self.overflowed = self.overflowed or is_overflow(step, answer)


def course_of(claim: Claim) -> Course:
    """The course of a poll that begins with `claim`."""
    return Course(claim.state, page=int(paging.in_hand(claim.state) is not None))


def is_overflow(step: Step, answer: Recorded) -> bool:
    """Whether entries may have come and gone unseen before those of `step`."""
    return step.overlaps and answer.all_new


def weighed(record: StepRecord, step: Step, course: Course, now: datetime, *, in_time: bool) -> StepRecord:
    """`record` with what is to be written instead where none of its entries is known: `in_time` the poll goes on to
    the entries before them, and otherwise the next one does, at once."""
    before, schedule = overflow.halvings(course.state, now), _schedule(record)
    usual = _hastened(record, before, overflow.carried(course.state, record.next_state, now))
    if step.older is None and not step.overlaps:
        return usual
    other, onward = usual, step.older or record.next_state
    if step.overlaps:
        count = overflow.once_more(schedule, before)
        other = _hastened(record, count, overflow.noted(onward, count, now))
    if step.older is not None:
        other = replace(
            other,
            next_state=other.next_state if step.overlaps else overflow.carried(course.state, onward, now),
            final=not in_time or course.page >= PAGES_A_POLL,
            schedule_reason="paging",
            next_delay_seconds=other.next_delay_seconds if in_time else 0.0,
        )
    return replace(usual, if_all_new=other)


def written_of(record: StepRecord, answer: Recorded) -> StepRecord:
    """What the store has written of `record`."""
    return record.if_all_new if answer.all_new and record.if_all_new is not None else record


def set_back(record: StepRecord, failure: Failure | None, *, counts: bool) -> StepRecord:
    """`record` with the page that was asked for held against, where the poll failed and that `counts`."""
    if failure is None or not counts or failure.cause in _NOT_OF_THE_PAGE:
        return record
    return replace(record, next_state=paging.set_back(record.next_state))


def is_given_up(before: PollState, after: PollState, failure: Failure | None) -> bool:
    """Whether a poll that failed has given up the older entries that were still to be read."""
    return failure is not None and paging.in_hand(before) is not None and paging.in_hand(after) is None


def _hastened(record: StepRecord, halvings: int, next_state: PollState) -> StepRecord:
    usual = _schedule(record)
    schedule = overflow.sooner(usual, halvings)
    if schedule is usual and next_state is record.next_state:
        return record
    return replace(
        record,
        next_state=next_state,
        next_delay_seconds=schedule.delay_seconds,
        schedule_reason=schedule.reason,
    )


def _schedule(record: StepRecord) -> Schedule:
    return Schedule(record.next_delay_seconds, record.schedule_reason)
