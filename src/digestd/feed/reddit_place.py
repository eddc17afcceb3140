"""Which subreddits are meant, and the one address that stands for all of them together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

MOST_SUBREDDITS = 100
"""So many are joined into one request."""

_NAME = re.compile(r"(?:/?r/)?([a-z0-9][a-z0-9_]{1,23})/?", re.ASCII)
_MARK = "/r/"
_ENDS = ("/.rss", ".rss", "/new")


class Place(NamedTuple):
    """Subreddits by their `names`, in lower case and in order, at `base`."""

    base: str
    names: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"{self.base}{_MARK}{'+'.join(self.names)}"


def place_of(base: str, written: Iterable[str]) -> Place:
    """The place of the subreddits `written` as operators write them, at `base`. Raises ValueError, with a sentence."""
    names = tuple(sorted({_name(one) for one in written}))
    if len(names) > MOST_SUBREDDITS:
        raise ValueError(
            f"{len(names)} subreddits are more than the {MOST_SUBREDDITS} that are joined; make two sources"
        )
    return Place(base, names)


def read_place(url: str) -> Place:
    """The place at `url`, as a browser or a feed reader shows it. Raises ValueError, with a sentence."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    for end in _ENDS:
        path = path.removesuffix(end)
    before, found, joined = path.rpartition(_MARK)
    if not found or "/" in joined:
        raise ValueError(
            "it must be the address of a subreddit, or of several: https://www.reddit.com/r/name+other"
        )
    # Links of articles are made of it: a password would stand in each of them.
    host = parts.netloc.rpartition("@")[2]
    return place_of(f"{parts.scheme}://{host}{before}", joined.split("+"))


def unread_in(url: str) -> str | None:
    """What in `url` would not be asked with, though whoever wrote it counts on it, in a sentence; None for nothing."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return "user info is not sent to Reddit; give client_id and client_secret"
    if any(one.partition("=")[0] in ("feed", "user") for one in parts.query.split("&")):
        return "the token of a personal feed (feed=…&user=…) is not sent; give client_id and client_secret"
    return None


def _name(written: str) -> str:
    match = _NAME.fullmatch(written.strip().lower())
    if match is None:
        raise ValueError(
            f"{written[:100]!r} is no name of a subreddit; it has 2 to 24 letters, digits and underscores"
        )
    return match[1]
