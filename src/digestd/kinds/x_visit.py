"""One step of the kind `x`: what is asked for, and what the answer makes of the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from digestd.errors import NotAFeed
from digestd.feed import hints, shape, x_walk
from digestd.feed.budget import Exhausted, Limits
from digestd.feed.x import page_of
from digestd.feed.x_errors import Refusal
from digestd.feed.x_place import read_place, sent_query
from digestd.feed.x_prices import exhausted_words, limits_of
from digestd.feed.x_walk import OURS, OVERLAP_SECONDS, Course, course_in, cursor_of, is_id
from digestd.kinds import Http
from digestd.kinds.x_options import PAGE, XOptions, includes_posts, prices_of, smallest
from digestd.model import Document, Failure, Hints, PollState, Response, Source, Step

USER = "user"
"""The id of the user, in the cursor."""

_THROTTLED = "throttled"
_FIELDS = "created_at,author_id,edit_history_tweet_ids,entities,lang,note_tweet,referenced_tweets"
# What is over by itself within an hour or two is nobody's failure.
_MOST_PUT_OFF = 5
_LONGEST_KEY = 300


class Visit:
    """One step of a source: what it is asked for, and what it makes of the state."""

    def __init__(
        self, source: Source, options: XOptions, state: PollState, http: Http, now: datetime
    ) -> None:
        self.source, self.options, self.http = source, options, http
        self.place = read_place(source.spec.url)
        self.prices = prices_of(options, self.place)
        self.limits: Limits = limits_of(options.daily_posts, options.daily_dollars)
        self.now_seconds = int(now.timestamp())
        self.course: Course = course_in(state.cursor or {})
        self._state, self._now = state, now

    @property
    def key(self) -> str:
        """What the budget is counted under: the token, of which a few digits of a digest are known."""
        return f"x {self.place.base} {self.http.authorization_mark}"[:_LONGEST_KEY]

    @property
    def user_id(self) -> str | None:
        """The id of the user, where it was looked up."""
        found = (self._state.cursor or {}).get(USER)
        return found if isinstance(found, str) and is_id(found) else None

    @property
    def size(self) -> int:
        """How many posts the next page is asked for."""
        walk = self.course.walk
        wanted = PAGE if walk is None or walk.left is None else walk.left
        return min(max(wanted, smallest(self.place)), PAGE)

    @property
    def horizon(self) -> int:
        """What is older than this is not read again."""
        walk = self.course.walk
        return (self.now_seconds if walk is None else walk.began) - OVERLAP_SECONDS

    def begin(self) -> None:
        """Begin a walk, where none is under way."""
        is_search = not self.place.user
        self.course = x_walk.begun(self.course, self.now_seconds, self.options.first, is_search=is_search)

    def address(self, size: int) -> str:
        """Where the page of `size` posts is that comes next."""
        options = self.options
        asked = x_walk.parameters(self.course, size, is_search=not self.place.user)
        if self.place.user:
            path = f"/2/users/{self.user_id}/tweets"
            wanted = {"retweets": options.retweets, "replies": options.replies}
            if excluded := ",".join(name for name, is_wanted in wanted.items() if not is_wanted):
                asked["exclude"] = excluded
        else:
            path = "/2/tweets/search/recent"
            asked["query"] = sent_query(self.place.query, retweets=options.retweets)
        asked["tweet.fields"] = _FIELDS
        expansions = ["referenced_tweets.id"] * includes_posts(options) + ["author_id"] * options.authors
        if expansions:
            asked["expansions"] = ",".join(expansions)
        return f"{self.place.base}{path}?{urlencode(asked)}"

    def in_another_way(self, refusal: Refusal) -> Course | None:
        """How the walk goes on though X does not take what it was asked by."""
        if refusal.sort != "parameter" or self.course.walk is None:
            return None
        named = refusal.parameters
        return x_walk.refused(self.course, named, self.now_seconds, is_search=not self.place.user)

    def kept(self, page: Document, answer: Response) -> Step:
        """The step of a page that was read."""
        onward = x_walk.after(self.course, page_of(page.facts))
        token = "" if self.course.walk is None else self.course.walk.token
        if onward.walk is not None and onward.walk.token == token:
            raise NotAFeed("X does not page: the next page is the one that came")
        if not page.entries and not page.left_out:
            return self.unchanged({}, onward, answer, more=onward.walk is not None)
        hinted = self._hints(page)
        return Step(
            next_state=self._carried({}, onward, hints.to_cursor(hinted)),
            documents=(page,),
            more=onward.walk is not None,
            body_bytes=len(answer.body),
            hints=hinted,
            remark=self._remark(),
        )

    def unchanged(
        self, ours: Mapping[str, Any], course: Course, answer: Response | None, *, more: bool
    ) -> Step:
        """The step of an answer without posts."""
        remembered = hints.remembered(self._state.cursor)
        return Step(
            next_state=self._carried(ours, course, hints.to_cursor(remembered)),
            unchanged=True,
            more=more,
            body_bytes=0 if answer is None else len(answer.body),
            hints=remembered,
            remark=self._remark(),
        )

    def failed(
        self,
        words: str,
        *,
        status: int | None = None,
        seconds: float | None = None,
        cause: str = "http_status",
        forget: bool = False,
    ) -> Step:
        """The step that failed, after which the user is looked up again where it is to `forget` who that is."""
        cursor = dict(self._state.cursor or {})
        if forget:
            cursor.pop(USER, None)
        return Step(
            replace(self._state, cursor=cursor or None), failure=Failure(cause, words, status, seconds)
        )

    def put_off(self, answer: Exhausted) -> Step:
        """The step that nobody paid for."""
        words = exhausted_words(answer, self.limits)
        return Step(self._state, failure=Failure("paused", words, retry_after_seconds=answer.seconds))

    def throttled(self, words: str, wait: float) -> Step:
        """The step that came too often."""
        counted = (self._state.cursor or {}).get(_THROTTLED)
        times = counted + 1 if type(counted) is int and 0 <= counted < 1_000 else 1
        cause = "paused" if times <= _MOST_PUT_OFF else "http_status"
        cursor = {**(self._state.cursor or {}), _THROTTLED: times}
        return Step(replace(self._state, cursor=cursor), failure=Failure(cause, words, 429, wait))

    def _hints(self, page: Document) -> Hints:
        """How often there are posts, and when the last one was: of a walk back, and of pages with a post or two."""
        found, known = hints.of_document(page, self._now), hints.remembered(self._state.cursor)
        if found.newest_at is None or (known.newest_at is not None and known.newest_at > found.newest_at):
            return known
        return replace(found, gap_seconds=found.gap_seconds or known.gap_seconds)

    def _carried(self, ours: Mapping[str, Any], course: Course, hinted: Mapping[str, Any]) -> PollState:
        """The state with `course` and `ours`. What others remember stays."""
        gone = {*OURS, _THROTTLED}
        others = {name: value for name, value in (self._state.cursor or {}).items() if name not in gone}
        cursor = shape.remark({**others, **ours, **cursor_of(course), **hinted}, None)
        return replace(self._state, cursor=cursor)

    def _remark(self) -> str | None:
        days = x_walk.missed(self.course)
        if days is None:
            return None
        return f"posts from {days[0]} to {days[1]} cannot be had: recent search goes back seven days"
