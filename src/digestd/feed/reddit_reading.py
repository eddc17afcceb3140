"""Posts of Reddit, from its Atom feeds and from its API, as the same entries.

A post is known by its fullname (`t3_1abcd1`) in both. Where it links to is the article's link; the discussion is linked
to from its text. Votes and counts of comments stand nowhere.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlsplit

from digestd.errors import NotAFeed
from digestd.feed.api import api_entry, date_of
from digestd.feed.border import read_each
from digestd.feed.encoding import read_as
from digestd.feed.entry import Prose
from digestd.feed.html import clean, cleaned_to_text, from_text
from digestd.feed.json_values import Object, load, object_of, text_of
from digestd.feed.link import absolute_link
from digestd.feed.parse import parse_feed
from digestd.feed.text import line_of
from digestd.model import Document, Entry

_FULLNAME = re.compile(r"t3_[a-z0-9]{1,13}", re.ASCII)
_DISCUSSION = re.compile(r"/r/([A-Za-z0-9_]{1,50})/comments/")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII)
_OWN_HOSTS = ("reddit.com", "redd.it", "redditmedia.com", "redditstatic.com")
_NOBODY = ("", "[deleted]", "/u/[deleted]")
# What Reddit writes behind the text of a post. Names of people and subreddits cannot hold it, so the last one is its.
_SIGNATURE = "submitted by"
# In sanitised HTML, where attributes are quoted and links do not nest.
_LINKED = re.compile(r'<a href="([^"<>]*)"[^<>]*>\s*\[link\]\s*</a>')
# A page that holds fewer is the last one, whatever size was asked for: 25 come where nothing is said.
_FEWEST_BEFORE_MORE = 25


class _Post(NamedTuple):
    name: str
    title: str
    author: str
    discussion: str | None
    target: str | None
    text: str
    dates: Sequence[str]


def is_fullname(text: str) -> bool:
    """Whether `text` is what Reddit calls a post."""
    return _FULLNAME.fullmatch(text) is not None


def read_listing(body: bytes, url: str, base: str) -> Document:
    """Read a listing of the API (`raw_json=1`), served from `url`; links to Reddit itself lead to `base`.

    Of its `facts`, `after` is the fullname behind which there are older posts, None where there are none; `count` is
    how many things it lists, and `foreign` how many of them are no posts. Stickied posts and removed ones are left out
    without a word. Raises :class:`~digestd.errors.NotAFeed`.
    """
    listing = load(read_as(body, ["utf-8"]))
    data = object_of(listing, "data")
    children = data.get("children")
    if listing.get("kind") != "Listing" or not isinstance(children, list):
        raise NotAFeed("what came is no listing of Reddit")
    posts = [object_of(one, "data") for one in children if isinstance(one, dict) and one.get("kind") == "t3"]
    wanted = [
        post for post in posts if post.get("stickied") is not True and not post.get("removed_by_category")
    ]
    entries, left_out = read_each(wanted, lambda post: _entry(_of_listing(post, base)), _named)
    after = text_of(data, "after")
    facts = {
        "after": after if is_fullname(after) else None,
        "count": len(children),
        "foreign": len(children) - len(posts),
    }
    return Document(url, "reddit", entries=entries, left_out=left_out, facts=facts)


def read_feed(body: bytes, url: str, content_type: str | None) -> Document:
    """Read an Atom feed of Reddit's, served from `url` as `content_type`. `facts` as of :func:`read_listing`. Raises
    what :func:`digestd.feed.parse.parse_feed` raises."""
    document = parse_feed(body, url, content_type)
    # Of a feed that was cut off, the last post may be half there.
    found = document.entries if document.whole else document.entries[:-1]
    posts = [entry for entry in found if is_fullname(entry.guid or "")]
    entries, left_out = read_each(
        posts, lambda entry: _entry(_of_feed(entry)), lambda entry: (entry.guid or "", entry.title)
    )
    facts = {
        "after": posts[-1].guid if len(posts) >= _FEWEST_BEFORE_MORE else None,
        "count": len(found),
        "foreign": len(found) - len(posts),
    }
    return replace(document, entries=entries, left_out=(*document.left_out, *left_out), facts=facts)


def _named(post: Object) -> tuple[str, str]:
    return text_of(post, "name"), text_of(post, "title")


def _of_listing(post: Object, base: str) -> _Post:
    name, permalink = text_of(post, "name"), text_of(post, "permalink")
    if not is_fullname(name):
        raise ValueError("it has no name")
    target = text_of(post, "url_overridden_by_dest") or text_of(post, "url")
    is_own = post.get("is_self") is True
    author = text_of(post, "author")
    return _Post(
        name,
        text_of(post, "title"),
        f"/u/{author}" if _NAME.fullmatch(author) else "",
        absolute_link(f"{base}/", permalink.lstrip("/")) if permalink else None,
        absolute_link(f"{base}/", target) if target and not is_own else None,
        _text_in(clean(text_of(post, "selftext_html"), base)),
        [date_of(post.get("created_utc"))],
    )


def _of_feed(entry: Entry) -> _Post:
    content = entry.content or entry.summary or ""
    written, signed, signature = content.rpartition(_SIGNATURE)
    linked = _LINKED.search(signature)
    return _Post(
        entry.guid or "",
        entry.title,
        entry.author or "",
        entry.link,
        html.unescape(linked[1]) if linked else None,
        _text_in(written if signed else content),
        [entry.published_raw or ""],
    )


def _entry(post: _Post) -> Entry:
    link, is_elsewhere = _link(post)
    where = _DISCUSSION.search(post.discussion or "")
    content = post.text
    if post.discussion and where:
        said = f"Discussion in r/{where[1]}"
        content += f'<p><a href="{html.escape(post.discussion)}">{from_text(said)}</a></p>'
    return api_entry(
        key=post.name,
        link=link,
        title=line_of(post.title, 1_000) or "A post without a title",
        content=Prose(content, is_html=True, base=link or ""),
        dates=post.dates,
        author=None if post.author in _NOBODY else post.author,
        # What is Reddit's own is shown by scripts, and to no programs; all of its text is here.
        complete=not is_elsewhere,
    )


def _link(post: _Post) -> tuple[str | None, bool]:
    """Where `post` leads, and whether that is away from Reddit."""
    if post.target is None or _is_own(post.target) or _host(post.target) == _host(post.discussion or ""):
        return post.discussion or post.target, False
    return post.target, True


def _is_own(link: str) -> bool:
    host = _host(link).partition(":")[0]
    return any(host == own or host.endswith(f".{own}") for own in _OWN_HOSTS)


def _host(link: str) -> str:
    try:
        return urlsplit(link).netloc.lower()
    except ValueError:
        return ""


def _text_in(cleaned: str) -> str:
    """What somebody wrote, in sanitised HTML that may have a picture before it: it stands in a box of its own."""
    start, end = cleaned.find("<div>"), cleaned.rfind("</div>")
    text = cleaned[start + len("<div>") : end].strip() if 0 <= start < end else ""
    return text if cleaned_to_text(text) else ""
