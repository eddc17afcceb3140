"""The kind `mastodon`: what an account posts, or what is posted under a tag, by the API of an instance.

Statuses have ids that rise with time, but for those of other instances that come late: they are put where they would
have been. So each poll asks for the newest page, which brings late ones and edits of the last 40 along. Where that page
does not reach back to what was seen last, nothing of it is kept, and the poll walks forward instead, page by page from
the end of the last one (`min_id`), until a page is empty: oldest first, and without gaps wherever it is interrupted.

API: https://docs.joinmastodon.org/methods/accounts/, /methods/timelines/, /api/rate-limits/, /api/guidelines/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from digestd.config.kind_options import BaseURL, KindOptions
from digestd.config.options import SecretValue
from digestd.errors import NotAFeed
from digestd.feed import hints, shape
from digestd.feed.mastodon import is_id, order_of, read_account, read_statuses
from digestd.feed.mastodon_errors import refusal
from digestd.feed.mastodon_place import Place, place_of, read_place
from digestd.feed.paging import linked_as
from digestd.feed.rate_limits import remaining, reset_seconds
from digestd.kinds import Http, Tools, options_of
from digestd.model import Document, Failure, Hints, PollState, Response, Source, Step

PAGE = 40
"""The most statuses that Mastodon gives at once."""
SPACING_SECONDS = 1.0
"""300 requests in five minutes for one address (https://docs.joinmastodon.org/api/rate-limits/)."""

_RESET, _REMAINING = "x-ratelimit-reset", "x-ratelimit-remaining"
# The id of the account; the newest status that was seen; from where the last page is read again; how far a walk forward
# has come.
_ACCOUNT, _NEWEST, _SINCE, _AT = "account", "newest", "since", "at"
_OURS = (_ACCOUNT, _NEWEST, _SINCE, _AT)

_NONE_ANY_MORE = (
    "the instance shows no statuses, and it did before: they were deleted, the account was suspended, or it shows them "
    "to its own users alone, and the source needs an access_token"
)


class MastodonOptions(KindOptions):
    """The options of an account or a tag on an instance."""

    account: str | None = None
    tag: str | None = None
    base_url: BaseURL | None = None
    boosts: bool = False
    replies: bool = False
    local: bool = False
    access_token: SecretValue | None = None

    def place(self, url: str | None) -> str:
        """The address of the account or tag as people see it in their browsers. Raises ValueError."""
        place = place_of(url, self.account, self.tag, self.base_url)
        if place.is_tag and (self.boosts or self.replies):
            raise ValueError(
                "the options boosts and replies go with an account; a tag has no boosts, and all replies"
            )
        if self.local and not place.is_tag:
            raise ValueError("the option local goes with a tag")
        return place.url


class MastodonKind:
    """One request a step: who the account is, once; then its statuses."""

    options = MastodonOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now

    def spacing_seconds(self, source: Source) -> float:
        """See :class:`digestd.kinds.Kind`."""
        return SPACING_SECONDS

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`."""
        options = options_of(MastodonOptions, source)
        place, cursor = read_place(source.spec.url), _ours(state)
        if not place.is_tag and _ACCOUNT not in cursor:
            return await self._who(source, place, state, http)
        return await self._statuses(source, place, options, state, http)

    async def _who(self, source: Source, place: Place, state: PollState, http: Http) -> Step:
        query = urlencode({"acct": place.name})
        answer = await self._ask(f"{place.base}/api/v1/accounts/lookup?{query}", http)
        if answer.status != 200:
            return Step(next_state=state, failure=self._refused(answer, place, http))
        account = await self._document(source, answer, read_account)
        if account.facts["suspended"]:
            words = "the account is suspended, and the instance shows nothing of it"
            raise NotAFeed(f"{words}; remove the source, or look where it posts now")
        return _without_statuses(state, {**_ours(state), _ACCOUNT: account.facts["id"]}, answer, more=True)

    async def _statuses(
        self, source: Source, place: Place, options: MastodonOptions, state: PollState, http: Http
    ) -> Step:
        cursor = _ours(state)
        answer = await self._ask(_address(place, options, cursor), http)
        if answer.status != 200:
            failure = self._refused(answer, place, http)
            # Another account may have the name by now: it is looked up again.
            known = _forgetting(state, _ACCOUNT) if answer.status in (404, 410) else state
            return Step(next_state=known, failure=failure)
        page = await self._document(source, answer, read_statuses, options.boosts)
        done = self._walked if _AT in cursor else self._newest
        return done(state, cursor, page, answer)

    def _newest(self, state: PollState, cursor: dict[str, str], page: Document, answer: Response) -> Step:
        """What the newest page makes of a poll that begins."""
        newest, oldest, seen = page.facts["newest"], page.facts["oldest"], cursor.get(_NEWEST)
        if newest is None:
            return _without_statuses(state, cursor, answer, words=None if seen is None else _NONE_ANY_MORE)
        if seen is not None and order_of(oldest) > order_of(seen):
            # It does not reach back so far. The page that was read last is walked, too: it may have been edited.
            return _without_statuses(state, {**cursor, _AT: cursor.get(_SINCE, seen)}, answer, more=True)
        return self._kept(state, {**cursor, _NEWEST: _later(newest, seen), _SINCE: oldest}, page, answer)

    def _walked(self, state: PollState, cursor: dict[str, str], page: Document, answer: Response) -> Step:
        """What the page behind the last one makes of a walk forward."""
        at, newest, oldest = cursor[_AT], page.facts["newest"], page.facts["oldest"]
        if newest is None:
            ended = {name: value for name, value in cursor.items() if name != _AT}
            ended[_NEWEST] = _later(at, cursor.get(_NEWEST))
            return _without_statuses(state, ended, answer, words=shape.remembered(state))
        if order_of(oldest) <= order_of(at):
            raise NotAFeed(
                "the instance does not page forward: what came does not follow the min_id that was asked for"
            )
        walked = {**cursor, _SINCE: at, _AT: _onward(answer, at, newest)}
        return replace(self._kept(state, walked, page, answer), more=True)

    def _kept(self, state: PollState, cursor: dict[str, str], page: Document, answer: Response) -> Step:
        hinted, moved_to = hints.of_document(page, self._now()), page.facts["moved_to"]
        words = moved_to and f"the account has moved to {moved_to}; give the source that address"
        kept = _carried(state, cursor, hinted, words)
        return Step(next_state=kept, documents=(page,), body_bytes=len(answer.body), hints=hinted)

    async def _ask(self, url: str, http: Http) -> Response:
        headers = {"Accept": "application/json"}
        if token := http.secret("access_token"):
            headers["Authorization"] = f"Bearer {token}"
        answer = await http.ask(url, headers=headers)
        is_last = answer.status == 200 and remaining(answer.headers, _REMAINING) == 0
        if is_last and (wait := self._wait(answer)):
            http.leave_alone(url, wait)
        return answer

    def _wait(self, answer: Response) -> float | None:
        return reset_seconds(answer.headers, _RESET, "moment", now=self._now())

    def _refused(self, answer: Response, place: Place, http: Http) -> Failure:
        wait = self._wait(answer) if answer.status == 429 else None
        if wait:
            http.leave_alone(answer.url, wait)
        failure = refusal(answer, place, has_token=http.secret("access_token") is not None)
        return failure if wait is None else replace(failure, retry_after_seconds=wait)

    async def _document(
        self, source: Source, answer: Response, reader: Callable[..., Document], *arguments: object
    ) -> Document:
        try:
            return await self._read(reader, answer.body, answer.url, *arguments, source_url=source.spec.url)
        except NotAFeed as error:
            explained = shape.explain(str(error), answer.body, answer.url, answer.headers)
            raise NotAFeed(explained) from error


def _ours(state: PollState) -> dict[str, str]:
    """What this kind remembers in `state`; of a damaged row what is sound."""
    cursor = state.cursor or {}
    found = {name: cursor.get(name) for name in _OURS}
    return {name: value for name, value in found.items() if isinstance(value, str) and is_id(value)}


def _forgetting(state: PollState, name: str) -> PollState:
    kept = {key: value for key, value in (state.cursor or {}).items() if key != name}
    return replace(state, cursor=kept or None)


def _carried(state: PollState, cursor: dict[str, str], hinted: Hints, words: str | None) -> PollState:
    """`state` with `cursor` for what this kind remembers, and `words` for what is wrong. What others remember stays."""
    others = {name: value for name, value in (state.cursor or {}).items() if name not in _OURS}
    return replace(state, cursor=shape.remark({**others, **cursor, **hints.to_cursor(hinted)}, words))


def _without_statuses(
    state: PollState,
    cursor: dict[str, str],
    answer: Response,
    *,
    words: str | None = None,
    more: bool = False,
) -> Step:
    """The step of an answer that brings no statuses to keep, after which `cursor` is remembered."""
    remembered = hints.remembered(state.cursor)
    kept = _carried(state, cursor, remembered, shape.remembered(state) if more else words)
    return Step(next_state=kept, unchanged=True, more=more, body_bytes=len(answer.body), hints=remembered)


def _address(place: Place, options: MastodonOptions, cursor: dict[str, str]) -> str:
    if place.is_tag:
        path = f"timelines/tag/{quote(place.name, safe='')}"
        query = {"local": "true"} if options.local else {}
    else:
        path = f"accounts/{cursor[_ACCOUNT]}/statuses"
        wanted = {"exclude_reblogs": options.boosts, "exclude_replies": options.replies}
        query = {name: "true" for name, is_wanted in wanted.items() if not is_wanted}
    if _AT in cursor:
        query["min_id"] = cursor[_AT]
    return f"{place.base}/api/v1/{path}?{urlencode({'limit': str(PAGE), **query})}"


def _later(one: str, other: str | None) -> str:
    return one if other is None else max(one, other, key=order_of)


def _onward(answer: Response, at: str, newest: str) -> str:
    """What the page after `answer` follows: what the instance names (`rel="prev"`), but nothing beyond the `newest`
    status that was read, and nothing before `at`."""
    link = linked_as("prev", answer.headers.get("link"), answer.url)
    named = parse_qs(urlsplit(link).query).get("min_id", [""])[0] if link else ""
    return named if is_id(named) and order_of(at) < order_of(named) <= order_of(newest) else newest
