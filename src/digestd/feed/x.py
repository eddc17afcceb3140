"""What X's API v2 says: users, and pages of posts (https://docs.x.com/x-api/fundamentals/data-dictionary)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from digestd.errors import NotAFeed
from digestd.feed.api import api_entry
from digestd.feed.border import read_each
from digestd.feed.dates import parse_date
from digestd.feed.encoding import read_as
from digestd.feed.entry import Prose
from digestd.feed.json_values import Object, load, object_of, objects_of, text_of
from digestd.feed.text import line_of, strip_controls
from digestd.feed.x_text import html_of, text_in, title_of
from digestd.feed.x_walk import Mark, Page, is_id, order_of
from digestd.model import Document, Entry

_LONGEST_NAME = 200
_LONGEST_SAID = 300
_LONGEST_TOKEN = 1_000
_PASSED_ON = re.compile(r"RT @([A-Za-z0-9_]{1,20}): ")
# What X says where it sees no language, only addresses, hashtags, media or the like; and its old codes.
_NO_LANGUAGES = frozenset({"und", "zxx", "art", "qam", "qct", "qht", "qme", "qst"})
_LANGUAGES = {"in": "id", "iw": "he"}


def read_user(body: bytes, url: str) -> Document:
    """Read one user, served from `url`.

    The document has no entries; its `facts` are `id`, None where there is no such user to be seen, `protected`, and
    `said`, what X says then. Raises :class:`~digestd.errors.NotAFeed` for what is neither.
    """
    said = _loaded(body)
    user = object_of(said, "data")
    user_id = text_of(user, "id")
    problems = _problems(said)
    if not is_id(user_id) and not problems:
        raise NotAFeed("what came is no user of X")
    facts = {
        "id": user_id if is_id(user_id) else None,
        "protected": user.get("protected") is True,
        "said": _words(problems),
    }
    return Document(url, "x", facts=facts)


def read_posts(body: bytes, url: str, name: str, horizon: int) -> Document:
    """Read one page of posts, newest first, served from `url`; of the user called `name`, "" for posts of many.

    Its `facts` are those of a :class:`~digestd.feed.x_walk.Page` (see :func:`page_of`), with `base` the newest post
    from before `horizon` (seconds since 1970), or of all where none has a date; how many things with a price came:
    `posts`, quoted ones among them, and `users`; and `said`, what X says of the user where there are no posts, "" for
    nothing. A post that cannot be read is left out. Raises :class:`~digestd.errors.NotAFeed` for what is no page.
    """
    said = _loaded(body)
    data, meta, includes = said.get("data"), object_of(said, "meta"), object_of(said, "includes")
    posts = data if isinstance(data, list) else []
    problems = _problems(said)
    if not posts and not meta and not problems:
        raise NotAFeed("what came is no page of posts of X")
    if posts and not any(isinstance(one, dict) and is_id(text_of(one, "id")) for one in posts):
        raise NotAFeed("what came is no page of posts of X: none of them has an id")
    reading = _Reading(url, name, includes)
    entries, left_out = read_each(_latest(posts), reading.entry, _name)
    facts = {
        **_walked(posts, meta, horizon),
        "posts": len(posts) + len(objects_of(includes, "tweets")),
        "users": len(objects_of(includes, "users")),
        "said": "" if posts else _words([one for one in problems if _is_about_user(one)]),
    }
    return Document(url, "x", entries=entries, left_out=left_out, facts=facts)


def page_of(facts: Mapping[str, Any]) -> Page:
    """The page that `facts` of :func:`read_posts` tell of."""
    oldest, base = facts["oldest"], facts["base"]
    return Page(facts["count"], facts["token"], oldest and Mark(*oldest), base and Mark(*base))


class _Reading:
    """Makes entries of the posts of one page, served from `url`, with what is included in it."""

    def __init__(self, url: str, name: str, includes: Object) -> None:
        self._url = url
        self._name = name
        self._users = {text_of(user, "id"): user for user in objects_of(includes, "users")}
        self._posts = {text_of(post, "id"): post for post in objects_of(includes, "tweets")}

    def entry(self, post: Any) -> Entry:
        if not isinstance(post, dict) or not is_id(text_of(post, "id")):
            raise ValueError("it has no id")
        passed_on, named = self._referenced(post, "retweeted"), ""
        if passed_on is not None:
            # Known under what it is: whoever passes it on, it is one article.
            match = _PASSED_ON.match(text_of(post, "text"))
            post, named = passed_on, match[1] if match else ""
        quoted = self._referenced(post, "quoted")
        text = text_in(post)
        name, author = self._writer(post, named or (self._name if passed_on is None else ""))
        return api_entry(
            key=_key(post),
            link=f"https://x.com/{name or 'i/web'}/status/{text_of(post, 'id')}",
            title=title_of(post, text) or f"A post by {author or 'somebody'}",
            content=Prose(html_of(post, self._quotation(quoted)), is_html=True, base=self._url),
            dates=[text_of(post, "created_at")],
            author=author,
            language=_language(post),
            # Its page is made by scripts, and says no more.
            complete=True,
        )

    def _referenced(self, post: Object, sort: str) -> Object | None:
        for one in objects_of(post, "referenced_tweets"):
            if text_of(one, "type") == sort:
                found = self._posts.get(text_of(one, "id"))
                return found if found is not None and is_id(text_of(found, "id")) else None
        return None

    def _quotation(self, post: Object | None) -> str:
        if post is None:
            return ""
        _, author = self._writer(post, "")
        return f"{author}: {text_in(post)}" if author else text_in(post)

    def _writer(self, post: Object, known: str) -> tuple[str, str]:
        """The name that stands in the address of `post`, `known` without being said among the users, and its writer for
        people; "" where nobody said."""
        user = self._users.get(text_of(post, "author_id"), {})
        said = line_of(text_of(user, "username"), _LONGEST_NAME)
        # The name of the source stays: what a user is called now would change the address of all posts.
        name = known or (said if said.isascii() and said.replace("_", "").isalnum() else "")
        shown = line_of(text_of(user, "name"), _LONGEST_NAME)
        handle = f"@{name}" if name else ""
        return name, f"{shown} ({handle})" if shown and handle else shown or handle


def _loaded(body: bytes) -> Object:
    return load(read_as(body, ["utf-8"]))


def _latest(posts: list[Any]) -> Iterable[Any]:
    """`posts`, of several versions of one the latest alone."""
    latest: dict[str, str] = {}
    for post in posts:
        if isinstance(post, dict) and is_id(post_id := text_of(post, "id")):
            latest[_key(post)] = max(latest.get(_key(post), ""), post_id, key=order_of)
    for post in posts:
        post_id = text_of(post, "id") if isinstance(post, dict) else ""
        if not is_id(post_id) or latest[_key(post)] == post_id:
            yield post


def _key(post: Object) -> str:
    """The id of the first version of `post`: each edit is a post of its own."""
    history = post.get("edit_history_tweet_ids")
    versions = (
        [one for one in history if isinstance(one, str) and is_id(one)] if isinstance(history, list) else []
    )
    return min([*versions, text_of(post, "id")], key=order_of)


def _name(post: Any) -> tuple[str, str]:
    return (_key(post), "") if isinstance(post, dict) else ("", "")


def _walked(posts: list[Any], meta: Object, horizon: int) -> dict[str, Any]:
    found = [
        Mark(post_id, _seconds(post))
        for post in posts
        if isinstance(post, dict) and is_id(post_id := text_of(post, "id"))
    ]
    marks = sorted(found, key=lambda mark: order_of(mark.id))
    dated = any(mark.at for mark in marks)
    old = [mark for mark in marks if 0 < mark.at <= horizon or not dated]
    return {
        "count": len(posts),
        "token": text_of(meta, "next_token")[:_LONGEST_TOKEN],
        "oldest": list(marks[0]) if marks else None,
        "base": list(old[-1]) if old else None,
    }


def _seconds(post: Object) -> int:
    moment = parse_date(text_of(post, "created_at"))
    return max(int(moment.timestamp()), 0) if moment is not None else 0


def _language(post: Object) -> str | None:
    said = text_of(post, "lang").lower()
    return None if said in _NO_LANGUAGES else _LANGUAGES.get(said, said)


def _problems(said: Object) -> list[Object]:
    return objects_of(said, "errors")


def _is_about_user(problem: Object) -> bool:
    # Those of users and posts that others only speak of name other parameters.
    return text_of(problem, "resource_type") in ("user", "") and text_of(problem, "parameter") in ("id", "")


def _words(problems: list[Object]) -> str:
    """What X says of the first of `problems`; "" for none."""
    for one in problems:
        said = text_of(one, "detail") or text_of(one, "message") or text_of(one, "title")
        return line_of(strip_controls(said), _LONGEST_SAID).rstrip(".") or "without a word of why"
    return ""
