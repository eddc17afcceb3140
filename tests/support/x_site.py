"""X as its documentation and its clients describe it: users, timelines and recent search of API v2, pages by token,
since_id, until_id and times with their rules, limits of requests, what everything costs, credits, and its errors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trio

from digestd.model import Response
from support.asking import AsksOnly

API = "https://api.x.com"
BEGAN = datetime(2026, 11, 23, 8, tzinfo=UTC)
TOKEN = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0"
WEEK = timedelta(days=7)
WINDOW_SECONDS = 900.0
PROBLEMS = "https://api.twitter.com/2/problems"
POST_MICROS, USER_MICROS = 5_000, 10_000

Said = tuple[int, dict[str, str], bytes]


@dataclass
class XSite:
    """`now` is its clock. `token` is the one that it takes, `credits` what is left of them in millionths of a dollar
    (None for enough), `cap` how many posts may be read at all, `window` how many requests of one sort go into a quarter
    of an hour. Tokens of pages are taken while `pages_live`. `posts` are in the order of their ids."""

    now: Callable[[], datetime] = lambda: BEGAN
    token: str = TOKEN
    credits: int | None = None
    cap: int | None = None
    spend_cap: bool = False
    window: int = 450
    pages_live: bool = True
    longest_page: int = 100
    posts: list[dict[str, Any]] = field(default_factory=list)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sold: Counter[tuple[str, str]] = field(default_factory=Counter)
    too_often: int = 0
    _times: dict[str, list[datetime]] = field(default_factory=dict)
    _made: int = 0

    def open_account(self, name: str = "examplecert", **more: Any) -> dict[str, Any]:
        """A new account; one that had the name is gone."""
        user = {"id": str(2_244_994_945 + len(self.users)), "name": f"The {name}", "username": name, **more}
        self.users[name] = user
        return user

    def post(
        self, text: str | None = None, *, name: str = "examplecert", ago: float = 0, **more: Any
    ) -> dict[str, Any]:
        """A new post, written so many seconds ago."""
        user = self.users.get(name) or self.open_account(name)
        self._made += 1
        written = self.now() - timedelta(seconds=ago)
        post_id = str((int(written.timestamp() * 1000) - 1_288_834_974_657 << 22) + self._made)
        post = {
            "id": post_id,
            "text": f"Post {self._made}" if text is None else text,
            "created_at": written.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "author_id": user["id"],
            "edit_history_tweet_ids": [post_id],
            "lang": "en",
            **more,
        }
        self.posts.append(post)
        self.posts.sort(key=lambda one: int(one["id"]))
        return post

    def edit(self, post: dict[str, Any], text: str) -> dict[str, Any]:
        """A new version of `post`: a post of its own, in its place."""
        self.posts.remove(post)
        new = self.post(text)
        new |= {"created_at": post["created_at"], "author_id": post["author_id"]}
        new["edit_history_tweet_ids"] = [*post["edit_history_tweet_ids"], new["id"]]
        return new

    def sold_on(self, day: str) -> tuple[int, int]:
        """How many posts and users were sold on a day; the same twice counts twice."""
        return self.sold[day, "posts"], self.sold[day, "users"]

    def answer(self, target: str, authorization: str | None) -> Said:
        """Answer one GET."""
        # Who asks without end fails, rather than hanging.
        assert len(self.asked) < 5_000
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query, strict_parsing=True))
        self.asked.append((path, query))
        if authorization != f"Bearer {self.token}":
            return 401, {}, _problem(401, "Unauthorized", "Unauthorized", "about:blank")
        fields, is_over = self._counted(path.rpartition("/")[2])
        if is_over:
            self.too_often += 1
            return 429, fields, _problem(429, "Too Many Requests", "Too Many Requests", "about:blank")
        refusal = self._unpaid()
        status, body = refusal if refusal is not None else self._found(path, query)
        return status, fields, body

    def _counted(self, sort: str) -> tuple[dict[str, str], bool]:
        now = self.now()
        times = [when for when in self._times.get(sort, []) if when > now - timedelta(seconds=WINDOW_SECONDS)]
        self._times[sort] = times
        is_over = len(times) >= self.window
        if not is_over:
            times.append(now)
        reset = times[0] + timedelta(seconds=WINDOW_SECONDS)
        fields = {
            "date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "content-type": "application/json; charset=utf-8",
            "x-rate-limit-limit": str(self.window),
            "x-rate-limit-remaining": str(self.window - len(times)),
            "x-rate-limit-reset": str(int(reset.timestamp())),
        }
        return fields, is_over

    def _unpaid(self) -> tuple[int, bytes] | None:
        if self.credits is not None and self.credits <= 0:
            said = "Your enrolled account [123] does not have any credits to fulfill this request."
            return 402, _json({"title": "CreditsDepleted", "detail": said, "type": f"{PROBLEMS}/credits"})
        if self.spend_cap:
            said = "Your enrolled account has reached its billing cycle spend cap."
            return 403, _json({"title": "SpendCapReached", "detail": said, "type": f"{PROBLEMS}/credits"})
        read = sum(count for (_, what), count in self.sold.items() if what == "posts")
        if self.cap is not None and read >= self.cap:
            cap = {"title": "UsageCapExceeded", "period": "Monthly", "scope": "Product"}
            said = "Usage cap exceeded: Monthly product cap"
            return 429, _json({**cap, "detail": said, "type": f"{PROBLEMS}/usage-capped"})
        return None

    def _found(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        match path.strip("/").split("/"):
            case ["2", "users", "by", "username", name]:
                return self._user(name)
            case ["2", "users", user_id, "tweets"]:
                return self._timeline(user_id, query)
            case ["2", "tweets", "search", "recent"]:
                return self._search(query)
        return 404, b""

    def _user(self, name: str) -> tuple[int, bytes]:
        user = self.users.get(name)
        if user is None:
            said = f"Could not find user with username: [{name}]."
            return 200, _json({"errors": [_error(said, "Not Found Error", "username")]})
        if user.get("suspended"):
            return 200, _json(
                {"errors": [_error(f"User has been suspended: [{name}].", "Forbidden", "username")]}
            )
        self._sell(0, 1)
        return 200, _json({"data": {**user, "protected": user.get("protected", False)}})

    def _timeline(self, user_id: str, query: dict[str, str]) -> tuple[int, bytes]:
        user = next((one for one in self.users.values() if one["id"] == user_id), None)
        if user is None:
            said = f"Could not find user with id: [{user_id}]."
            return 200, _json({"errors": [_error(said, "Not Found Error", "id")]})
        if user.get("protected"):
            said = f"Sorry, you are not authorized to see the user with id: [{user_id}]."
            return 200, _json({"errors": [_error(said, "Authorization Error", "id")]})
        excluded = query.get("exclude", "").split(",")
        left_out = {"retweets": "retweeted", "replies": "replied_to"}
        sorts = {left_out[one] for one in excluded if one in left_out}
        found = [one for one in self.posts if one["author_id"] == user_id and not sorts & set(_refers(one))]
        return self._page(found[-3_200:], query, token_name="pagination_token", fewest=5, reaches=None)

    def _search(self, query: dict[str, str]) -> tuple[int, bytes]:
        words = query.get("query", "")
        if not 0 < len(words) <= 512:
            return _invalid("query", words, "query: length must be between 1 and 512")
        found = [one for one in self.posts if _moment(one["created_at"]) > self.now() - WEEK]
        if "-is:retweet" in words:
            found = [one for one in found if "retweeted" not in _refers(one)]
        return self._page(found, query, token_name="next_token", fewest=10, reaches=self.now() - WEEK)

    def _page(
        self,
        found: list[dict[str, Any]],
        query: dict[str, str],
        *,
        token_name: str,
        fewest: int,
        reaches: datetime | None,
    ) -> tuple[int, bytes]:
        size = int(query.get("max_results", "10"))
        if not fewest <= size <= 100:
            return _invalid("max_results", str(size), f"max_results must be between {fewest} and 100")
        if problem := _bounds_problem(query, reaches):
            return problem
        found = [one for one in found if _is_within(one, query)]
        token = query.get(token_name)
        if token is not None:
            if not self.pages_live or not token.startswith("b26v89c19zqg8o3f"):
                return _invalid(token_name, token, f"Invalid {token_name}")
            below = int(token.removeprefix("b26v89c19zqg8o3f"))
            found = [one for one in found if int(one["id"]) < below]
        page = found[-min(size, self.longest_page) :][::-1]
        return 200, self._written(page, query, has_more=len(found) > len(page))

    def _written(self, page: list[dict[str, Any]], query: dict[str, str], *, has_more: bool) -> bytes:
        if not page:
            return _json({"meta": {"result_count": 0}})
        meta = {"newest_id": page[0]["id"], "oldest_id": page[-1]["id"], "result_count": len(page)}
        if has_more:
            meta["next_token"] = f"b26v89c19zqg8o3f{page[-1]['id']}"
        expansions = query.get("expansions", "").split(",")
        included: dict[str, Any] = {}
        if "referenced_tweets.id" in expansions:
            ids = {one["id"] for post in page for one in post.get("referenced_tweets", [])}
            included["tweets"] = [one for one in self.posts if one["id"] in ids]
        if "author_id" in expansions:
            authors = {post["author_id"] for post in page}
            included["users"] = [one for one in self.users.values() if one["id"] in authors]
        self._sell(len(page) + len(included.get("tweets", [])), len(included.get("users", [])))
        said = {"data": page, "meta": meta}
        return _json({**said, "includes": included} if any(included.values()) else said)

    def _sell(self, posts: int, users: int) -> None:
        day = self.now().date().isoformat()
        self.sold[day, "posts"] += posts
        self.sold[day, "users"] += users
        if self.credits is not None:
            self.credits -= posts * POST_MICROS + users * USER_MICROS


@dataclass
class Asking(AsksOnly):
    """The way to an :class:`XSite` without a network. `before` is called with the number of each request, and `after`
    with that of each answer; both may raise, and `before` may give another answer."""

    site: XSite
    token: str = TOKEN
    before: Callable[[int], Said | None] = lambda number: None
    after: Callable[[int], None] = lambda number: None
    left_alone: list[tuple[str, float]] = field(default_factory=list)
    asked: int = 0

    @property
    def authorization_mark(self) -> str:  # type: ignore[override]
        return "0a1b"

    async def ask(
        self, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Response:
        await trio.lowlevel.checkpoint()
        assert form is None
        assert url.startswith(API)
        self.asked += 1
        number = self.asked
        said = self.before(number) or self.site.answer(url.removeprefix(API), f"Bearer {self.token}")
        self.after(number)
        status, fields, body = said
        return Response(url, status, {name.lower(): value for name, value in fields.items()}, body)

    def leave_alone(self, url: str, seconds: float) -> None:
        self.left_alone.append((urlsplit(url).netloc, seconds))


def _refers(post: Mapping[str, Any]) -> list[str]:
    return [one["type"] for one in post.get("referenced_tweets", [])]


def _is_within(post: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    number, written = int(post["id"]), _moment(post["created_at"])
    return (
        number > int(query.get("since_id", "0"))
        and number < int(query.get("until_id", "9" * 30))
        and ("start_time" not in query or written >= _moment(query["start_time"]))
        and ("end_time" not in query or written < _moment(query["end_time"]))
    )


def _bounds_problem(query: Mapping[str, str], reaches: datetime | None) -> tuple[int, bytes] | None:
    times = {"start_time", "end_time"} & query.keys()
    if times and {"since_id", "until_id"} & query.keys():
        said = "Invalid use of 'since_id' or 'until_id' in conjunction with 'start_time' or 'end_time'."
        return 400, _json(_request_problem([{"message": said}]))
    if reaches is None:
        return None
    if "since_id" in query:
        written = datetime.fromtimestamp(((int(query["since_id"]) >> 22) + 1_288_834_974_657) / 1000, UTC)
        if written < reaches:
            said = f"'since_id' must be a tweet id created after {reaches.isoformat()}"
            return _invalid("since_id", query["since_id"], said)
    if "start_time" in query and _moment(query["start_time"]) < reaches:
        return _invalid(
            "start_time", query["start_time"], f"'start_time' must be on or after {reaches.isoformat()}"
        )
    return None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _invalid(parameter: str, value: str, message: str) -> tuple[int, bytes]:
    return 400, _json(_request_problem([{"parameters": {parameter: [value]}, "message": message}]))


def _request_problem(errors: list[dict[str, Any]]) -> dict[str, Any]:
    said = "One or more parameters to your request was invalid."
    return {
        "errors": errors,
        "title": "Invalid Request",
        "detail": said,
        "type": f"{PROBLEMS}/invalid-request",
    }


def _error(detail: str, title: str, parameter: str) -> dict[str, Any]:
    kind = "not-authorized-for-resource" if title.startswith("Auth") else "resource-not-found"
    named = {"resource_type": "user", "parameter": parameter}
    return {"detail": detail, "title": title, **named, "type": f"{PROBLEMS}/{kind}"}


def _problem(status: int, title: str, detail: str, sort: str) -> bytes:
    return _json({"title": title, "type": sort, "status": status, "detail": detail})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
