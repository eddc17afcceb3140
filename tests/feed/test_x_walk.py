"""How far posts were read: from page to page, and what a poll that ends in between leaves for the next."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.x_walk import (
    MOST_EMPTY,
    Course,
    Mark,
    Page,
    Walk,
    after,
    begun,
    course_in,
    cursor_of,
    ended,
    is_over,
    missed,
    parameters,
    refused,
)

NOW = 1_795_420_800  # 2026-11-23T08:00:00Z
SINCE = Mark("1000", NOW - 3_600)
KNOWN = Course(SINCE, NOW - 3_600)


def page(count: int, token: str = "", oldest: Mark | None = None, base: Mark | None = None) -> Page:
    return Page(count, token, oldest, base)


def going(**walk: Any) -> Course:
    return replace(KNOWN, walk=Walk(NOW, **walk))


def test_pages_without_posts_are_walked_through_a_while() -> None:
    course = begun(KNOWN, NOW, 100, is_search=True)
    course = after(course, page(10, "a", Mark("1500", NOW - 60), Mark("1400", NOW - 600)))
    for number in range(MOST_EMPTY - 1):
        course = after(course, page(0, f"b{number}"))
        assert course.walk is not None
    # One with posts begins the count anew, and what was read before is not forgotten.
    course = after(course, page(1, "c", Mark("1200", NOW - 900), Mark("1200", NOW - 900)))
    assert course.walk == Walk(NOW, "c", base=Mark("1400", NOW - 600), oldest=Mark("1200", NOW - 900))
    for number in range(MOST_EMPTY):
        assert course.walk is not None
        course = after(course, page(0, f"d{number}"))
    assert course == Course(Mark("1400", NOW - 600), NOW)


def test_below_a_token_that_is_refused_the_oldest_post_of_all_pages_counts() -> None:
    course = begun(KNOWN, NOW, 100, is_search=False)
    for number in (9, 8, 7):
        course = after(course, page(10, f"token{number}", Mark(f"{number}000", NOW - 60)))
    course = after(course, page(0, "token0"))
    onward = refused(course, frozenset({"pagination_token"}), NOW, is_search=False)
    assert onward is not None
    assert parameters(onward, 100, is_search=False) == {
        "max_results": "100",
        "since_id": "1000",
        "until_id": "7000",
    }
    # It goes on being asked for with each further page.
    onward = after(onward, page(10, "next", Mark("6000", NOW - 60)))
    assert parameters(onward, 100, is_search=False) == {
        "max_results": "100",
        "since_id": "1000",
        "until_id": "7000",
        "pagination_token": "next",
    }


def test_what_does_not_help_is_not_tried() -> None:
    assert refused(going(token="a"), frozenset({"query"}), NOW, is_search=True) is None
    assert refused(going(), frozenset({"next_token"}), NOW, is_search=True) is None
    assert refused(Course(walk=Walk(NOW)), frozenset({"since_id"}), NOW, is_search=True) is None


def test_a_timeline_goes_back_further_than_a_search() -> None:
    old = Course(Mark("5", NOW - 30 * 86_400), NOW - 20 * 86_400)
    for is_search, start in ((False, NOW - 20 * 86_400 - 300), (True, NOW - 7 * 86_400 + 1_200)):
        onward = refused(
            begun(old, NOW, 100, is_search=False), frozenset({"since_id"}), NOW, is_search=is_search
        )
        assert onward is not None
        assert onward.walk is not None
        assert onward.walk.start == start
        assert "since_id" not in parameters(onward, 100, is_search=is_search)
    # Where nobody knows how far it was read, and where the clock was set back.
    for course in (replace(old, reached=0), replace(old, reached=NOW + 999)):
        onward = refused(
            begun(course, NOW, 100, is_search=False), frozenset({"since_id"}), NOW, is_search=False
        )
        assert onward is not None
        assert onward.walk is not None
        assert onward.walk.start <= NOW - 300


def test_where_everything_is_younger_than_the_overlap_the_oldest_is_the_mark() -> None:
    course = begun(Course(), NOW, 100, is_search=False)
    assert course.walk is not None
    assert course.walk.left == 100
    course = after(course, page(3, "", Mark("77", NOW - 10)))
    assert course == Course(Mark("77", NOW - 10), NOW)
    # Later, the mark that there was.
    assert after(begun(KNOWN, NOW, 100, is_search=False), page(1, "", Mark("2000", NOW))) == Course(
        SINCE, NOW
    )


def test_a_mark_never_moves_back() -> None:
    assert ended(going(base=Mark("999", NOW))).since == SINCE


def test_what_is_missing_is_told_by_days() -> None:
    assert missed(KNOWN) is None
    assert missed(going(start=NOW - 4_000)) is None
    old = Course(SINCE, NOW - 10 * 86_400, Walk(NOW, start=NOW - 7 * 86_400))
    assert missed(old) == ("2026-11-13", "2026-11-16")


def test_a_walk_ends_where_nothing_is_left_in_reach() -> None:
    assert not is_over(going())
    assert not is_over(going(start=NOW - 10, oldest=Mark("7", NOW - 9)))
    assert not is_over(going(start=NOW - 10, oldest=Mark("7", 0)))
    assert is_over(going(start=NOW - 10, oldest=Mark("7", NOW - 11)))


NUMBERS = st.integers(0, 2**40)
MARKS = st.none() | st.builds(Mark, st.from_regex(r"[1-9][0-9]{0,18}", fullmatch=True), NUMBERS)
WALKS = st.builds(
    Walk,
    st.integers(1, 2**37),
    st.text(max_size=40),
    st.integers(0, 2**37),
    MARKS.map(lambda mark: mark and Mark(mark.id, mark.at % 2**37)),
    MARKS.map(lambda mark: mark and Mark(mark.id, mark.at % 2**37)),
    MARKS.map(lambda mark: mark and Mark(mark.id, mark.at % 2**37)),
    st.none() | st.integers(1, 3_200),
    st.integers(0, 3),
    st.integers(0, 10),
)


@given(
    MARKS.map(lambda mark: mark and Mark(mark.id, mark.at % 2**37)), st.integers(0, 2**37), st.none() | WALKS
)
def test_the_cursor_holds_it_all(since: Mark | None, reached: int, walk: Walk | None) -> None:
    course = Course(since, reached, walk)
    assert course_in(json.loads(json.dumps(cursor_of(course)))) == course


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["began", "token", "start", "base", "oldest", "left"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["since", "reached", "walk"]), JSON), st.booleans())
def test_whatever_a_row_holds_is_gone_on_from(cursor: dict[str, Any], is_search: bool) -> None:
    course = begun(course_in(cursor), NOW, 100, is_search=is_search)
    parameters(course, 100, is_search=is_search)
    missed(course)
    is_over(course)
    json.dumps(cursor_of(after(course, page(1, "x", Mark("7", 7)))))
