"""When permanent redirects are believed, and when they are not any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.moving import (
    AGREED_AFTER,
    SHARED,
    WANTED,
    Moved,
    after_answer,
    after_failure,
    carried,
    normalised,
    url_of,
)
from digestd.model import Failure, PollState, Source, SourceSpec

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLD, NEW, OTHER = "https://old.example/feed", "https://new.example/feed", "https://other.example/feed"


def source(url: str = OLD, effective_url: str | None = None) -> Source:
    return Source(1, SourceSpec("one", "feed", url), effective_url=effective_url)


def led(
    target: str | None,
    state: PollState | None = None,
    now: datetime = NOW,
    *,
    url: str = OLD,
    adopted: str | None = None,
    own: str = "",
) -> Moved:
    """What an answer led to `target` makes of a source whose last poll left `state`."""
    state = state or PollState()
    return after_answer(source(url, adopted), own, target, state, state, now)


def believed(target: str, *, url: str = OLD, adopted: str | None = None, own: str = "") -> str | None:
    """What is told of `target` after a week of agreement."""
    first = led(target, url=url, adopted=adopted, own=own)
    if first.effective_url is not None:
        return first.effective_url
    return led(target, first.state, NOW + AGREED_AFTER, url=url, adopted=adopted, own=own).effective_url


ANSWERS = st.lists(
    st.tuples(st.integers(0, 100), st.sampled_from([NEW, NEW, NEW, OTHER, None])), min_size=1, max_size=40
)


@given(ANSWERS)
def test_a_target_is_told_once_every_answer_of_a_week_led_there(
    answers: list[tuple[int, str | None]],
) -> None:
    state, now = PollState(), NOW
    since, last = NOW, None
    for hours, target in answers:
        now += timedelta(hours=hours)
        if target != last:
            since, last = now, target
        moved = led(target, state, now)
        state = moved.state
        agreed = target is not None and now - since >= AGREED_AFTER
        assert moved.effective_url == (target if agreed else None)
        if agreed:
            # Told again only after as long.
            since = now


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://one.example/feed?a=b", "https://one.example/feed?a=b"),
        ("HTTP://One.Example:80/feed#top", "https://one.example/feed"),
        ("http://one.example", "https://one.example:443/"),
        ("http://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://[::1]:8080/feed", "https://[::1]:8080/feed"),
        ("http://one.example/feed", "https://one.example/feed/"),
        ("http://one.example:8080/feed", "https://one.example/feed"),
    ],
)
def test_the_same_over_tls_is_believed_at_once(url: str, target: str) -> None:
    assert led(target, url=url).effective_url == target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://one.example/feed", "https://www.one.example/feed"),
        ("http://one.example/feed", "https://one.example/feed/all"),
        ("http://one.example/feed", "https://one.example/feed?page=1"),
        ("http://one.example/feed", "http://one.example/feed/"),
        ("http://one.example/feed", "http://two.example/feed"),
        ("https://one.example/feed", "https://two.example/feed"),
    ],
)
def test_anything_else_is_believed_after_a_week(url: str, target: str) -> None:
    first = led(target, url=url)
    assert first.effective_url is None
    almost = NOW + AGREED_AFTER - timedelta(seconds=1)
    assert led(target, first.state, almost, url=url).effective_url is None
    assert led(target, first.state, NOW + AGREED_AFTER, url=url).effective_url == target


@pytest.mark.parametrize(
    ("url", "target", "own"),
    [
        ("https://one.example/feed", "http://one.example/feed", ""),
        ("https://one.example/feed", "HTTP://two.example/feed", ""),
        ("https://one.example/feed", "https://ONE.example:443/feed#top", ""),
        ("https://one.example/feed", "https://[::1/feed", ""),
        ("https://user:secret@one.example/feed", "https://one.example/other", ""),
        ("https://user@one.example/feed", "https://two.example/feed", ""),
        ("https://one.example/feed", "https://two.example/feed", "a1b2"),
        ("https://one.example/feed", "https://one.example:8443/feed", "a1b2"),
        ("http://one.example/feed", "https://one.example/feed", "a1b2"),
    ],
)
def test_what_is_never_believed(url: str, target: str, own: str) -> None:
    first = led(target, url=url, own=own)
    assert first == Moved(PollState())
    assert believed(target, url=url, own=own) is None


def test_credentials_may_move_within_their_origin() -> None:
    target = "https://old.example:443/other"
    assert believed(target, own="a1b2") == target


def test_a_way_back_clears_what_was_adopted() -> None:
    assert believed("https://OLD.example/feed", adopted=NEW) == ""
    assert believed(OTHER, adopted=NEW) == OTHER


def test_credentials_given_later_are_asked_with_where_they_belong() -> None:
    moved = source(adopted := OLD, NEW)
    assert (url_of(moved, ""), url_of(moved, "a1b2"), url_of(source(), "")) == (NEW, OLD, OLD)
    assert url_of(source(adopted, "https://old.example/other"), "a1b2") == "https://old.example/other"
    assert led(None, adopted=NEW, own="a1b2").effective_url == ""
    assert led(NEW, adopted=NEW, own="a1b2") == Moved(PollState(), "")


def test_a_clock_that_was_set_back_begins_anew() -> None:
    first = led(NEW)
    earlier = led(NEW, first.state, NOW - timedelta(days=300))
    assert earlier.effective_url is None
    assert led(NEW, earlier.state, NOW - timedelta(days=294)).effective_url is None
    assert led(NEW, earlier.state, NOW - timedelta(days=293)).effective_url == NEW


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.just("2026-11-01T00:00:00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["moved_to", "moved_since", "moved_failures", SHARED, WANTED, "etag"])


@given(st.dictionaries(NAMES, JSON), st.text() | st.none())
def test_no_row_and_no_target_raises(cursor: dict[str, object], target: str | None) -> None:
    state = PollState(cursor=cursor)
    moved = led(target, state)
    assert moved.effective_url in (None, "")
    assert led(target, moved.state).state == moved.state
    after_failure(state, Failure("dns", "no answer"), adopted=True)


@given(st.dictionaries(st.sampled_from(["asked", "older", "x"]), st.integers(), max_size=3), st.booleans())
def test_what_others_remember_stays(cursor: dict[str, object], redirected: bool) -> None:
    state = PollState('"1"', "Mon", "hash", cursor)
    moved = led(NEW if redirected else None, state).state
    kept = {name: value for name, value in (moved.cursor or {}).items() if not name.startswith("moved_")}
    assert (kept, moved.etag, moved.last_modified, moved.body_hash) == (cursor, '"1"', "Mon", "hash")
    assert redirected == (moved != state)


def test_the_memory_goes_along_with_a_new_document() -> None:
    before = led(NEW, PollState(cursor={WANTED: True})).state
    reached = PollState('"2"', cursor={"asked": "1"})
    moved = after_answer(source(), "", NEW, before, reached, NOW + AGREED_AFTER)
    assert moved.effective_url == NEW
    assert (moved.state.cursor or {}).keys() == {"asked", "moved_to", "moved_since", WANTED}
    assert carried(before, reached).cursor == {"asked": "1", **(before.cursor or {})}
    assert carried(PollState(), reached) == reached


def gone(cause: str = "dns", status: int | None = None) -> Failure:
    return Failure(cause, "it broke", status)


@pytest.mark.parametrize(
    ("cause", "status"),
    [("dns", None), ("connect", None), ("tls", None), ("http_status", 404), ("http_status", 410)],
)
def test_three_failures_in_a_row_fall_back(cause: str, status: int | None) -> None:
    state, told = PollState('"1"', cursor={"asked": "1"}), []
    for _ in range(3):
        moved = after_failure(state, gone(cause, status), adopted=True)
        state = moved.state
        told.append(moved.effective_url)
    assert told == [None, None, ""]
    assert state == PollState('"1"', cursor={"asked": "1"})


@pytest.mark.parametrize(
    "other", [Failure("timeout", "late"), gone("http_status", 503), gone("http_status", 403), None]
)
def test_another_failure_or_an_answer_begins_anew(other: Failure | None) -> None:
    state = PollState()
    for _ in range(2):
        state = after_failure(state, gone(), adopted=True).state
    state = after_failure(state, other, adopted=True).state if other else led(None, state, adopted=NEW).state
    assert after_failure(state, gone(), adopted=True).effective_url is None


def test_what_did_not_move_does_not_fall_back() -> None:
    state = PollState(cursor={"moved_failures": 2})
    assert after_failure(state, gone(), adopted=False) == Moved(state)


def test_a_failure_leaves_the_agreement() -> None:
    state = after_failure(led(NEW, adopted=OTHER).state, gone("timeout"), adopted=True).state
    assert led(NEW, state, NOW + AGREED_AFTER, adopted=OTHER).effective_url == NEW


class TestShared:
    """Of a source that leads to where another one is, and for which that one is paused."""

    STATE = PollState(cursor={**(led(NEW).state.cursor or {}), SHARED: True})

    def test_keeps_its_mark_while_it_leads_there(self) -> None:
        moved = led(NEW, self.STATE, NOW + timedelta(days=3))
        assert (moved.effective_url, (moved.state.cursor or {}).get(SHARED)) == (None, True)
        again = led(NEW, moved.state, NOW + AGREED_AFTER)
        assert (again.effective_url, (again.state.cursor or {}).get(SHARED)) == (NEW, True)

    @pytest.mark.parametrize("target", [None, OTHER])
    def test_tells_when_it_leads_there_no_more(self, target: str | None) -> None:
        moved = led(target, self.STATE)
        assert (moved.effective_url, SHARED in (moved.state.cursor or {})) == ("", False)

    def test_tells_when_it_is_gone(self) -> None:
        state = self.STATE
        for expected in (None, None, ""):
            moved = after_failure(state, gone(), adopted=False)
            state = moved.state
            assert moved.effective_url == expected
        assert state == PollState()


@given(st.text() | st.from_regex(r"https?://[a-zA-Z0-9.:@\[\]]{0,20}(/[a-z?#=]{0,10})?", fullmatch=True))
def test_what_is_normalised_stays_as_it_is(url: str) -> None:
    plain = normalised(url)
    assert plain is None or normalised(plain) == plain


def test_what_is_asked_with_user_info_is_another_document() -> None:
    assert normalised("https://user:Pw@ONE.example:443/") == "https://user:Pw@one.example/"
    assert normalised("https://one.example:8443") == "https://one.example:8443/"
    assert normalised("https://one.example:port/") is None
