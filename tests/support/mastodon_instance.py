"""An instance of Mastodon as its documentation and its source describe it: lookup, statuses, tags, paging by min_id,
since_id and max_id with Link headers, 300 requests in five minutes, its own words for errors, edits and deletions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import trio

from digestd.errors import FetchError
from digestd.model import Response
from support.asking import AsksOnly

LIMIT, WINDOW_SECONDS = 300, 300.0
BEGAN = datetime(2026, 11, 23, 8, tzinfo=UTC)

Said = tuple[int, dict[str, str], bytes]


@dataclass
class Instance:
    """`base` is where it is, `now` its clock in seconds. With `token` it answers to nobody without; `closed` shows
    empty timelines, as 4.5 can. No page has more than `longest_page`. `statuses` are in the order of their ids."""

    base: str = "https://instance.example"
    now: Callable[[], float] = lambda: 0.0
    token: str | None = None
    closed: bool = False
    longest_page: int = 40
    statuses: list[dict[str, Any]] = field(default_factory=list)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refused: int = 0
    _times: list[float] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(115_000_000_000_000_000, 65_537))

    def open_account(self, name: str = "someone", **more: Any) -> dict[str, Any]:
        """A new account; one that had the name is gone."""
        account = {
            "id": str(next(self._ids)),
            "username": name,
            "acct": name,
            "display_name": "Some One",
            "url": f"{self.base}/@{name}",
            **more,
        }
        self.accounts[name] = account
        return account

    def post(
        self, content: str | None = None, *, name: str = "someone", late: int = 0, **more: Any
    ) -> dict[str, Any]:
        """A new status; one that comes `late` has an id from so many statuses ago."""
        account = self.accounts.get(name) or self.open_account(name)
        number = next(self._ids)
        number = number if not late else int(self.statuses[-late]["id"]) - 1
        status = {
            "id": str(number),
            "created_at": (BEGAN + timedelta(seconds=len(self.statuses))).isoformat(timespec="milliseconds"),
            "edited_at": None,
            "visibility": "public",
            "spoiler_text": "",
            "language": "en",
            "uri": f"{self.base}/users/{name}/statuses/{number}",
            "url": f"{self.base}/@{name}/{number}",
            "content": content if content is not None else f"<p>Post {number}</p>",
            "account": account,
            "reblog": None,
            "card": None,
            "tags": [{"name": "cve"}],
            "media_attachments": [],
            "in_reply_to_id": None,
            "favourites_count": 0,
            **more,
        }
        self.statuses.append(status)
        self.statuses.sort(key=lambda one: int(one["id"]))
        return status

    def edit(self, status: dict[str, Any], content: str) -> None:
        status |= {"content": content, "edited_at": BEGAN.isoformat()}

    def answer(self, target: str, headers: Mapping[str, str]) -> Said:
        """Answer one GET; names of `headers` in lower case."""
        self.asked.append(target)
        for status in self.statuses:
            # Votes come in all the time.
            status["favourites_count"] += 1
        now = self.now()
        self._times = [when for when in self._times if when > now - WINDOW_SECONDS] + [now]
        reset = BEGAN + timedelta(seconds=self._times[0] + WINDOW_SECONDS)
        fields = {
            "Date": (BEGAN + timedelta(seconds=now)).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "Content-Type": "application/json; charset=utf-8",
            "X-RateLimit-Limit": str(LIMIT),
            "X-RateLimit-Remaining": str(max(0, LIMIT - len(self._times))),
            "X-RateLimit-Reset": reset.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if len(self._times) > LIMIT:
            self._times.pop()
            self.refused += 1
            return 429, fields, _error("Too many requests")
        status_code, more, body = self._said(target, headers.get("authorization"))
        return status_code, fields | more, body

    def _said(self, target: str, authorization: str | None) -> Said:
        if authorization is not None and authorization != f"Bearer {self.token}":
            return 401, {}, _error("The access token is invalid")
        if self.token is not None and authorization is None:
            return 401, {}, _error("This API requires an authenticated user")
        parts, query = urlsplit(target), dict(parse_qsl(urlsplit(target).query))
        words = parts.path.removeprefix(urlsplit(self.base).path).strip("/").split("/")
        match words:
            case ["api", "v1", "accounts", "lookup"]:
                account = self.accounts.get(query.get("acct", ""))
                return (200, {}, _json(account)) if account else (404, {}, _error("Record not found"))
            case ["api", "v1", "accounts", account_id, "statuses"]:
                account = next((one for one in self.accounts.values() if one["id"] == account_id), None)
                if account is None:
                    return 404, {}, _error("Record not found")
                if account.get("suspended"):
                    return 410, {}, b""
                return self._page(parts.path, query, lambda one: one["account"]["id"] == account_id)
            case ["api", "v1", "timelines", "tag", tag]:
                name = unquote(tag)
                # Boosts are on no timeline of a tag.
                return self._page(
                    parts.path,
                    query,
                    lambda one: not one["reblog"] and any(each["name"] == name for each in one["tags"]),
                )
        return 404, {}, _error("Not Found")

    def _page(self, path: str, query: dict[str, str], is_wanted: Callable[[dict[str, Any]], bool]) -> Said:
        found = [] if self.closed else [one for one in self.statuses if is_wanted(one)]
        if query.get("exclude_reblogs") == "true":
            found = [one for one in found if not one["reblog"]]
        if query.get("exclude_replies") == "true":
            # Threads are no replies.
            found = [one for one in found if not one["in_reply_to_id"] or _is_thread(one)]
        limit = min(int(query.get("limit", "20")), self.longest_page)
        after = query.get("min_id") or query.get("since_id")
        found = [one for one in found if not after or int(one["id"]) > int(after)]
        found = [one for one in found if "max_id" not in query or int(one["id"]) < int(query["max_id"])]
        # The page right behind min_id; of since_id the newest.
        page = (found[:limit] if query.get("min_id") else found[-limit:])[::-1]
        if not page:
            return 200, {}, b"[]"
        rest = {name: value for name, value in query.items() if not name.endswith("_id")}
        links = [("prev", {"min_id": page[0]["id"]})]
        if len(page) == limit:
            links.insert(0, ("next", {"max_id": page[-1]["id"]}))
        link = ", ".join(
            f'<{self.base}{path}?{urlencode({**rest, **each})}>; rel="{name}"' for name, each in links
        )
        return 200, {"Link": link}, _json(page)


@dataclass
class Asking(AsksOnly):
    """The way to an :class:`Instance` without a network. `before` is called with each request, and may raise or give
    another answer."""

    instance: Instance
    token: str | None = None
    before: Callable[[], Said | None] = lambda: None
    left_alone: list[tuple[str, float]] = field(default_factory=list)

    async def ask(
        self, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Response:
        await trio.lowlevel.checkpoint()
        assert form is None
        target = url.removeprefix(urlsplit(url).scheme + "://" + urlsplit(url).netloc)
        asked = {name.lower(): value for name, value in (headers or {}).items()}
        status, fields, body = self.before() or self.instance.answer(target, asked)
        return Response(url, status, {name.lower(): value for name, value in fields.items()}, body)

    def leave_alone(self, url: str, seconds: float) -> None:
        self.left_alone.append((url, seconds))

    def secret(self, option: str) -> str | None:
        assert option == "access_token"
        return self.token


def broken(error: FetchError) -> Callable[[], Said | None]:
    """For `before`: no answer comes."""

    def fail() -> Said | None:
        raise error

    return fail


def _is_thread(status: dict[str, Any]) -> bool:
    own: str = status["account"]["id"]
    return status.get("in_reply_to_account_id") == own


def _error(words: str) -> bytes:
    return _json({"error": words})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
