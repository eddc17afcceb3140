"""What a step means for its source: when it comes back, and what is written of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.config import WorkerSettings
from digestd.ingest.verdict import Verdict, judge, record_of
from digestd.kinds import Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, Failure, PollState, Source, SourceSpec, Step
from digestd.store import Claim, StepRecord
from support.fault_server import respond
from support.http_door import opened

DAY = 86_400.0
SOURCE = Source(1, SourceSpec("one", "feed", "https://one.example/feed"))


def claim(failures: int = 0) -> Claim:
    return Claim(SOURCE, PollState(), "token", failures, 0)


def verdict_of(step: Step, failures: int = 0, chance: float = 0.0) -> Verdict:
    settings = WorkerSettings(interval_seconds=300, jitter_seconds=60)
    return judge(claim(failures), step, settings, chance=chance, offline=False)


def recorded(step: Step) -> StepRecord:
    return record_of(claim(), step, verdict_of(step), lease_seconds=75, final=True, extract=True)


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
