"""How a poll goes on to older entries, and what is written where nothing in a document is known. Decides, and does
nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from digestd.feed import paging
from digestd.feed.overflow import sooner
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


def weighed(record: StepRecord, step: Step, course: Course, *, in_time: bool) -> StepRecord:
    """`record` with what is to be written instead where none of its entries is known: `in_time` the poll goes on to
    the entries before them, and otherwise the next one does, at once."""
    if course.overflowed:
        record = _sooner(record)
    if step.older is None and not step.overlaps:
        return record
    other = _sooner(record) if step.overlaps else record
    if step.older is not None:
        other = replace(
            other,
            next_state=step.older,
            final=not in_time or course.page >= PAGES_A_POLL,
            schedule_reason="paging",
            next_delay_seconds=other.next_delay_seconds if in_time else 0.0,
        )
    return replace(record, if_all_new=other)


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


def _sooner(record: StepRecord) -> StepRecord:
    schedule = sooner(Schedule(record.next_delay_seconds, record.schedule_reason))
    return replace(record, next_delay_seconds=schedule.delay_seconds, schedule_reason=schedule.reason)
