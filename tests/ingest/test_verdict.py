"""What a step means for its source: when it comes back, and what is written of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.config import WorkerSettings
from digestd.feed.schedule import Rhythm, Schedule
from digestd.ingest.verdict import Verdict, judge, record_of, rhythm_of
from digestd.kinds import Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, Failure, Hints, PollState, Source, SourceSpec, Step
from digestd.store import Claim, StepRecord
from support.fault_server import respond
from support.http_door import opened

DAY = 86_400.0
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GONE = Failure("http_status", "the server answered 410 Gone", 410)
SOURCE = Source(1, SourceSpec("one", "feed", "https://one.example/feed"))


def claim(failures: int = 0) -> Claim:
    return Claim(SOURCE, PollState(), "token", failures, 0)


def verdict_of(step: Step, failures: int = 0, chance: float = 0.0) -> Verdict:
    settings = WorkerSettings(interval_seconds=300, jitter_seconds=60)
    return judge(claim(failures), step, settings, now=NOW, chance=chance, offline=False)


def recorded(step: Step) -> StepRecord:
    verdict = verdict_of(step)
    return record_of(claim(), step, verdict, now=NOW, lease_seconds=75, final=True, extract=True)


async def unread(*_: object, **__: object) -> Document:
    raise AssertionError("nothing is to be read")


async def answered(status: int, headers: dict[str, str]) -> Step:
    """What the kind `feed` makes of a server's answer."""
    async with opened({"/feed": respond(b"<html>", status, headers)}) as (server, http):
        source = Source(1, SourceSpec("one", "feed", server.url("/feed")))
        return await FeedKind(Tools(unread)).step(source, PollState(), http)


@pytest.mark.parametrize("status", [202, 404, 429, 503])
@pytest.mark.parametrize(
    ("asked", "delay"), [("7200", 7200.0), ("99999999", DAY), ("10", 300.0), ("soon", 300.0)]
)
async def test_retry_after_is_a_floor_of_the_next_poll(status: int, asked: str, delay: float) -> None:
    step = await answered(status, {"Retry-After": asked})
    verdict = verdict_of(step)
    assert verdict.consecutive_failures == 1
    assert verdict.schedule.delay_seconds == delay
    assert verdict.schedule.reason == ("retry_after" if delay > 300 else "interval")


async def test_202_is_degraded_at_once_and_in_words() -> None:
    written = recorded(await answered(202, {"Retry-After": "7200", "X-Amzn-Waf-Action": "challenge"}))
    assert (written.state, written.succeeded, written.next_delay_seconds) == ("degraded", False, 7200.0)
    assert written.last_error == (
        "http_status: the server answered 202 Accepted, and there is no document yet: it is the challenge of a bot "
        "protection (AWS WAF); ask the publisher to let feed readers through, or look for another address of the feed"
    )


async def test_an_error_status_is_not_degraded_at_once() -> None:
    written = recorded(await answered(404, {}))
    assert (written.state, written.succeeded) == ("active", False)


@given(st.floats(0, 7 * DAY), st.integers(0, 40), st.floats(0, 1, exclude_max=True))
def test_no_server_keeps_us_away_for_more_than_a_day(asked: float, failures: int, chance: float) -> None:
    failure = Failure("http_status", "the server answered 202 Accepted", 202, asked)
    delay = verdict_of(Step(PollState(), failure=failure), failures, chance).schedule.delay_seconds
    assert min(asked, DAY) <= delay <= DAY


def test_hints_of_a_step_slow_its_source_down() -> None:
    step = Step(PollState(), unchanged=True, hints=Hints(cache_seconds=1_800.0))
    assert verdict_of(step).schedule == Schedule(1_800, "cache_control")


def rhythm(settings: dict[str, Any] | None = None, **spec: Any) -> Rhythm:
    worker = WorkerSettings(interval_seconds=300, jitter_seconds=60, **(settings or {}))
    return rhythm_of(SourceSpec("one", "feed", "https://one.example/feed", **spec), worker)


def test_a_source_has_the_last_word_on_how_often_it_is_polled() -> None:
    wanted = {"adaptive": True, "adaptive_min_seconds": 600, "adaptive_max_seconds": 7_200}
    assert rhythm() == Rhythm(300, 60, None, 3_600)
    assert rhythm(interval_seconds=900, jitter_seconds=5) == Rhythm(900, 5, None, 3_600)
    assert rhythm(wanted) == Rhythm(300, 60, (600, 7_200), 3_600)
    assert rhythm(wanted, interval_seconds=900) == Rhythm(900, 60, None, 3_600)
    assert rhythm(wanted, options={"adaptive": False}) == Rhythm(300, 60, None, 3_600)
    assert rhythm(interval_seconds=900, options={"adaptive": True}) == Rhythm(900, 60, (300, 21_600), 3_600)
    assert rhythm(options={"longest_hint_seconds": 7_200}) == Rhythm(300, 60, None, 7_200)
    assert rhythm(options={"hints": False, "longest_hint_seconds": 7_200}) == Rhythm(300, 60, None, 0)


def test_what_says_410_for_a_day_is_gone_and_looked_at_weekly_until_it_answers() -> None:
    first = recorded(Step(PollState("etag"), failure=GONE))
    assert (first.state, first.schedule_reason) == ("active", "interval")
    day_ago = {"gone_since": (NOW - timedelta(days=1)).isoformat()}
    second = recorded(Step(PollState("etag", cursor=day_ago), failure=GONE))
    assert (second.state, second.schedule_reason, second.next_delay_seconds) == ("gone", "gone", 7 * DAY)
    silent = Failure("connect", "nobody answers")
    third = recorded(Step(second.next_state, failure=silent))
    assert (third.state, third.schedule_reason) == ("gone", "gone")
    there = recorded(Step(third.next_state, unchanged=True))
    assert (there.state, there.schedule_reason) == ("active", "interval")
    assert there.next_state == PollState("etag")


def test_while_our_network_is_away_nothing_is_gone_and_nothing_counts() -> None:
    settings, failure = WorkerSettings(), Failure("connect", "nobody answers")
    step = Step(PollState(), failure=failure)
    verdict = judge(claim(2), step, settings, now=NOW, chance=0, offline=True)
    assert (verdict.consecutive_failures, verdict.schedule) == (2, Schedule(60, "offline"))


def test_a_failure_that_showed_that_our_network_is_away_is_taken_back() -> None:
    step = Step(PollState(), failure=Failure("dns", "no such name"))
    counts = [
        judge(
            claim(failures), step, WorkerSettings(), now=NOW, chance=0, offline=True, excused=excused
        ).consecutive_failures
        for failures, excused in ((1, True), (1, False), (0, True), (4, True))
    ]
    assert counts == [0, 1, 0, 4]


def test_a_source_that_has_fallen_silent_is_told_and_stays_active() -> None:
    silent = Hints(gap_seconds=3_600.0, newest_at=NOW - timedelta(days=45))
    written = recorded(Step(PollState(), unchanged=True, hints=silent))
    assert written.state == "active"
    assert written.last_error == "silent: nothing new for 45 days; it used to bring an entry every hour"
    remarked = recorded(Step(PollState(), unchanged=True, hints=silent, remark="look here"))
    assert remarked.last_error == written.last_error
    well = recorded(Step(PollState(), unchanged=True, remark="look here"))
    assert (well.state, well.last_error) == ("active", "remark: look here")
    misshapen = recorded(Step(PollState(cursor={"degraded": "odd"}), unchanged=True, hints=silent))
    assert (misshapen.state, misshapen.last_error) == ("degraded", "shape: odd")
