"""The kind `x`: what a user of X posts, or what a recent search finds, by its API v2 with a bearer token.

Whatever X gives costs money. So each request is paid for before it is made, from a budget of the day that all sources
with one token share, in all processes; and nothing is asked for twice that was recorded.

API: https://docs.x.com/x-api/users/get-posts, /x-api/posts/search-recent-posts, /x-api/users/get-user-by-username.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from digestd.errors import FetchError, NotAFeed
from digestd.feed import shape, x_walk
from digestd.feed.budget import Bought, Exhausted, Expense, seconds_left_in_day
from digestd.feed.rate_limits import remaining, reset_seconds
from digestd.feed.x import read_posts, read_user
from digestd.feed.x_errors import refusal_of, words_of
from digestd.kinds import Http, Tools, options_of
from digestd.kinds.x_options import XOptions, has_token, smallest
from digestd.kinds.x_visit import USER, Visit
from digestd.model import Document, Failure, PollState, Response, Source, Step

SPACING_SECONDS = 2.0
"""450 recent searches in 15 minutes for one application."""
WINDOW_SECONDS = 900.0
"""X counts requests in windows of so long."""

NO_TOKEN = "there is no bearer_token, so nothing is asked; X's Developer Console gives one"  # noqa: S105 - a sentence

# What X limits, each by a number that is left and a moment: requests of one sort in a window, and of a day.
_LIMITS = ("x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour")
# Who did not get as far as X was given nothing by it.
_NOT_ASKED = frozenset({"address", "busy", "connect", "dns", "paused", "tls", "url"})


class XKind:
    """One request a step: whose timeline it is, once; then its posts, page by page."""

    options = XOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now
        self._budgets = tools.budgets

    def spacing_seconds(self, source: Source) -> float:
        """See :class:`digestd.kinds.Kind`."""
        return SPACING_SECONDS

    def without_secrets(self, source: Source, state: PollState, reason: str) -> Step:
        """See :class:`digestd.kinds.Kind`."""
        if ": options: bearer_token: " in reason:
            return _silent(state, f"{NO_TOKEN} ({reason})")
        return Step(next_state=state, failure=Failure("settings", reason))

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`."""
        if not has_token(source.spec.options):
            return _silent(state, NO_TOKEN)
        visit = Visit(source, options_of(XOptions, source), state, http, self._now())
        if visit.place.user and visit.user_id is None:
            return await self._who(visit)
        return await self._posts(visit)

    async def _who(self, visit: Visit) -> Step:
        bought = await self._budgets.buy(visit.key, Expense(0, visit.prices.user), visit.limits)
        if isinstance(bought, Exhausted):
            return visit.put_off(bought)
        answer = await self._ask(visit, f"{visit.place.url}?user.fields=protected", bought)
        if answer.status != 200:
            return await self._refused(visit, answer)
        user = await self._document(visit, answer, read_user)
        user_id = user.facts["id"]
        await self._budgets.settle(bought, Expense(0, visit.prices.user if user_id else 0))
        if user_id is None:
            return visit.failed(f"X shows no user {visit.place.user} ({user.facts['said']}); check the name")
        if user.facts["protected"]:
            return visit.failed(
                f"the posts of {visit.place.user} are protected, and shown to followers alone"
            )
        return visit.unchanged({USER: user_id}, visit.course, answer, more=True)

    async def _posts(self, visit: Visit) -> Step:
        visit.begin()
        if x_walk.is_over(visit.course):
            return visit.unchanged({}, x_walk.ended(visit.course), None, more=False)
        size, bought = await self._bought(visit)
        if isinstance(bought, Exhausted):
            return visit.put_off(bought)
        answer = await self._ask(visit, visit.address(size), bought)
        if answer.status != 200:
            return await self._refused(visit, answer)
        page = await self._document(visit, answer, read_posts, visit.place.user, visit.horizon)
        await self._budgets.settle(bought, visit.prices.came(page.facts["posts"], page.facts["users"]))
        if page.facts["said"]:
            # Another user may have the name by now: it is looked up again.
            words = f"X shows no posts of {visit.place.user or 'the search'} ({page.facts['said']})"
            return visit.failed(words, forget=True)
        return visit.kept(page, answer)

    async def _bought(self, visit: Visit) -> tuple[int, Bought | Exhausted]:
        """The size of the page that comes next, and the leave to ask for it: smaller, where no more can be paid."""
        size = visit.size
        answer = await self._budgets.buy(visit.key, visit.prices.page(size), visit.limits)
        if isinstance(answer, Exhausted) and answer.because is None:
            affordable = visit.prices.affordable(answer.left)
            if affordable is not None and smallest(visit.place) <= affordable < size:
                size = affordable
                answer = await self._budgets.buy(visit.key, visit.prices.page(size), visit.limits)
        return size, answer

    async def _ask(self, visit: Visit, url: str, bought: Bought) -> Response:
        try:
            answer = await visit.http.ask(url, headers={"Accept": "application/json"})
        except FetchError as error:
            if error.cause in _NOT_ASKED:
                await self._budgets.settle(bought, Expense())
            # Else X may have answered, and charged for it.
            raise
        if answer.status != 200:
            await self._budgets.settle(bought, Expense())
        elif wait := self._used_up(answer):
            visit.http.leave_alone(url, wait)
        return answer

    def _used_up(self, answer: Response) -> float | None:
        """For how long the limits hold that have nothing left; None where there is none."""
        used_up = [name for name in _LIMITS if remaining(answer.headers, f"{name}-remaining") == 0]
        return max((wait for name in used_up if (wait := self._reset(answer, name))), default=None)

    def _reset(self, answer: Response, name: str) -> float | None:
        return reset_seconds(answer.headers, f"{name}-reset", "epoch", now=self._now())

    async def _refused(self, visit: Visit, answer: Response) -> Step:
        refusal = refusal_of(answer)
        words = words_of(answer, refusal)
        if refusal.sort == "credits":
            seconds = seconds_left_in_day(self._now())
            # Nothing that X said: it may repeat what it was sent.
            await self._budgets.close(visit.key, seconds, words_of(answer, replace(refusal, said="")))
            return visit.failed(words, status=answer.status, seconds=seconds)
        if refusal.sort == "often":
            wait = self._used_up(answer) or self._reset(answer, _LIMITS[0]) or WINDOW_SECONDS
            visit.http.leave_alone(answer.url, wait)
            return visit.throttled(words, wait)
        if (onward := visit.in_another_way(refusal)) is not None:
            return visit.unchanged({}, onward, answer, more=True)
        is_ours = refusal.sort in ("token", "parameter")
        return visit.failed(
            words,
            status=answer.status,
            cause="settings" if is_ours else "http_status",
            forget=refusal.sort == "missing",
        )

    async def _document(
        self, visit: Visit, answer: Response, reader: Callable[..., Document], *arguments: object
    ) -> Document:
        url = visit.source.spec.url
        try:
            return await self._read(reader, answer.body, answer.url, *arguments, source_url=url)
        except NotAFeed as error:
            explained = shape.explain(str(error), answer.body, answer.url, answer.headers)
            raise NotAFeed(explained) from error


def _silent(state: PollState, words: str) -> Step:
    # Without hints: that it has fallen silent is no news of X's.
    return Step(state, unchanged=True, remark=words)
