"""What X refuses, what it says of users, and what happens without a token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from digestd.feed.budget import Expense
from digestd.kinds import Tools
from digestd.kinds.x import NO_TOKEN, XKind
from digestd.model import Failure, PollState, Source, SourceSpec, Step
from support.kind_runs import parse_here
from support.x_reader import SEARCH, USER, Clock, Reader, ids, site_at
from support.x_site import XSite


@pytest.mark.parametrize(
    ("trouble", "status", "said"),
    [
        (
            {"credits": 0},
            402,
            "Your enrolled account [123] does not have any credits to fulfill this request",
        ),
        ({"spend_cap": True}, 403, "Your enrolled account has reached its billing cycle spend cap"),
        ({"cap": 0}, 429, "Usage cap exceeded: Monthly product cap"),
    ],
)
async def test_credits_that_are_used_up_end_the_day_for_all(
    trouble: dict[str, Any], status: int, said: str
) -> None:
    clock = Clock()
    site = site_at(clock, 3, **trouble)
    reader = Reader(site, SEARCH)
    await reader.poll()
    advice = (
        "the credits of the account are used up, or its cap is reached; nothing is asked with this token until "
        "midnight UTC; buy credits or raise the cap in the Developer Console"
    )
    seconds = 16 * 3_600.0
    words = f"the server answered {status} ({said}): {advice}"
    assert reader.failure == Failure("http_status", words, status, seconds)
    # It is no matter of how often: the host is not left alone, for other tokens may have credits.
    assert reader.asking.left_alone == []
    clock.later(hours=1)
    other = Reader(site, budgets=reader.budgets)
    await other.poll()
    because = f"the server answered {status}: {advice}"
    assert other.failure == Failure(
        "paused",
        f"nothing is asked with this token until midnight UTC: {because}",
        retry_after_seconds=seconds - 3_600,
    )
    assert len(site.asked) == 1
    site.credits, site.spend_cap, site.cap = None, False, None
    clock.later(hours=16)
    await other.poll()
    assert other.failure is None
    assert other.guids == ids(site)


async def test_limits_are_over_by_themselves() -> None:
    clock = Clock()
    site = site_at(clock, 3, window=2)
    reader = Reader(site, SEARCH)
    await reader.poll()
    clock.later(seconds=100)
    await reader.poll()
    # None was left, which the answer said.
    assert reader.asking.left_alone == [("api.x.com", 800.0)]
    await reader.poll()
    assert reader.failure == Failure(
        "paused",
        "the server answered 429 (Too Many Requests): X was asked too often with this token, and is left alone "
        "until it may be asked again",
        429,
        800.0,
    )
    assert reader.asking.left_alone == [("api.x.com", 800.0)] * 2
    for _ in range(5):
        await reader.poll()
    assert reader.failure is not None
    assert reader.failure.cause == "http_status"
    clock.later(seconds=800)
    await reader.poll()
    assert reader.failure is None
    assert "throttled" not in reader.cursor


async def test_a_limit_without_a_moment_lasts_a_window() -> None:
    clock = Clock()
    body = b'{"errors": [{"code": 88, "message": "Rate limit exceeded"}]}'
    reader = Reader(site_at(clock, 3), SEARCH)
    reader.asking.before = lambda number: (429, {}, body)
    await reader.poll()
    assert reader.asking.left_alone == [("api.x.com", 900.0)]
    assert reader.failure is not None
    assert (reader.failure.cause, reader.failure.retry_after_seconds) == ("paused", 900.0)


async def test_the_limit_of_a_day_is_longer_than_a_window() -> None:
    clock = Clock()
    reset = int(clock.now.timestamp())
    fields = {
        "x-rate-limit-remaining": "7",
        "x-rate-limit-reset": str(reset + 60),
        "x-app-limit-24hour-remaining": "0",
        "x-app-limit-24hour-reset": str(reset + 7_200),
        "x-user-limit-24hour-remaining": "1",
        "x-user-limit-24hour-reset": str(reset + 9_000),
    }
    reader = Reader(site_at(clock, 3), SEARCH)
    reader.asking.before = lambda number: (429, fields, b"")
    await reader.poll()
    assert reader.asking.left_alone == [("api.x.com", 7_200.0)]
    # Of several that are used up the longest counts; where none is said to be, that of the window is.
    fields["x-user-limit-24hour-remaining"] = "0"
    await reader.poll()
    fields["x-app-limit-24hour-remaining"] = fields["x-user-limit-24hour-remaining"] = "5"
    await reader.poll()
    assert reader.asking.left_alone[1:] == [("api.x.com", 9_000.0), ("api.x.com", 60.0)]


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (
            401,
            {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"},
            Failure(
                "settings",
                "the server answered 401 (Unauthorized): X does not take the bearer_token; make a new one in the "
                "Developer Console",
                401,
            ),
        ),
        (
            403,
            {"title": "Client Forbidden", "reason": "client-not-enrolled", "type": "x/client-forbidden"},
            Failure(
                "settings",
                "the server answered 403 (Client Forbidden): the application behind the bearer_token may not do "
                "this; look at its project and package there",
                403,
            ),
        ),
        (
            400,
            {
                "errors": [{"parameters": {"query": ["("]}, "message": "There were errors processing: ("}],
                "title": "Invalid Request",
            },
            Failure(
                "settings",
                "the server answered 400 (There were errors processing: (): X does not take the request; check "
                "the query and the other options of the source",
                400,
            ),
        ),
        (
            404,
            b"<html>",
            Failure(
                "http_status",
                "the server answered 404: there is nothing of X's at this address; check the user, and base_url",
                404,
            ),
        ),
        (
            503,
            b"",
            Failure(
                "http_status",
                "the server answered 503: X has trouble of its own; nothing needs to be done here",
                503,
            ),
        ),
        (
            202,
            b"",
            Failure("http_status", "the server answered 202: what came is no answer of X's API", 202),
        ),
        (429, {"title": "UsageCapExceeded"}, None),
        (429, {"errors": [{"message": "Usage cap exceeded: Monthly product cap"}]}, None),
        (403, {"title": "Forbidden", "detail": "The account has reached its Spend Cap."}, None),
        (402, b"[", None),
    ],
)
async def test_others(status: int, body: Any, failure: Failure | None) -> None:
    clock = Clock()
    reader = Reader(site_at(clock, 3), SEARCH)
    said = body if isinstance(body, bytes) else json.dumps(body).encode()
    reader.asking.before = lambda number: (status, {}, said)
    await reader.poll()
    assert reader.failure is not None
    if failure is None:
        assert reader.failure.retry_after_seconds == 16 * 3_600
    else:
        assert reader.failure == failure


async def test_what_x_never_takes_is_not_tried_for_ever() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, SEARCH)
    await reader.poll()
    body = {"errors": [{"parameters": {"since_id": ["1"], "start_time": ["1"]}, "message": "no"}]}
    reader.asking.before = lambda number: (400, {}, json.dumps(body).encode())
    reader.asking.asked = 0
    await reader.poll()
    assert reader.failure is not None
    assert (reader.failure.cause, reader.asking.asked) == ("settings", 4)


async def test_there_is_none_of_that_name() -> None:
    reader = Reader(XSite(Clock()))
    await reader.poll()
    assert reader.failure == Failure(
        "http_status",
        "X shows no user examplecert (Could not find user with username: [examplecert]); check the name",
    )
    assert reader.spent == Expense()


async def test_one_that_was_suspended_is_looked_up_again() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site)
    await reader.poll()
    old = site.users.pop("examplecert")
    await reader.poll()
    assert reader.failure == Failure(
        "http_status", f"X shows no posts of examplecert (Could not find user with id: [{old['id']}])"
    )
    site.open_account("someone")
    site.open_account(suspended=True)
    await reader.poll()
    assert reader.failure is not None
    assert reader.failure.message == (
        "X shows no user examplecert (User has been suspended: [examplecert]); check the name"
    )
    site.open_account()
    new = site.post("Back again")
    await reader.poll()
    assert new["id"] in reader.guids


async def test_protected_posts() -> None:
    site = XSite(Clock())
    user = site.open_account(protected=True)
    reader = Reader(site)
    await reader.poll()
    assert reader.failure == Failure(
        "http_status", "the posts of examplecert are protected, and shown to followers alone"
    )
    user["protected"] = False
    site.post()
    await reader.poll()
    assert reader.failure is None
    user["protected"] = True
    await reader.poll()
    assert reader.failure is not None
    assert reader.failure.message.startswith(
        "X shows no posts of examplecert (Sorry, you are not authorized to see the user with id"
    )


async def test_without_one_nothing_is_asked_and_nothing_fails() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, has_token=False)
    reader.state = PollState(cursor={"since": ["7", 0]})
    step = await reader.poll()
    assert step == Step(PollState(cursor={"since": ["7", 0]}), unchanged=True, remark=NO_TOKEN)
    assert site.asked == []


async def test_one_that_is_not_there_is_told() -> None:
    kind = XKind(Tools(parse_here))
    source = Source(1, SourceSpec("one", "x", USER))
    reason = "source 'one': options: bearer_token: the variable X_TOKEN is not set"
    step = kind.without_secrets(source, PollState(), reason)
    assert (step.failure, step.remark) == (None, f"{NO_TOKEN} ({reason})")
    reason = "source 'one': options: proxy: the variable PROXY is not set"
    step = kind.without_secrets(source, PollState(), reason)
    assert step.failure == Failure("settings", reason)


async def test_a_header_is_a_token_too() -> None:
    clock = Clock()
    reader = Reader(site_at(clock, 1), has_token=False, headers={"Authorization": {"env": "X"}})
    await reader.poll()
    assert len(reader.guids) == 1
