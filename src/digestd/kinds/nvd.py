"""The kind `nvd`: CVEs as NVD has them, by its CVE API 2.0, in windows of the time of their last change.

API: https://nvd.nist.gov/developers/vulnerabilities, /developers/start-here. This product uses data from the NVD API
but is not endorsed or certified by the NVD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import Field

from digestd.config.kind_options import BaseURL, KindOptions
from digestd.config.options import SecretValue
from digestd.errors import FetchTimeout, NotAFeed, ParserFailed, SourceError, TooLarge
from digestd.feed import shape
from digestd.feed.nvd import MOST_RESULTS, read_cves
from digestd.feed.nvd_windows import (
    FEWEST_RESULTS,
    Window,
    address,
    cursor_after,
    goes_on,
    onward,
    reached_in,
    remembered,
    window_in,
)
from digestd.feed.rate_limits import retry_after
from digestd.feed.text import line_of
from digestd.kinds import Http, Tools, failure_of, options_of
from digestd.model import Document, Failure, PollState, Response, Source, Step

SPACING_SECONDS = 6.0
"""5 requests in 30 s are allowed without a key."""
SPACING_WITH_KEY_SECONDS = 0.6
"""50 requests in 30 s are allowed with one."""
PAUSE_SECONDS = 30.0
"""How long NVD is left alone the first time that it says that it was asked too often; doubled with each further one."""

_LONGEST_PAUSE_SECONDS = 3_600.0
# What is over by itself within a quarter of an hour is nobody's failure.
_MOST_PUT_OFF = 5
_MOST_COUNTED = 20
_THROTTLING = frozenset({403, 429, 503})
_THROTTLED = "throttled"
_PATH = "/rest/json/cves/2.0"
_LONGEST_SAID = 200


class NvdOptions(KindOptions):
    """The options of NVD: the `key` to its API, how many `days` back the first poll begins, and how many CVEs are asked
    for at one time."""

    key: SecretValue | None = None
    days: int = Field(default=2, ge=1, le=3_650)
    results_per_page: int = Field(default=MOST_RESULTS, ge=FEWEST_RESULTS, le=MOST_RESULTS)
    base_url: BaseURL = "https://services.nvd.nist.gov"

    def place(self, url: str | None) -> str:
        """The address of the API. Raises ValueError."""
        place = f"{self.base_url}{_PATH}"
        if url not in (None, place):
            raise ValueError("leave it out: the API has one address, and base_url tells of another site")
        return place


class NvdKind:
    """One page a step; a poll is a window of them, or several where it has been long since the last one."""

    options = NvdOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now

    def spacing_seconds(self, source: Source) -> float:
        """See :class:`digestd.kinds.Kind`."""
        has_key = options_of(NvdOptions, source).key is not None
        return SPACING_WITH_KEY_SECONDS if has_key else SPACING_SECONDS

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`. A page that is too much, for NVD, for the network or for us, is asked
        for again with half as many CVEs."""
        options, cursor, now = options_of(NvdOptions, source), state.cursor or {}, self._now()
        window = window_in(cursor, now, options.days, options.results_per_page)
        try:
            answer = await http.ask(address(source.url, window), headers=_headers(http))
            if answer.status != 200:
                return _refused(answer, cursor, state, http, now)
            page = await self._page(source, answer, window)
        except (TooLarge, ParserFailed, FetchTimeout) as error:
            return _smaller(error, window, state)
        left = onward(window, page.facts, now)
        kept = cursor_after(
            window,
            left,
            reached_in(cursor, now),
            page.facts,
            now,
            options.results_per_page,
        )
        return Step(
            next_state=PollState(cursor=kept),
            documents=(page,),
            more=goes_on(kept),
            body_bytes=len(answer.body),
        )

    async def _page(self, source: Source, answer: Response, window: Window) -> Document:
        try:
            return await self._read(read_cves, answer.body, answer.url, window.at, source_url=source.spec.url)
        except NotAFeed as error:
            raise NotAFeed(shape.explain(str(error), answer.body, answer.url, answer.headers)) from error


def _headers(http: Http) -> dict[str, str]:
    key = http.secret("key")
    return {"Accept": "application/json"} | ({} if key is None else {"apiKey": key})


def _refused(
    answer: Response, cursor: Mapping[str, Any], state: PollState, http: Http, now: datetime
) -> Step:
    asked = retry_after(answer.headers, now=now)
    if answer.status not in _THROTTLING:
        failure = _failure(answer, has_key=http.secret("key") is not None)
        return Step(next_state=state, failure=replace(failure, retry_after_seconds=asked))
    counted = cursor.get(_THROTTLED)
    times = counted if type(counted) is int and 0 <= counted < _MOST_COUNTED else 0
    wait = max(min(PAUSE_SECONDS * 2.0**times, _LONGEST_PAUSE_SECONDS), asked or 0.0)
    http.leave_alone(answer.url, wait)
    words = (
        f"the server answered {answer.status}: NVD was asked too often from this address, or is too busy, and is left "
        f"alone for {wait:g} s"
    )
    cause = "paused" if times < _MOST_PUT_OFF else "http_status"
    return Step(
        next_state=replace(state, cursor={**cursor, _THROTTLED: times + 1}),
        failure=Failure(cause, words, answer.status, wait),
    )


def _failure(answer: Response, *, has_key: bool) -> Failure:
    said = line_of(answer.headers.get("message", ""), _LONGEST_SAID)
    told = f"the server answered {answer.status}{f' ({said})' if said else ''}"
    if answer.status == 404 and "apikey" in said.lower():
        remedy = "check the option key" if has_key else "give the source a key"
        return Failure("settings", f"{told}: NVD does not take the key of its API; {remedy}", 404)
    if answer.status == 404 and said:
        return Failure(
            "settings", f"{told}: NVD does not take the request; check the options of the source", 404
        )
    if answer.status == 404:
        return Failure("http_status", f"{told}: there is no CVE API at this address; check base_url", 404)
    return Failure("http_status", told, answer.status)


def _smaller(error: SourceError, window: Window, state: PollState) -> Step:
    failure, size = failure_of(error), max(window.size // 2, FEWEST_RESULTS)
    if size == window.size:
        return Step(next_state=state, failure=failure)
    words = f"{failure.message}; pages of {size:,} CVEs are asked for next"
    kept = {**(state.cursor or {}), **remembered(replace(window, size=size))}
    return Step(next_state=replace(state, cursor=kept), failure=replace(failure, message=words))
