"""How long a host is left alone that asked for it, and how it is asked afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.ingest.throttling import CALM_SECONDS, Throttling, answered, heard, refused

DAY = 86_400.0


def trickling(pause_seconds: float, fine_answers: int = 0) -> Throttling:
    """A pause that ended at 0."""
    return Throttling(0.0, pause_seconds, fine_answers)


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [(None, 60), (0, 0), (7.5, 7.5), (3_600, 3_600), (DAY, DAY), (1e9, DAY)]
)
def test_the_first_refusal_is_taken_at_its_word(retry_after: float | None, seconds: float) -> None:
    assert refused(None, retry_after, 1_000) == Throttling(1_000 + seconds, seconds)


@pytest.mark.parametrize(
    ("before", "retry_after", "seconds"),
    [
        (trickling(60), None, 120),
        (trickling(60, 2), None, 120),
        (trickling(5), None, 60),
        (trickling(50_000), None, DAY),
        (trickling(600), 10, 1_200),
        (trickling(600), 5_000, 5_000),
        (trickling(0), 0, 60),
        (trickling(600, 1), 10, 10),
        (trickling(600, 1), 1e9, DAY),
    ],
)
def test_who_is_refused_again_waits_longer(
    before: Throttling, retry_after: float | None, seconds: float
) -> None:
    assert refused(before, retry_after, 100) == Throttling(100 + seconds, seconds)


def test_after_a_calm_hour_a_refusal_is_a_first_one() -> None:
    assert refused(trickling(600), None, CALM_SECONDS - 1).pause_seconds == 1_200
    assert refused(trickling(600), None, CALM_SECONDS).pause_seconds == 60


def test_what_was_under_way_when_the_pause_began_lengthens_it_only_by_what_it_says() -> None:
    first = refused(None, None, 100)
    assert refused(first, None, 101) == Throttling(161, 60)
    assert refused(first, 10, 101) == first
    assert refused(first, 900, 101) == Throttling(1_001, 900)


def test_what_another_process_was_told_is_heard() -> None:
    assert heard(None, 40, 100) == Throttling(140, 40)
    assert heard(trickling(600, 2), 40, 100) == Throttling(140, 600)
    assert heard(Throttling(500, 450), 40, 100) == Throttling(500, 450)
    assert heard(trickling(600), 40, CALM_SECONDS + 5) == Throttling(CALM_SECONDS + 45, 40)
    assert heard(None, 1e9, 100) == Throttling(100 + DAY, DAY)


@pytest.mark.parametrize(
    ("statuses", "over"),
    [
        ([200, 304, 301], True),
        ([200, 404, 410], True),
        ([200, 200], False),
        ([200, 200, 500, 200], False),
        ([200, 200, 403, 200, 200], False),
        ([503, 200, 200, 200], True),
    ],
)
def test_three_fine_answers_in_a_row_end_the_trickle(statuses: list[int], over: bool) -> None:
    state: Throttling | None = trickling(60)
    for status in statuses:
        assert state is not None
        state = answered(state, status, 10)
    assert (state is None) == over


def test_answers_to_questions_from_before_the_pause_do_not_count() -> None:
    paused = Throttling(100, 60)
    assert answered(paused, 200, 99) == paused
    assert answered(paused, 200, 100) == Throttling(100, 60, 1)


def test_a_trickle_begins_with_the_end_of_its_pause_and_ends_by_itself() -> None:
    paused = Throttling(100, 60)
    assert [paused.trickles(now) for now in (99, 100, 99 + CALM_SECONDS, 100 + CALM_SECONDS)] == [
        False,
        True,
        True,
        False,
    ]
    assert answered(paused, 500, 100 + CALM_SECONDS) is None


events = st.tuples(st.floats(0, 5_000), st.none() | st.floats(0, 1e6) | st.sampled_from([200, 500]))


@given(st.lists(st.tuples(events, st.booleans()), max_size=30))
def test_no_pause_that_is_in_force_is_shortened_and_none_is_longer_than_a_day(
    plan: list[tuple[tuple[float, float | int | None], bool]],
) -> None:
    state: Throttling | None = None
    now = 0.0
    for (after, what), is_refusal in plan:
        now += after
        paused_until = state.paused_until if state else now
        if is_refusal:
            state = refused(state, what, now)
        elif state is not None:
            state = answered(state, int(what or 200), now)
        if now < paused_until:
            assert state is not None
            assert state.paused_until >= paused_until
        if state is not None:
            assert max(state.pause_seconds, state.paused_until - now) <= DAY + 1e-6
