"""The robots.txt of each origin: asked for once, remembered for a day (RFC 9309, 2.3 and 2.4)."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

import trio

from digestd.errors import FetchError, HTTPStatus, RedirectFailed
from digestd.ingest.network.urls import target_of
from digestd.kinds import Http
from digestd.model import Response
from digestd.page.robots import ALLOW_ALL, ROBOTS_BYTES, Rules, parse_robots

FRESH_SECONDS = 86_400.0
"""How long a robots.txt is gone by before it is asked for again (RFC 9309, 2.4)."""

STALE_SECONDS = 2 * 86_400.0
"""How old one may become that cannot be asked for again."""

UNREACHABLE_SECONDS = 300.0
"""How long a robots.txt that could not be had is not asked for again, unless the server wants more."""

_HTML = frozenset({"text/html", "application/xhtml+xml"})
# A larger one can take longer to read than the event loop may stand still: 4 KiB of 100 agents with 300 rules 0.1 s.
_READ_AT_ONCE_BYTES = 1024


@dataclass(slots=True)
class _Origin:
    """What is known of one origin. `users` tasks are inside :meth:`Robots.rules` with it."""

    asking: trio.Lock = field(default_factory=trio.Lock)
    users: int = 0
    rules: Rules | None = None
    stale_at: float = -math.inf
    failure: FetchError | None = None
    ask_again_at: float = -math.inf


class Robots:
    """The rules of the origins that were asked for latest.

    At most `most_origins` are remembered, and `most_rules` rules of all of them (about 60 MB at worst); those that
    nobody asked for the longest time go first.
    """

    def __init__(self, http: Http, *, most_origins: int = 2_000, most_rules: int = 100_000) -> None:
        self._http = http
        self._most_origins = most_origins
        self._most_rules = most_rules
        self._rules_held = 0
        self._origins: OrderedDict[str, _Origin] = OrderedDict()
        # Two threads would not compute faster.
        self._reading = trio.CapacityLimiter(1)

    async def rules(self, url: str) -> Rules:
        """The rules for the origin of `url`: remembered, or asked for now, within the turn that the caller has there.

        Error handling: the :class:`~digestd.errors.FetchError` that kept us from a robots.txt which may exist. All is
        forbidden then (RFC 9309, 2.3.1.4), but not for good: its `retry_after` says when it is asked for again. A
        robots.txt that there is not (4xx, too many redirects, an HTML page after a redirect) allows all.
        Cancellation: nothing is remembered of a request that did not end; of those who wait for it, one asks anew.
        """
        where = str(target_of(url).url.copy_with(raw_path=b"/robots.txt"))
        origin = self._origins.setdefault(where, _Origin())
        self._origins.move_to_end(where)
        origin.users += 1
        try:
            async with origin.asking:
                if trio.current_time() >= origin.ask_again_at:
                    await self._ask(where, origin)
        finally:
            origin.users -= 1
            self._make_room()
        return _known(origin)

    async def _ask(self, where: str, origin: _Origin) -> None:
        try:
            rules = await self._fetch(where)
        except FetchError as error:
            origin.failure = _copy(error, f"robots.txt could not be read: {error}")
            pause = min(max(error.retry_after or 0.0, UNREACHABLE_SECONDS), FRESH_SECONDS)
            origin.ask_again_at = trio.current_time() + pause
            return
        self._rules_held += rules.size - (origin.rules.size if origin.rules else 0)
        now = trio.current_time()
        origin.rules = rules
        origin.ask_again_at, origin.stale_at = now + FRESH_SECONDS, now + STALE_SECONDS

    async def _fetch(self, where: str) -> Rules:
        try:
            response = await self._http.get(where, cut_at=ROBOTS_BYTES + 1)
        except HTTPStatus as error:
            # 429 is no answer to the question whether there is one.
            if error.status >= 500 or error.status == 429:
                raise
            return ALLOW_ALL
        except RedirectFailed:
            # "unavailable" (RFC 9309, 2.3.1.2), however the redirects failed: there is nothing to wait for.
            return ALLOW_ALL
        if _is_other_page(response):
            return ALLOW_ALL
        if len(response.body) <= _READ_AT_ONCE_BYTES:
            return parse_robots(response.body)
        return await trio.to_thread.run_sync(parse_robots, response.body, limiter=self._reading)

    def _make_room(self) -> None:
        for where, origin in list(self._origins.items()):
            if len(self._origins) <= self._most_origins and self._rules_held <= self._most_rules:
                return
            if origin.users == 0:
                del self._origins[where]
                self._rules_held -= origin.rules.size if origin.rules else 0


def _is_other_page(response: Response) -> bool:
    """Whether the redirects ended at some HTML page: sites that have no robots.txt send us to their home page."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type in _HTML and target_of(response.url).url.path != "/robots.txt"


def _known(origin: _Origin) -> Rules:
    now = trio.current_time()
    if origin.rules is not None and now < origin.stale_at:
        return origin.rules
    assert origin.failure is not None
    failure = _copy(origin.failure, str(origin.failure))
    failure.retry_after = max(origin.ask_again_at - now, 0.0)
    raise failure


def _copy(error: FetchError, message: str) -> FetchError:
    """A copy of `error` that says `message`, without the frames that it, and who else raised it, came through."""
    copy = error.__class__.__new__(error.__class__, message)
    copy.__dict__.update(error.__dict__)
    return copy
