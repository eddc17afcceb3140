"""Which account or tag on which instance of Mastodon is meant, and the one address that stands for it."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

_ACCOUNT = re.compile(
    r"@?([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?:@([a-z0-9.-]+\.[a-z0-9-]+(?::\d{1,5})?))?", re.ASCII
)
_TAG = re.compile(r"#?(\w{1,200})")
_FEED_ENDS = (".rss", ".atom", ".json")


class Place(NamedTuple):
    """An account or a tag: the instance that is asked is at `base`, `name` is what it calls it, and `url` is where
    people find it."""

    base: str
    is_tag: bool
    name: str

    @property
    def url(self) -> str:
        return f"{self.base}/tags/{quote(self.name)}" if self.is_tag else f"{self.base}/@{self.name}"


def place_of(url: str | None, account: str | None, tag: str | None, base_url: str | None) -> Place:
    """The place that the operator means: by `url`, an address as a browser shows it, or by `account` (`name@host`, or
    a name at `base_url`), or by `tag` at `base_url`.

    Raises ValueError, with a sentence for the operator.
    """
    if (url is not None) + (account is not None) + (tag is not None) != 1:
        raise ValueError("exactly one of url, account and tag says what is read")
    if url is not None:
        if base_url is not None:
            raise ValueError("leave base_url out: the url says where the instance is")
        return read_place(url)
    if tag is not None:
        if base_url is None:
            raise ValueError("missing; give base_url, the instance whose posts with the tag are read")
        return _tag(base_url, tag)
    return _account(base_url, account or "")


def read_place(url: str) -> Place:
    """The place at `url`: https://host/@name, https://host/@name@other, https://host/tags/name. Raises ValueError."""
    path = urlsplit(url).path.rstrip("/")
    if path.endswith(_FEED_ENDS):
        raise ValueError(
            "it is the address of a feed; make it a source of the kind 'feed', or leave its ending away"
        )
    for mark, made in (("/@", _account), ("/users/", _account), ("/tags/", _tag)):
        before, found, name = path.rpartition(mark)
        if found and name and "/" not in name:
            parts = urlsplit(url)
            return made(f"{parts.scheme}://{parts.netloc}{before}", unquote(name))
    raise ValueError(
        "it must be the address of an account or a tag: https://host/@name or https://host/tags/name"
    )


def _account(base: str | None, written: str) -> Place:
    match = _ACCOUNT.fullmatch(written.strip().lower())
    if match is None:
        raise ValueError(f"account: {written[:100]!r} is none; write it as name@host")
    name, host = match.groups()
    if base is None:
        if host is None:
            raise ValueError("account: its instance is missing: write name@host, or give base_url")
        base = f"https://{host}"
    at_home = host is None or host == urlsplit(base).netloc.lower()
    return Place(base, False, name if at_home else f"{name}@{host}")


def _tag(base: str, written: str) -> Place:
    match = _TAG.fullmatch(written.strip().lower())
    if match is None:
        raise ValueError(f"tag: {written[:100]!r} is none; it is one word of letters, digits and underscores")
    return Place(base, True, match[1])
