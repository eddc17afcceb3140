"""What goes on happening is told ever more seldom, and nothing that is new is passed over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.repeats import (
    FORGOTTEN_SECONDS,
    IN_FULL_SECONDS,
    LONGEST_GAP_SECONDS,
    RELAPSE_SECONDS,
    Repeats,
    Seldom,
    Telling,
    root_of,
    traceback_id,
)

DAY, WEEK = 86_400.0, 7 * 86_400.0

_GAPS = st.lists(st.floats(0, 3 * DAY, allow_nan=False), min_size=1, max_size=60)


def test_a_week_of_one_crash_a_minute_is_seventeen_lines_and_one_traceback() -> None:
    repeats = Repeats()
    told = [repeats.happened("source a", "KeyError", minute * 60.0) for minute in range(7 * 1_440)]
    lines = [line for line in told if line is not None]
    assert len(lines) == 17
    assert [line.in_full for line in lines] == [True] + [False] * 16
    assert lines[0] == Telling(True, 1, 0, 0.0)
    assert lines[1] == Telling(False, 2, 0, 60.0)
    assert lines[2] == Telling(False, 4, 1, 180.0)
    assert lines[-1].seconds > WEEK - LONGEST_GAP_SECONDS


@given(_GAPS, st.data())
def test_every_time_is_counted_and_every_trouble_is_told_at_once_when_it_is_new(
    gaps: list[float], data: st.DataObject
) -> None:
    """Against a plain list of what happened: the sums of what is told are right, whatever comes in whatever order."""
    repeats, now = Repeats(), 0.0
    known: dict[tuple[str, str], int] = {}
    untold: dict[tuple[str, str], int] = {}
    in_full: dict[str, float] = {}
    last: dict[str, float] = {}
    over_at: dict[str, float] = {}
    for gap in gaps:
        now += gap
        subject = data.draw(st.sampled_from("ab"))
        if data.draw(st.booleans()):
            repeats.over(subject, now)
            over_at.setdefault(subject, now)
            continue
        trouble = data.draw(st.sampled_from(["x", "y"]))
        past = (
            now - over_at.get(subject, now) > RELAPSE_SECONDS
            or now - last.get(subject, now) > FORGOTTEN_SECONDS
        )
        if past:
            known = {key: times for key, times in known.items() if key[0] != subject}
            untold = {key: times for key, times in untold.items() if key[0] != subject}
        over_at.pop(subject, None)
        last[subject] = now
        its = (subject, trouble)
        known[its] = known.get(its, 0) + 1
        telling = repeats.happened(subject, trouble, now)
        if known[its] == 1:
            assert telling is not None, "what is new is told"
        if telling is None:
            untold[its] = untold.get(its, 0) + 1
            continue
        assert (telling.times, telling.untold) == (known[its], untold.pop(its, 0))
        assert telling.in_full == (now - in_full.get(trouble, -2 * IN_FULL_SECONDS) >= IN_FULL_SECONDS)
        if telling.in_full:
            in_full[trouble] = now


@given(st.lists(st.floats(0, 600, allow_nan=False), min_size=1, max_size=300), st.data())
def test_however_it_comes_and_goes_within_hours_the_lines_are_few(
    gaps: list[float], data: st.DataObject
) -> None:
    """Crashes of three sorts, in turn with polls that go well: told no more often than each sort by itself would be."""
    repeats, now, lines, ends, fulls = Repeats(), 0.0, 0, 0, 0
    for gap in gaps:
        now += gap
        what = data.draw(st.sampled_from(["good", "x", "y", "z"]))
        if what == "good":
            ends += repeats.over("a", now) is not None
        elif (telling := repeats.happened("a", what, now)) is not None:
            lines += 1
            fulls += telling.in_full
    doublings = 1 + int(now / 60 + 1).bit_length()
    assert fulls <= 3
    assert ends <= lines <= 3 * doublings


def test_the_end_is_told_once_with_all_that_was() -> None:
    repeats = Repeats()
    assert repeats.over("a", 0) is None, "nothing was wrong"
    for minute in range(10):
        repeats.happened("a", "x", minute * 10.0)
    assert repeats.over("a", 100) == Telling(False, 10, 3, 100)
    assert repeats.over("a", 110) is None
    assert repeats.over("a", 101 + RELAPSE_SECONDS) is None
    assert repeats.happened("a", "x", 10_000) == Telling(False, 1, 0, 0), "new, and its traceback is known"


def test_one_traceback_for_all_who_have_the_same_trouble() -> None:
    repeats = Repeats()
    told = [repeats.happened(f"source {number}", "KeyError", 0) for number in range(1_000)]
    assert [line is not None and line.in_full for line in told].count(True) == 1
    assert None not in told, "each of them is named"
    assert repeats.happened("source 0", "ValueError", 1) == Telling(True, 1, 0, 1)


def test_a_traceback_comes_again_after_a_week() -> None:
    repeats = Repeats()
    for day in range(15):
        telling = repeats.happened("a", "x", day * DAY)
        assert telling is not None
        assert telling.in_full == (day % 7 == 0)


def test_tracebacks_are_remembered_in_bounded_room() -> None:
    repeats = Repeats()
    for number in range(5_000):
        repeats.happened("a", str(number), 0)
    assert len(repeats._in_full) == 1_000


def test_what_is_told_seldom_is_told_at_once_after_a_calm() -> None:
    seldom = Seldom(gap=60, longest=3_600, calm=7_200)
    told = [second for second in range(0, 40_000, 10) if seldom.is_due(second)]
    assert told == [
        0,
        60,
        180,
        420,
        900,
        1_860,
        3_780,
        7_380,
        10_980,
        14_580,
        18_180,
        21_780,
        25_380,
        28_980,
        32_580,
        36_180,
        39_780,
    ]
    assert not seldom.is_due(40_000)
    assert not seldom.is_due(40_000 + 3_000)
    assert seldom.is_due(43_000 + 7_201)


def crash(where: str, message: str) -> Exception:
    try:
        if where == "here":
            raise KeyError(message)
        raise KeyError(message)
    except KeyError as error:
        return error


def test_an_exception_is_known_by_where_it_came_from() -> None:
    first, again, elsewhere = crash("here", "1"), crash("here", "2"), crash("there", "1")
    assert traceback_id(first) == traceback_id(again)
    assert traceback_id(first) != traceback_id(elsewhere)
    assert traceback_id(ExceptionGroup("g", [first])) == traceback_id(ExceptionGroup("h", [again]))
    assert traceback_id(ExceptionGroup("g", [first])) != traceback_id(first)
    assert len(traceback_id(first)) == 12


def test_a_cause_makes_a_difference_and_a_circle_ends() -> None:
    error = crash("here", "1")
    alone = traceback_id(error)
    error.__cause__ = ValueError("why")
    error.__cause__.__context__ = error
    assert traceback_id(error) != alone


def test_a_recursion_that_ran_out_is_one_trouble_however_deep() -> None:
    def deep(left: int) -> None:
        if left == 0:
            raise RecursionError
        deep(left - 1)

    ids = set()
    for depth in (50, 90):
        with pytest.raises(RecursionError) as caught:
            deep(depth)
        ids.add(traceback_id(caught.value))
    assert len(ids) == 1


def test_the_root_of_groups_of_groups() -> None:
    root = ValueError("x")
    assert root_of(ExceptionGroup("a", [ExceptionGroup("b", [root]), KeyError("y")])) is root
    assert root_of(root) is root
