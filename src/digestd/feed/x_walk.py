"""How far the posts of a timeline or a search have been read. Pure.

X gives the newest posts first, so a poll is a walk back, page by page, to the newest post that was known before
(`since_id`). That mark moves only when the walk has come to its end; until then the cursor holds where it goes on, so
that whatever ends the process, the next poll asks for the page that was not recorded. The mark is not the newest post
but the newest that was older than five minutes when the walk began: posts may come to be seen late, and not in order.

API: https://docs.x.com/x-api/posts/search/integrate/paginate, /x-api/fundamentals/pagination.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

OVERLAP_SECONDS = 300
"""So much of what was seen last is read again, as far as it brought posts."""
WEEK_SECONDS = 7 * 86_400
"""Recent search goes back so far, and refuses older marks."""
MOST_REFUSALS = 3
"""How often a walk goes on in another way where X does not take its parameters."""
MOST_EMPTY = 10
"""How many pages without a post, that name a next one, are walked through."""

OURS = ("since", "reached", "walk")
"""What stands in the cursor."""

# Our clock and X's are this close to each other, and a request takes a while.
_MARGIN_SECONDS = 600
_LONGEST_TOKEN = 1_000
_LONGEST_ID = 30


class Mark(NamedTuple):
    """A post by its id, and when it was written, in seconds since 1970; 0 where that is not known."""

    id: str
    at: int


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk that `began` so many seconds after 1970, as far as it has come.

    It goes on with the page `token`; where that was refused, a list begins anew with what is older than `until`, the
    `oldest` post that was read by then. `start`, where it is not 0, is the moment to walk back to, in place of the
    mark. `base` is to become the mark, None as long as no post was old enough. The first walk of a source has so many
    posts `left` to read.
    """

    began: int
    token: str = ""
    start: int = 0
    base: Mark | None = None
    oldest: Mark | None = None
    until: Mark | None = None
    left: int | None = None
    refused: int = 0
    empty: int = 0


@dataclass(frozen=True, slots=True)
class Course:
    """How far a source has come: the mark (`since`), when the last walk that was completed began (`reached`, 0 for
    never), and the walk that is under way."""

    since: Mark | None = None
    reached: int = 0
    walk: Walk | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What a page has, as far as the walk goes: how many posts, the token of the next page, the oldest post, and the
    newest one that is older than the overlap."""

    count: int
    token: str
    oldest: Mark | None
    base: Mark | None


def begun(course: Course, now: int, first: int, *, is_search: bool) -> Course:
    """`course` with a walk under way: the one that is, or a new one, of `first` posts where it is the first of all."""
    walk = course.walk
    if walk is None:
        walk = Walk(now, left=first if course.since is None and not course.reached else None)
    return _within_reach(replace(course, walk=walk), walk, now) if is_search else replace(course, walk=walk)


def parameters(course: Course, size: int, *, is_search: bool) -> dict[str, str]:
    """What the page that comes next is asked for by."""
    walk = _under_way(course)
    asked = {"max_results": str(size)}
    if walk.start:
        asked["start_time"] = _moment(walk.start)
    elif course.since is not None:
        asked["since_id"] = course.since.id
    if walk.until is not None and not walk.start:
        asked["until_id"] = walk.until.id
    elif walk.until is not None and walk.until.at:
        # Ids and times are not taken together.
        asked["end_time"] = _moment(walk.until.at + 1)
    if walk.token:
        asked["next_token" if is_search else "pagination_token"] = walk.token
    return asked


def missed(course: Course) -> tuple[str, str] | None:
    """From which day to which posts cannot be had any more, as recent search does not go back so far; None for none."""
    walk = course.walk
    if walk is None or not walk.start or not course.reached or walk.start <= course.reached:
        return None
    return _moment(course.reached)[:10], _moment(walk.start)[:10]


def is_over(course: Course) -> bool:
    """Whether there is nothing left to be asked for, as what remained is out of reach by now."""
    walk = _under_way(course)
    return bool(walk.start and walk.oldest is not None and 0 < walk.oldest.at < walk.start)


def after(course: Course, page: Page) -> Course:
    """How far `course` has come with `page`."""
    walk = _under_way(course)
    onward = replace(
        walk,
        token=page.token,
        base=_newer(walk.base, page.base),
        oldest=_older(walk.oldest, page.oldest),
        left=None if walk.left is None else walk.left - page.count,
        empty=0 if page.count else walk.empty + 1,
    )
    is_last = not page.token or onward.empty >= MOST_EMPTY or (onward.left is not None and onward.left <= 0)
    going = replace(course, walk=onward)
    return ended(going) if is_last else going


def ended(course: Course) -> Course:
    """`course` with its walk at the end: the mark moves now."""
    walk = _under_way(course)
    mark = _newer(course.since, walk.base)
    # Nothing was old enough, and nothing known before: all but the oldest are looked at again.
    return Course(mark if mark is not None else walk.oldest, walk.began)


def refused(course: Course, named: frozenset[str], now: int, *, is_search: bool) -> Course | None:
    """`course` with its walk going on in another way, where X does not take the parameters `named`; None where there is
    none."""
    walk = _under_way(course)
    if walk.refused >= MOST_REFUSALS:
        return None
    again = replace(walk, token="", until=walk.oldest, refused=walk.refused + 1)
    if named & {"since_id", "start_time"} and (course.since is not None or walk.start):
        return replace(course, walk=replace(again, start=_furthest(course, now, is_search=is_search)))
    if walk.token and named & {"next_token", "pagination_token"}:
        return replace(course, walk=again)
    return None


def course_in(cursor: Mapping[str, Any]) -> Course:
    """The course that `cursor` holds; of a damaged row what is sound. Never raises."""
    return Course(_mark(cursor.get("since")), _number(cursor.get("reached")), _walk(cursor.get("walk")))


def cursor_of(course: Course) -> dict[str, Any]:
    """What :func:`course_in` makes `course` of."""
    walk = course.walk
    kept: dict[str, Any] = {
        "since": course.since and list(course.since),
        "reached": course.reached,
        "walk": walk and _written(walk),
    }
    return {name: value for name, value in kept.items() if value}


def order_of(post_id: str) -> tuple[int, str]:
    """What ids are compared by: they are numbers that rise with time."""
    return len(post_id), post_id


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a post or a user."""
    return 0 < len(text) <= _LONGEST_ID and text.isascii() and text.isdecimal()


def _within_reach(course: Course, walk: Walk, now: int) -> Course:
    """`course` with a walk that goes no further back than recent search does."""
    limit = now - WEEK_SECONDS + _MARGIN_SECONDS
    since = course.since
    is_old = since is not None and 0 < since.at < limit
    if (walk.start and walk.start >= limit) or (not walk.start and not is_old):
        return course
    start = _furthest(course, now, is_search=True)
    return replace(course, walk=replace(walk, token="", until=walk.oldest, start=start))


def _furthest(course: Course, now: int, *, is_search: bool) -> int:
    """From where on posts may be asked for: from what was read last on, a search as far back as it goes at most."""
    reached = min(course.reached, now) - OVERLAP_SECONDS
    furthest = now - WEEK_SECONDS + 2 * _MARGIN_SECONDS
    return max(reached, furthest) if is_search or reached <= 0 else reached


def _under_way(course: Course) -> Walk:
    assert course.walk is not None
    return course.walk


def _newer(one: Mark | None, other: Mark | None) -> Mark | None:
    return max(
        (mark for mark in (one, other) if mark is not None), key=lambda mark: order_of(mark.id), default=None
    )


def _older(one: Mark | None, other: Mark | None) -> Mark | None:
    return min(
        (mark for mark in (one, other) if mark is not None), key=lambda mark: order_of(mark.id), default=None
    )


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _written(walk: Walk) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "began": walk.began,
        "token": walk.token,
        "start": walk.start,
        "base": walk.base and list(walk.base),
        "oldest": walk.oldest and list(walk.oldest),
        "until": walk.until and list(walk.until),
        "left": walk.left,
        "refused": walk.refused,
        "empty": walk.empty,
    }
    return {name: value for name, value in kept.items() if value}


def _walk(kept: object) -> Walk | None:
    if not isinstance(kept, dict) or not (began := _number(kept.get("began"))):
        return None
    token = kept.get("token")
    return Walk(
        began,
        token if isinstance(token, str) and len(token) <= _LONGEST_TOKEN else "",
        _number(kept.get("start")),
        _mark(kept.get("base")),
        _mark(kept.get("oldest")),
        _mark(kept.get("until")),
        _number(kept.get("left")) or None,
        _number(kept.get("refused")),
        _number(kept.get("empty")),
    )


def _mark(kept: object) -> Mark | None:
    match kept:
        case [str(post_id), int(at)] if is_id(post_id):
            return Mark(post_id, _number(at))
        case _:
            return None


def _number(kept: object) -> int:
    # A second beyond the years that Python knows is none of ours.
    return kept if type(kept) is int and 0 <= kept < 253_402_300_799 else 0
