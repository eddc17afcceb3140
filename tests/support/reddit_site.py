"""Reddit as its documentation and its clients describe it: Atom feeds at one request a minute for an address, the API
with tokens that expire at 100 requests a minute, subreddits that cannot be read and spoil joined listings, pages by
`after`, votes that change with every look."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trio

from digestd.errors import FetchError
from digestd.model import Response
from support.asking import AsksOnly

BEGAN = datetime(2026, 11, 23, 8, tzinfo=UTC)
FEED_WINDOW, API_WINDOW, API_LIMIT = 60.0, 600.0, 1_000
CLIENT, SECRET = "abcDEF_client", "hunter2"
REFUSALS = {
    "private": (403, "Forbidden"),
    "quarantined": (403, "Forbidden"),
    "gold_only": (403, "Forbidden"),
    "banned": (404, "Not Found"),
}
BLOCKED = b"<html><head><title>Blocked</title></head><body>whoa there, pardner! Your request has been blocked</body>"

Said = tuple[int, dict[str, str], bytes]


@dataclass
class Site:
    """`base` is where the feeds and tokens are, `oauth` where the API is, `now` the clock in seconds. `refused` are the
    subreddits that cannot be read, with why; what has no post and stands in `missing` does not exist. With `blocked`
    nobody without a token is let in. With `limits` they bite. No page has more than `longest_page`; `posts` are in the
    order of their time."""

    base: str = "https://www.reddit.com"
    oauth: str = "https://oauth.reddit.com"
    now: Callable[[], float] = lambda: 0.0
    token_seconds: int = 86_400
    limits: bool = True
    blocked: bool = False
    longest_page: int = 100
    refused: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    posts: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)
    too_often: int = 0
    made: int = 0
    _times: dict[str, list[float]] = field(default_factory=lambda: {"feed": [], "api": []})

    def post(self, subreddit: str = "netsec", *, text: str = "", **more: Any) -> dict[str, Any]:
        """A new post: with `text` (HTML) one of its own, else a link."""
        self.made += 1
        number = f"1abc{self.made:03}"
        permalink = f"/r/{subreddit}/comments/{number}/a_post/"
        is_self = bool(text) or more.get("is_self", False)
        post = {
            "id": number,
            "name": f"t3_{number}",
            "subreddit": subreddit,
            "title": f"Post {self.made} <on> FooVPN & more",
            "selftext_html": f'<!-- SC_OFF --><div class="md">{text}\n</div><!-- SC_ON -->' if text else None,
            "author": "someone",
            "created_utc": (BEGAN + timedelta(minutes=self.made)).timestamp(),
            "permalink": permalink,
            "url": f"{self.base}{permalink}" if is_self else f"https://blog.example/{self.made}?a=1&b=2",
            "is_self": is_self,
            "score": 1,
            "num_comments": 0,
            "stickied": False,
            "removed_by_category": None,
            **more,
        }
        self.posts.append(post)
        return post

    def answer(self, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None) -> Said:
        """Answer one request; names of `headers` in lower case."""
        # Who asks without end fails, rather than hanging.
        assert len(self.asked) < 2_000
        self.asked.append(url)
        self.agents.append(headers.get("user-agent", ""))
        for post in self.posts:
            post["score"] += 1
            post["num_comments"] += 2
        parts, query = urlsplit(url), dict(parse_qsl(urlsplit(url).query))
        if form is not None:
            return self._token(parts.path, headers, form)
        if url.startswith(f"{self.oauth}/") and not parts.path.endswith(".rss"):
            return self._api(parts.path, query, headers)
        return self._feed(parts.path, query)

    def _token(self, path: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Said:
        assert path == "/api/v1/access_token"
        both = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if headers.get("authorization") != f"Basic {both}":
            return 401, {}, _json({"message": "Unauthorized", "error": 401})
        if form.get("grant_type") != "client_credentials":
            return 200, {}, _json({"error": "unsupported_grant_type"})
        token = f"eyJ{len(self.asked):05}"
        self.tokens[token] = self.now() + self.token_seconds
        said = {"access_token": token, "token_type": "bearer", "expires_in": self.token_seconds, "scope": "*"}
        return 200, {}, _json(said)

    def _api(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Said:
        token = headers.get("authorization", "").removeprefix("bearer ")
        if self.tokens.get(token, -1) <= self.now():
            return 401, {}, _json({"message": "Unauthorized", "error": 401})
        fields, is_over = self._counted("api", API_LIMIT, API_WINDOW)
        if is_over:
            return 429, fields, _json({"message": "Too Many Requests", "error": 429})
        assert query["raw_json"] == "1"
        names = path.removeprefix("/r/").removesuffix("/new").split("+")
        return self._refusal(names, fields) or (200, fields, self._listing(names, query))

    def _feed(self, path: str, query: Mapping[str, str]) -> Said:
        if self.blocked:
            return 403, {"content-type": "text/html"}, BLOCKED
        fields, is_over = self._counted("feed", 1, FEED_WINDOW)
        if is_over:
            return 429, fields, b"<html><title>Too Many Requests</title></html>"
        names = path.rpartition("/r/")[2].removesuffix("/new/.rss").split("+")
        fields["content-type"] = "application/atom+xml; charset=UTF-8"
        return self._refusal(names, fields) or (200, fields, self._atom(names, query))

    def _counted(self, what: str, limit: int, window: float) -> tuple[dict[str, str], bool]:
        if not self.limits:
            return {}, False
        now = self.now()
        times = self._times[what] = [when for when in self._times[what] if when > now - window]
        is_over = len(times) >= limit
        self.too_often += is_over
        if not is_over:
            times.append(now)
        fields = {
            "x-ratelimit-used": str(len(times)),
            "x-ratelimit-remaining": f"{limit - len(times):.1f}",
            "x-ratelimit-reset": f"{times[0] + window - now:.0f}",
        }
        return fields, is_over

    def _refusal(self, names: list[str], fields: dict[str, str]) -> Said | None:
        for name in names:
            if name in self.refused:
                reason = self.refused[name]
                status, message = REFUSALS[reason]
                return status, fields, _json({"reason": reason, "message": message, "error": status})
            if name in self.missing:
                return 404, fields, _json({"message": "Not Found", "error": 404})
        return None

    def _page(self, names: list[str], query: Mapping[str, str]) -> tuple[list[dict[str, Any]], str | None]:
        found = [post for post in reversed(self.posts) if post["subreddit"] in names]
        if after := query.get("after"):
            # What was deleted is still a place in a listing.
            found = [post for post in found if int(post["id"], 36) < int(after.removeprefix("t3_"), 36)]
        limit = min(int(query["limit"]), self.longest_page)
        page = found[:limit]
        return page, page[-1]["name"] if len(found) > limit else None

    def _listing(self, names: list[str], query: Mapping[str, str]) -> bytes:
        page, after = self._page(names, query)
        children = [{"kind": "t3", "data": post} for post in page]
        return _json({"kind": "Listing", "data": {"after": after, "before": None, "children": children}})

    def _atom(self, names: list[str], query: Mapping[str, str]) -> bytes:
        page, _ = self._page(names, query)
        entries = "".join(self._entry(post) for post in page)
        return (
            '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
            f"<updated>{BEGAN.isoformat()}</updated><id>/r/x/new/.rss</id><title>newest</title>{entries}</feed>"
        ).encode()

    def _entry(self, post: Mapping[str, Any]) -> str:
        link = f"{self.base}{post['permalink']}"
        picture = f'<table> <tr><td> <a href="{link}"> <img src="https://b.example/a.jpg" /> </a> </td><td> '
        content = (
            f"{post['selftext_html'] or picture} &#32; submitted by &#32; "
            f'<a href="{self.base}/user/{post["author"]}"> /u/{post["author"]} </a> <br/> <span><a href="'
            f'{escape(post["url"])}">[link]</a></span> &#32; <span><a href="{link}">[comments]</a></span>'
            + ("" if post["selftext_html"] else "</td></tr></table>")
        )
        made = datetime.fromtimestamp(post["created_utc"], UTC).isoformat()
        return (
            f"<entry><author><name>/u/{post['author']}</name><uri>{self.base}/user/x</uri></author>"
            f'<category term="{post["subreddit"]}" label="r/{post["subreddit"]}"/>'
            f'<content type="html">{escape(content)}</content><id>{post["name"]}</id><link href="{link}"/>'
            f"<updated>{made}</updated><published>{made}</published><title>{escape(post['title'])}</title></entry>"
        )


@dataclass
class Asking(AsksOnly):
    """The way to a :class:`Site` without a network. `before` is called with each request, and may raise or give another
    answer."""

    site: Site
    secrets: dict[str, str] = field(default_factory=dict)
    before: Callable[[], Said | None] = lambda: None
    left_alone: list[tuple[str, float]] = field(default_factory=list)

    async def ask(
        self, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Response:
        await trio.lowlevel.checkpoint()
        asked = {name.lower(): value for name, value in (headers or {}).items()}
        status, fields, body = self.before() or self.site.answer(url, asked, form)
        return Response(url, status, {name.lower(): value for name, value in fields.items()}, body)

    def leave_alone(self, url: str, seconds: float) -> None:
        self.left_alone.append((url, seconds))

    def secret(self, option: str) -> str | None:
        assert option in ("client_id", "client_secret")
        return self.secrets.get(option)


def broken(error: FetchError) -> Callable[[], Said | None]:
    """For `before`: no answer comes."""

    def fail() -> Said | None:
        raise error

    return fail


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
