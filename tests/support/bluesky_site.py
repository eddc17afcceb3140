"""bsky.app as its source shows it: feeds of profiles, with the own posts among the last 30 things of an account that
are no replies; what it answers where there is none to be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import trio

from digestd.errors import HTTPStatus
from digestd.model import Response
from support.asking import GetsOnly

LONGEST = 30
BEGAN = datetime(2026, 11, 23, 8, tzinfo=UTC)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\n": "&#xA;", "\t": "&#x9;"}


def escaped(text: str) -> str:
    """`text` as Go's encoding/xml writes it."""
    return "".join(_ESCAPES.get(character, character) for character in text)


@dataclass
class Post:
    key: str
    text: str
    created_at: str
    is_own: bool = True
    is_reply: bool = False


@dataclass
class Profile:
    """An account, its posts the oldest first. With `hidden` it forbids that anybody sees it who is not logged in."""

    handle: str = "someone.bsky.social"
    did: str = "did:plc:abc123"
    name: str = "Some One"
    hidden: bool = False
    posts: list[Post] = field(default_factory=list)
    number: int = 0

    def post(self, text: str | None = None, **more: bool) -> Post:
        self.number += 1
        moment = BEGAN + timedelta(minutes=self.number)
        created = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        post = Post(f"3l{self.number:011}", f"Post {self.number}" if text is None else text, created, **more)
        self.posts.append(post)
        return post

    def guid(self, post: Post) -> str:
        return f"at://{self.did}/app.bsky.feed.post/{post.key}"

    def served(self) -> list[Post]:
        """What the feed has, the newest first."""
        return [post for post in self.posts[: -LONGEST - 1 : -1] if post.is_own and not post.is_reply]

    def feed(self) -> bytes:
        items = "".join(
            f"<item><link>https://bsky.app/profile/{self.handle}/post/{post.key}</link>"
            f"<description>{escaped(post.text)}</description><pubDate>{post.created_at}</pubDate>"
            f'<guid isPermaLink="false">{self.guid(post)}</guid></item>'
            for post in self.served()
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>'
            f"<description>What {escaped(self.name)} is about &amp; does</description>"
            f"<link>https://bsky.app/profile/{self.handle}</link>"
            f"<title>@{self.handle} - {escaped(self.name)}</title>{items}</channel></rss>"
        ).encode()

    def answer(self, path: str) -> tuple[int, Mapping[str, str], bytes]:
        """Answer one GET."""
        json = {"Content-Type": "application/json"}
        for name in (self.handle, self.did):
            if path.endswith(f"/profile/{name}/rss"):
                if self.hidden:
                    words = f'{{"message":"account does not allow public views: {self.did}"}}'
                    return 403, json, words.encode()
                return 200, {"Content-Type": "application/xml; charset=UTF-8"}, self.feed()
        return 404, json, b'{"message":"account not found"}'


@dataclass
class Getting(GetsOnly):
    """The way to a :class:`Profile` without a network. `before` is called with each request, and may raise or give
    another document."""

    profile: Profile
    before: Callable[[], bytes | None] = lambda: None
    asked: list[str] = field(default_factory=list)

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        await trio.lowlevel.checkpoint()
        self.asked.append(url)
        other = self.before()
        status, fields, body = self.profile.answer(url) if other is None else (200, {}, other)
        if status != 200:
            raise HTTPStatus(f"the server answered {status}", status=status)
        return Response(url, status, {name.lower(): value for name, value in fields.items()}, body)
