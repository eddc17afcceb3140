"""The kind `reddit`: the newest posts of subreddits, all of them in one request, by their feed, or by the API where
there are keys.

Without keys Reddit allows one address little more than a request a minute, for everything. A post has the same key
either way, so that a source that is given keys keeps its articles.

API: https://www.reddit.com/dev/api, https://github.com/reddit-archive/reddit/wiki/OAuth2 (application only).
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from digestd.config.kind_options import BaseURL, KindOptions
from digestd.config.options import SecretValue
from digestd.errors import NotAFeed
from digestd.feed import asking, hints, shape
from digestd.feed.rate_limits import remaining, reset_seconds
from digestd.feed.reddit_errors import (
    BLOCKED_SECONDS,
    WRONG_TOKEN,
    is_blocked,
    named,
    reason_of,
    words_of,
)
from digestd.feed.reddit_place import Place, place_of, read_place, unread_in
from digestd.feed.reddit_reading import read_feed, read_listing
from digestd.feed.reddit_round import MOST_PAGES, OURS, Round, round_in
from digestd.kinds import Http, Tools, options_of
from digestd.kinds.reddit_tokens import Keys, Token, Tokens
from digestd.model import Document, Failure, Hints, PollState, Response, Source, Step

SPACING_SECONDS = 61.0
"""Without keys: one request a minute for all of reddit.com."""
SPACING_WITH_KEYS_SECONDS = 1.0
"""With keys: 100 requests a minute for one application."""
PAGE = 100
"""The most posts that Reddit gives at once."""

_HOME = "https://www.reddit.com"
_ASKED = "asked"
# What the cursors of this kind belong to: raising it begins a new round.
_READER_VERSION = "reddit1"
_RESET, _REMAINING = "x-ratelimit-reset", "x-ratelimit-remaining"


class RedditOptions(KindOptions):
    """The options of subreddits; `client_id` and `client_secret` are those of an application at Reddit, `username` is
    whose it is, as Reddit wants to be told."""

    subreddits: list[str] | None = None
    client_id: SecretValue | None = None
    client_secret: SecretValue | None = None
    username: str | None = None
    base_url: BaseURL = _HOME
    oauth_url: BaseURL = "https://oauth.reddit.com"

    def place(self, url: str | None) -> str:
        """The address of all of the subreddits together. Raises ValueError."""
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("the options client_id and client_secret go together")
        if self.username is not None and not self.username.replace("_", "").replace("-", "").isalnum():
            raise ValueError("username: it is the bare name, without /u/")
        if (url is None) == (not self.subreddits):
            raise ValueError("either url or the option subreddits says what is read")
        if url is None:
            return place_of(self.base_url, self.subreddits or []).url
        if self.base_url != _HOME:
            raise ValueError("leave base_url out: the url says where the subreddits are")
        if unread := unread_in(url):
            raise ValueError(unread)
        return read_place(url).url


class RedditKind:
    """One request a step: a token where there are keys and none is at hand, else a page of a group of subreddits."""

    options = RedditOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now
        self._tokens = Tokens()

    def spacing_seconds(self, source: Source) -> float:
        """See :class:`digestd.kinds.Kind`."""
        has_keys = options_of(RedditOptions, source).client_id is not None
        return SPACING_WITH_KEYS_SECONDS if has_keys else SPACING_SECONDS

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`."""
        options, place = options_of(RedditOptions, source), read_place(source.spec.url)
        keys, token = self._keys(options, place, http), None
        if keys is not None:
            token = self._tokens.at_hand(keys, self._now())
            if token is None:
                return await self._fetch_token(keys, state, http)
        asked = asking.asked_as(source.spec.url, http.mark, _READER_VERSION)
        state = state if (state.cursor or {}).get(_ASKED, asked) == asked else PollState()
        state = replace(state, cursor={**(state.cursor or {}), _ASKED: asked})
        now = int(self._now().timestamp())
        one = round_in(state.cursor or {}, place.names, now)
        if keys is None or token is None:
            answer = await self._ask(_feed_address(place, one), http, {"Accept": "application/atom+xml"})
        else:
            fields = {**keys.fields, "Authorization": f"bearer {token.value}"}
            answer = await self._ask(_listing_address(options, one), http, fields)
            if answer.status == 401:
                return self._token_refused(keys, token, state)
            self._tokens.worked(keys, token)
        return await self._answered(source, place, state, one, answer, http, has_keys=keys is not None)

    def _keys(self, options: RedditOptions, place: Place, http: Http) -> Keys | None:
        client_id, secret = http.secret("client_id"), http.secret("client_secret")
        if client_id is None or secret is None:
            return None
        return Keys(place.base, client_id, secret, options.username)

    async def _fetch_token(self, keys: Keys, state: PollState, http: Http) -> Step:
        answer = await http.ask(
            keys.url, headers=keys.token_fields, form={"grant_type": "client_credentials"}
        )
        if answer.status == 200 and self._tokens.keep(keys, answer.body, self._now()):
            return Step(next_state=state, unchanged=True, more=True, hints=hints.remembered(state.cursor))
        return Step(next_state=state, failure=self._refused(answer, http, has_keys=True, is_token=True))

    def _token_refused(self, keys: Keys, token: Token, state: PollState) -> Step:
        if self._tokens.drop(keys, token):
            return Step(next_state=state, unchanged=True, more=True, hints=hints.remembered(state.cursor))
        return Step(
            next_state=state, failure=Failure("settings", f"the server answered 401: {WRONG_TOKEN}", 401)
        )

    async def _ask(self, url: str, http: Http, fields: dict[str, str]) -> Response:
        answer = await http.ask(url, headers=fields)
        left = remaining(answer.headers, _REMAINING)
        if answer.status == 200 and left is not None and left < 1 and (wait := self._wait(answer)):
            http.leave_alone(url, wait)
        return answer

    def _wait(self, answer: Response) -> float | None:
        return reset_seconds(answer.headers, _RESET, "seconds_left", now=self._now())

    async def _answered(
        self,
        source: Source,
        place: Place,
        state: PollState,
        one: Round,
        answer: Response,
        http: Http,
        *,
        has_keys: bool,
    ) -> Step:
        reason = reason_of(answer)
        if reason is not None:
            return self._left_out(state, place, one, reason, answer)
        if answer.status != 200:
            return Step(next_state=state, failure=self._refused(answer, http, has_keys=has_keys))
        page = await self._page(source, place, answer, has_keys=has_keys)
        if page.facts["foreign"] and not page.entries and page.facts["foreign"] == page.facts["count"]:
            raise NotAFeed("what came lists no posts; check base_url")
        return self._kept(state, one, page, answer)

    def _left_out(self, state: PollState, place: Place, one: Round, reason: str, answer: Response) -> Step:
        """What a refusal of the group that was asked for makes of the round."""
        onward = one.refused(reason, int(self._now().timestamp()))
        if set(onward.out) >= set(place.names) and not onward.groups:
            reasons = {name: said for name, (said, _) in onward.out.items()}
            words = f"nothing is left to be read: {named(reasons)}"
            # The next poll asks for all of them again.
            kept = _carried(
                state, replace(onward, out={}, seen=one.seen), hints.remembered(state.cursor), None
            )
            return Step(next_state=kept, failure=Failure("http_status", words, answer.status))
        remembered = hints.remembered(state.cursor)
        kept = _carried(state, onward, remembered, onward.words())
        return Step(
            next_state=kept,
            unchanged=True,
            more=bool(onward.groups),
            body_bytes=len(answer.body),
            hints=remembered,
        )

    def _kept(self, state: PollState, one: Round, page: Document, answer: Response) -> Step:
        onward = one.read()
        hinted, after = hints.of_document(page, self._now()), page.facts["after"]
        # Only what came since the last round is new; the first one takes the newest page.
        goes_back = one.seen and bool(page.entries) and after is not None and after != one.groups[0].after
        is_deepest = one.groups[0].pages + 1 >= MOST_PAGES
        older = None
        if goes_back and not is_deepest:
            older = _carried(state, one.older(after), hinted, one.words())
        return Step(
            next_state=_carried(state, onward, hinted, onward.words()),
            documents=(page,),
            more=bool(onward.groups),
            body_bytes=len(answer.body),
            overlaps=goes_back and is_deepest,
            older=older,
            hints=hinted,
        )

    async def _page(self, source: Source, place: Place, answer: Response, *, has_keys: bool) -> Document:
        url, said = answer.url, answer.headers.get("content-type")
        try:
            if has_keys:
                return await self._read(
                    read_listing, answer.body, url, place.base, source_url=source.spec.url
                )
            return await self._read(read_feed, answer.body, url, said, source_url=source.spec.url)
        except NotAFeed as error:
            raise NotAFeed(shape.explain(str(error), answer.body, url, answer.headers)) from error

    def _refused(self, answer: Response, http: Http, *, has_keys: bool, is_token: bool = False) -> Failure:
        wait = self._wait(answer) if answer.status == 429 else None
        wait = BLOCKED_SECONDS if is_blocked(answer) else wait
        if wait:
            http.leave_alone(answer.url, wait)
        words = words_of(answer, has_keys=has_keys)
        if is_token:
            words = f"no token was given: {words}"
        cause = "settings" if answer.status == 401 else "http_status"
        return Failure(cause, words, answer.status, wait or None)


def _carried(state: PollState, one: Round, hinted: Hints, words: str | None) -> PollState:
    """`state` with how far the round `one` has come, and `words` for what is wrong. What others remember stays."""
    others = {name: value for name, value in (state.cursor or {}).items() if name not in OURS}
    return replace(state, cursor=shape.remark({**others, **one.cursor(), **hints.to_cursor(hinted)}, words))


def _feed_address(place: Place, one: Round) -> str:
    return f"{place.base}/r/{'+'.join(one.groups[0].names)}/new/.rss?{urlencode(_query(one))}"


def _listing_address(options: RedditOptions, one: Round) -> str:
    query = urlencode({**_query(one), "raw_json": "1"})
    return f"{options.oauth_url}/r/{'+'.join(one.groups[0].names)}/new?{query}"


def _query(one: Round) -> dict[str, str]:
    after = one.groups[0].after
    return {"limit": str(PAGE), **({"after": after} if after else {})}
