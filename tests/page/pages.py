"""Pages written for the tests of `digestd.page`: an article, and what stands in its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from digestd.errors import NoArticle
from digestd.model import Page
from digestd.page.reading import read_page

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
URL = "https://news.example/2026/06/router-flaw"
TITLE = "Critical flaw in routers of three vendors"
PARAGRAPHS = (
    "Three vendors of home routers have closed a hole in the web interface of their devices this week. It lets anyone "
    "on the same network run commands as the administrator, without a password, by way of one crafted request.",
    "The hole was found by a student who read the firmware of a device bought second-hand. She reported it in March, "
    "and all three vendors confirmed that they had taken the same code from one supplier of chips.",
    "Owners should install the update, switch off remote administration, and change every password that was stored on "
    "the device. There is no sign so far that the hole was used by anyone but its finder, the vendors say.",
)


def article(
    head: str = "", before: str = "", after: str = "", title: str = TITLE, attributes: str = 'lang="en"'
) -> str:
    """The page of an article, with `head` in its head and `before` and `after` beside the article."""
    text = "".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)
    return (
        f"<!DOCTYPE html><html {attributes}><head><title>{title}</title>{head}</head><body>{before}"
        f"<article><h1>{title}</h1>{text}</article>{after}</body></html>"
    )


def page(body: str, title: str = "Example News") -> str:
    """A page with `body` and nothing else."""
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>"


def linked(**values: object) -> str:
    """A block of JSON-LD about an article."""
    node = {"@context": "https://schema.org", "@type": "NewsArticle", **values}
    return f'<script type="application/ld+json">{json.dumps(node)}</script>'


def graph(*nodes: object) -> str:
    """A block of JSON-LD with several nodes."""
    return f'<script type="application/ld+json">{json.dumps({"@graph": nodes})}</script>'


def read(
    html: str | bytes,
    *,
    url: str = URL,
    content_type: str | None = "text/html; charset=utf-8",
    feed_html: str = "",
    title: str = TITLE,
    now: datetime = NOW,
) -> Page:
    """Read a page as the daemon does, with what the tests do not care about filled in."""
    body = html.encode("utf-8", "surrogatepass") if isinstance(html, str) else html
    return read_page(body, url, content_type, feed_html=feed_html, title=title, now=now)


def refusal_of(html: str | bytes, *, feed_html: str = "", title: str = TITLE) -> str:
    """Why a page holds no article; fails where it does."""
    try:
        found = read(html, feed_html=feed_html, title=title)
    except NoArticle as refusal:
        return str(refusal)
    raise AssertionError(f"taken for an article: {found.text}")
