"""Whose timeline, or which search, of X is meant, and the one address that stands for it: where the API is asked."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

LONGEST_QUERY = 512
"""Longer queries are refused by recent search (self-serve access)."""

_NAME = re.compile(r"@?([a-z0-9_]{1,20})", re.ASCII)
_SITES = frozenset(
    {"x.com", "www.x.com", "mobile.x.com", "twitter.com", "www.twitter.com", "mobile.twitter.com"}
)
_NO_USERS = frozenset({"home", "explore", "search", "i", "hashtag", "settings", "notifications", "messages"})
_USER, _SEARCH = "/2/users/by/username/", "/2/tweets/search/recent"
_WITHOUT_RETWEETS = " -is:retweet"


class Place(NamedTuple):
    """The timeline of the `user`, or the search for `query`: one of the two is empty. The API is at `base`."""

    base: str
    user: str = ""
    query: str = ""

    @property
    def url(self) -> str:
        """The address at the API that stands for it."""
        if self.user:
            return f"{self.base}{_USER}{self.user}"
        return f"{self.base}{_SEARCH}?query={quote(self.query, safe='')}"


def place_of(url: str | None, user: str | None, query: str | None, base: str) -> Place:
    """The place that the operator means: by `url`, an address as a browser shows it, by `user` or by `query`.

    Raises ValueError, with a sentence for the operator.
    """
    if (url is not None) + (user is not None) + (query is not None) != 1:
        raise ValueError("exactly one of url and the options user and query says what is read")
    if url is not None:
        user, query = _shown_at(url)
    if user is not None:
        return Place(base, user=_name(user))
    return Place(base, query=_query(query or ""))


def read_place(url: str) -> Place:
    """The place that `url`, made by :attr:`Place.url`, stands for. Raises ValueError."""
    before, found, name = url.partition(_USER)
    if found:
        return Place(before, user=_name(name))
    before, found, query = url.partition(f"{_SEARCH}?")
    if not found:
        raise ValueError("it is no address of a timeline or a search at the API of X")
    return Place(before, query=_query(parse_qs(query).get("query", [""])[0]))


def sent_query(query: str, *, retweets: bool) -> str:
    """`query` as it is sent: without retweets, unless they are wanted or the query itself speaks of them."""
    if retweets or "is:retweet" in query:
        return query
    # A blank binds closer than OR.
    return f"({query}){_WITHOUT_RETWEETS}" if " OR " in query else f"{query}{_WITHOUT_RETWEETS}"


def _shown_at(url: str) -> tuple[str | None, str | None]:
    """The user and the query of a page of X."""
    parts = urlsplit(url)
    if (parts.hostname or "") not in _SITES:
        raise ValueError("it must be an address at x.com; base_url tells where else the API is")
    path = unquote(parts.path).strip("/")
    if path == "search":
        return None, parse_qs(parts.query).get("q", [""])[0]
    if not path or "/" in path or path.lower() in _NO_USERS:
        raise ValueError(
            "it must be the address of a user or a search: https://x.com/name or https://x.com/search?q=…"
        )
    return path, None


def _name(written: str) -> str:
    match = _NAME.fullmatch(written.strip().lower())
    if match is None:
        raise ValueError(f"user: {written[:100]!r} is none; write the name as it stands behind the @")
    return match[1]


def _query(written: str) -> str:
    query = " ".join(written.split())
    if not query:
        raise ValueError("query: must not be empty")
    return query
