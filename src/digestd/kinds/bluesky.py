"""The kind `bluesky`: what an account posts, by the feed of its profile, without a key.

The feed has those of the last 30 posts that are the account's own and no replies. It is asked for as any feed is; what
its descriptions are, and what its refusals mean, is known here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from digestd.config.kind_options import BaseURL, KindOptions
from digestd.feed import shape
from digestd.feed.bluesky import read_profile
from digestd.kinds import Http, Tools, options_of
from digestd.kinds.feed import FeedKind
from digestd.model import Document, PollState, Source, Step

SPACING_SECONDS = 2.0
"""Nothing is said of a limit; each feed costs Bluesky two questions to its own API."""

_HOME = "https://bsky.app"
# https://atproto.com/specs/handle and /specs/did.
_HANDLE = re.compile(r"@?((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)")
_DID = re.compile(r"did:[a-z]{1,20}:[A-Za-z0-9._:-]{1,200}")
_PROFILE = "/profile/"
_WORDS = {
    400: "Bluesky does not take the name of the account; check it",
    403: "the account shows its posts to those alone who are logged in, or Bluesky refuses programs; there is no other "
    "way to read it here",
    404: "there is no such account; check its handle, which may have changed (its did stays)",
}


class BlueskyOptions(KindOptions):
    """The options of an account on Bluesky."""

    account: str | None = None
    base_url: BaseURL = _HOME

    def place(self, url: str | None) -> str:
        """The address of the feed of its profile. Raises ValueError."""
        if (url is None) == (self.account is None):
            raise ValueError("either url or the option account says which account is read")
        if url is None:
            return f"{self.base_url}{_PROFILE}{_account(self.account or '')}/rss"
        if self.base_url != _HOME:
            raise ValueError("leave base_url out: the url says where the account is")
        parts = urlsplit(url)
        before, found, rest = parts.path.rstrip("/").removesuffix("/rss").rpartition(_PROFILE)
        if not found or "/" in rest:
            raise ValueError(f"it must be the address of a profile: {_HOME}/profile/name.example")
        return f"{parts.scheme}://{parts.netloc}{before}{_PROFILE}{_account(unquote(rest))}/rss"


class BlueskyKind:
    """One document a step, as for feeds."""

    options = BlueskyOptions

    def __init__(self, tools: Tools) -> None:
        async def read(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
            return await tools.read(read_profile, body, url, content_type, source_url=source_url)

        self._feed = FeedKind(replace(tools, parse_feed=read))

    def spacing_seconds(self, source: Source) -> float:
        """See :class:`digestd.kinds.Kind`."""
        return SPACING_SECONDS

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`."""
        options_of(BlueskyOptions, source)
        done = await self._feed.step(source, state, http)
        if done.failure is not None:
            words = _WORDS.get(done.failure.status or 0)
            told = f"the server answered {done.failure.status}: {words}" if words else done.failure.message
            return replace(done, failure=replace(done.failure, message=told))
        if any(document.entries for document in done.documents) or not done.documents:
            return done
        # Whoever replies and passes on alone has an empty feed for a while.
        cursor = shape.remark(done.next_state.cursor or {}, None)
        return replace(done, next_state=replace(done.next_state, cursor=cursor or None))


def _account(written: str) -> str:
    name = written.strip()
    if _DID.fullmatch(name):
        return name
    match = _HANDLE.fullmatch(name.lower())
    if match is None:
        raise ValueError(f"account: {written[:100]!r} is none; write it as name.bsky.social, or as did:plc:…")
    return match[1]
