"""What it means that Reddit refuses, and what to do.

Sources: https://github.com/reddit-archive/reddit/wiki/API, https://support.reddithelp.com/hc/en-us/articles/16160319875092,
and what clients of Reddit have met.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from digestd.errors import DocumentError
from digestd.feed.encoding import read_as
from digestd.feed.json_values import load, text_of
from digestd.model import Response

_REASONS = {
    "private": "is private",
    "banned": "was banned by Reddit",
    "quarantined": "is quarantined, and shown to those alone who are logged in",
    "gold_only": "is shown to those alone who pay",
    "missing": "does not exist",
    "refused": "is refused (it may be private, banned or quarantined)",
}
_MOST_NAMED = 10

# What the pages say by which Reddit turns away addresses and programs, whatever is asked for. Whole phrases: the page
# of a subreddit that is private has what its owners say of it, such as "all about network security".
_BLOCKED = re.compile(
    r"whoa there, pardner|<title>\s*blocked"
    r"|(?:request has|you've|you’ve|you have) been blocked|blocked (?:by|due to a) network (?:policy|security)",
    re.IGNORECASE,
)

BLOCKED_SECONDS = 3_600.0
"""For so long nothing is asked of a Reddit that turns us away."""

_KEYS = (
    "give the sources the keys of an application (client_id and client_secret), or ask from another address"
)
_OTHER_KEYS = "check the keys and the name of the application, or ask from another address"
_OFTEN = "Reddit was asked too often from this address; it is left alone until it may be asked again"
WRONG_KEYS = (
    "Reddit does not take the client_id and the client_secret; look them up under reddit.com/prefs/apps"
)
WRONG_TOKEN = "Reddit does not take the token that it has just given; the application may have been closed"  # noqa: S105 - a sentence


def is_reason(text: str) -> bool:
    """Whether `text` is one of the reasons that subreddits are left out for."""
    return text in _REASONS


def reason_of(answer: Response) -> str | None:
    """Why the subreddits that `answer` is for cannot be read, in a word; None where it says nothing of them. Never
    raises."""
    if answer.status == 200:
        return "missing" if urlsplit(answer.url).path.startswith("/subreddits/search") else None
    if answer.status not in (403, 404) or _is_block(answer):
        return None
    said = _said(answer.body)
    if is_reason(said):
        return said
    return "missing" if answer.status == 404 else "refused"


def is_blocked(answer: Response) -> bool:
    """Whether Reddit turns us away with `answer`, whatever we ask for."""
    return answer.status == 403 and _is_block(answer)


def words_of(answer: Response, *, has_keys: bool) -> str:
    """What to tell the operator of `answer`, which has no posts and says nothing of a single subreddit."""
    return f"the server answered {answer.status}: {_advice(answer, has_keys)}"


def named(reasons: Mapping[str, str]) -> str:
    """Name the subreddits that cannot be read, by their `reasons`: ten of them at most."""
    told = [f"r/{name} {_REASONS[reason]}" for name, reason in sorted(reasons.items())]
    more = len(told) - _MOST_NAMED
    return "; ".join(told[:_MOST_NAMED] + ([f"and {more} more"] if more > 0 else []))


def _advice(answer: Response, has_keys: bool) -> str:
    if is_blocked(answer):
        keys = _OTHER_KEYS if has_keys else _KEYS
        return f"Reddit turns this address or program away, and is left alone for an hour; {keys}"
    if answer.status == 429:
        return _OFTEN if has_keys else f"{_OFTEN}; if that goes on, {_KEYS}"
    if answer.status == 401:
        return WRONG_KEYS if has_keys else f"Reddit wants to know who asks; {_KEYS}"
    if answer.status >= 500:
        return "Reddit has trouble of its own; nothing needs to be done here"
    return "what came is no answer of Reddit's; check base_url"


def _is_block(answer: Response) -> bool:
    return _BLOCKED.search(answer.body[:65_536].decode("utf-8", "replace")) is not None


def _said(body: bytes) -> str:
    # An error is short; what is longer says nothing to us.
    try:
        return text_of(load(read_as(body[:4_096], ["utf-8"])), "reason")
    except DocumentError:
        return ""
