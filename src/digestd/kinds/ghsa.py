"""The kind `ghsa`: GitHub's advisories, by its REST API.

API: https://docs.github.com/en/rest/security-advisories/global-advisories; limits:
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import Field

from digestd.config.kind_options import BaseURL, KindOptions
from digestd.config.options import SecretValue
from digestd.errors import NotAFeed
from digestd.feed import shape
from digestd.feed.ghsa import read_advisories, words_of
from digestd.feed.ghsa_rounds import Round, address, began, begun_again, cursor_after, onward, round_in
from digestd.feed.rate_limits import remaining, reset_seconds, retry_after
from digestd.kinds import Http, Tools, options_of
from digestd.model import Document, Failure, PollState, Response, Source, Step

SPACING_SECONDS = 1.0
"""GitHub asks for a second between requests; how many an hour may have, its answers say."""
PAUSE_SECONDS = 60.0
"""How long GitHub is left alone where it says that it was asked too often, and not until when; doubled each time."""

_LONGEST_PAUSE_SECONDS = 3_600.0
# Limits are of an hour: what is still refused then is worth a word.
_MOST_PUT_OFF = 5
_MOST_COUNTED = 20
_RESET, _REMAINING = "x-ratelimit-reset", "x-ratelimit-remaining"
_THROTTLED = "throttled"

Type = Literal["reviewed", "malware", "unreviewed"]
Severity = Literal["unknown", "low", "medium", "high", "critical"]
Ecosystem = Literal[
    "actions",
    "composer",
    "erlang",
    "go",
    "maven",
    "npm",
    "nuget",
    "other",
    "pip",
    "pub",
    "rubygems",
    "rust",
    "swift",
]


class GhsaOptions(KindOptions):
    """The options of GitHub's advisories: which ones, how many `days` back the first poll begins, and the `token` that
    they are asked for with."""

    type: Type = "reviewed"
    ecosystem: Ecosystem | None = None
    severity: Severity | None = None
    token: SecretValue | None = None
    days: int = Field(default=2, ge=1, le=3_650)
    base_url: BaseURL = "https://api.github.com"

    def place(self, url: str | None) -> str:
        """What is asked for, without when. Raises ValueError."""
        if url is not None:
            raise ValueError("leave it out: type, ecosystem and severity tell what is asked for")
        asked = {"type": self.type, "ecosystem": self.ecosystem, "severity": self.severity}
        return (
            f"{self.base_url}/advisories?{urlencode({name: value for name, value in asked.items() if value})}"
        )


class GhsaKind:
    """One page a step; a poll is a round of them."""

    options = GhsaOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now

    def spacing_seconds(self, source: Source) -> float:
        """See :class:`digestd.kinds.Kind`."""
        return SPACING_SECONDS

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`."""
        options, cursor, now = options_of(GhsaOptions, source), state.cursor or {}, self._now()
        one = round_in(cursor, now, options.days)
        answer = await http.ask(address(source.spec.url, one), headers=_headers(http))
        if answer.status != 200:
            return self._refused(answer, one, cursor, http)
        if remaining(answer.headers, _REMAINING) == 0 and (wait := _until_reset(answer, now)):
            http.leave_alone(answer.url, wait)
        page = await self._page(source, answer)
        one = began(one, answer.headers, now)
        left = onward(one, answer.headers, answer.url)
        return Step(
            next_state=PollState(cursor=cursor_after(cursor, one, left)),
            documents=(page,),
            more=left is not None,
            body_bytes=len(answer.body),
        )

    async def _page(self, source: Source, answer: Response) -> Document:
        try:
            return await self._read(read_advisories, answer.body, answer.url, source_url=source.spec.url)
        except NotAFeed as error:
            raise NotAFeed(shape.explain(str(error), answer.body, answer.url, answer.headers)) from error

    def _refused(self, answer: Response, one: Round, cursor: Mapping[str, Any], http: Http) -> Step:
        said = words_of(answer.body)
        told = f"the server answered {answer.status}{f' ({said})' if said else ''}"
        counted = cursor.get(_THROTTLED)
        times = counted if type(counted) is int and 0 <= counted < _MOST_COUNTED else 0
        wait = _wait(answer, said, times, self._now())
        if wait is not None:
            http.leave_alone(answer.url, wait)
            advice = "" if http.secret("token") else ", which allows more to who gives it a token"
            words = f"{told}: GitHub was asked too often{advice}, and is left alone for {wait:.0f} s"
            cause = "paused" if times < _MOST_PUT_OFF else "http_status"
            kept = {**cursor, _THROTTLED: times + 1}
            return Step(next_state=PollState(cursor=kept), failure=Failure(cause, words, answer.status, wait))
        failure = _failure(answer.status, told, has_token=http.secret("token") is not None)
        failure = replace(failure, retry_after_seconds=retry_after(answer.headers, now=self._now()))
        kept = dict(cursor)
        if answer.status == 422 and one.after is not None:
            words = (
                f"{told}: GitHub does not know the page any more where the last poll ended; it begins again"
            )
            failure, kept = replace(failure, cause="http_status", message=words), begun_again(cursor)
        return Step(next_state=PollState(cursor=kept or None), failure=failure)


def _headers(http: Http) -> dict[str, str]:
    fields = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    token = http.secret("token")
    return fields if token is None else fields | {"Authorization": f"Bearer {token}"}


def _until_reset(answer: Response, now: datetime) -> float | None:
    return reset_seconds(answer.headers, _RESET, "epoch", now=now)


def _wait(answer: Response, said: str, times: int, now: datetime) -> float | None:
    """For how long GitHub wants us away; None where it says something else. Of the secondary limit `retry-after` tells,
    of the other one the reset, and of neither a minute is to be waited, and longer each time."""
    if answer.status not in (403, 429):
        return None
    if wait := retry_after(answer.headers, now=now):
        return wait
    is_spent = remaining(answer.headers, _REMAINING) == 0
    if is_spent and (wait := _until_reset(answer, now)):
        # Their clock and ours tick differently.
        return wait + 1
    if answer.status == 429 or is_spent or "rate limit" in said.lower():
        return float(min(PAUSE_SECONDS * 2.0**times, _LONGEST_PAUSE_SECONDS))
    return None


def _failure(status: int, told: str, *, has_token: bool) -> Failure:
    if status == 401:
        remedy = "GitHub does not take the token; make a new one, it needs no rights"
        return Failure("settings", f"{told}: {remedy if has_token else 'give the source a token'}", status)
    if status == 422:
        return Failure(
            "settings", f"{told}: GitHub does not take the request; check the options of the source", status
        )
    if status == 403:
        return Failure(
            "http_status", f"{told}: GitHub refuses it{'; check the token' if has_token else ''}", status
        )
    if status == 404:
        words = f"{told}: there is no API with advisories at this address; check base_url"
        return Failure("http_status", words, status)
    return Failure("http_status", told, status)
