"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/); a value of the wrong type is missing."""

from __future__ import annotations

import re

from digestd.errors import NotAFeed
from digestd.feed.border import read_each
from digestd.feed.entry import Prose, joined_names, language_tag, make_entry
from digestd.feed.identity import LONGEST_TITLE
from digestd.feed.json_values import Object, load, object_of, objects_of, text_of
from digestd.feed.link import absolute_link, is_web_address
from digestd.feed.refusal import refuse_too_many
from digestd.feed.rss_in_json import is_rss_in_json, read_rss_in_json
from digestd.feed.text import line_of
from digestd.model import Document, Entry

_VERSION = re.compile(r"https?://(?:www\.)?jsonfeed\.org/version/(1(?:\.\d)?)/?")


def parse_json_feed(text: str, url: str) -> Document:
    """Read `text`, a JSON Feed (or RSS written as JSON) served from `url`.

    The format of the document is "json1" or "json11" (or "rssjson"). Raises
    :class:`~digestd.errors.NotAFeed` for text that is no JSON, or JSON that is no feed, and
    :class:`~digestd.errors.ParserFailed` for JSON beyond our limits.
    """
    feed = load(text)
    if is_rss_in_json(feed):
        return read_rss_in_json(feed, url)
    version = _VERSION.fullmatch(text_of(feed, "version").strip())
    if version is None:
        raise NotAFeed("JSON without the version of a JSON Feed came instead of a feed")
    if not isinstance(feed.get("items"), list):
        raise NotAFeed("a JSON Feed without its list of items came instead of a feed")
    items = objects_of(feed, "items")
    refuse_too_many(len(items))
    entries, left_out = read_each(items, lambda item: _entry(item, feed, url), _name)
    return Document(
        url=url,
        format="json" + version[1].replace(".", ""),
        title=line_of(text_of(feed, "title"), LONGEST_TITLE) or None,
        language=language_tag(text_of(feed, "language")),
        entries=entries,
        left_out=left_out,
        older=absolute_link(url, next_url) if (next_url := text_of(feed, "next_url")) else None,
    )


def _name(item: Object) -> tuple[str, str]:
    return text_of(item, "id"), text_of(item, "title")


def _entry(item: Object, feed: Object, url: str) -> Entry:
    guid = text_of(item, "id").strip()
    return make_entry(
        guid=guid,
        link=_link(item, guid, url),
        title=text_of(item, "title"),
        author=_author(item) or _author(feed),
        language=text_of(item, "language") or text_of(feed, "language"),
        summary=Prose(text_of(item, "summary"), is_html=False, base=url),
        content=_content(item, url),
        dates=[text_of(item, "date_published"), text_of(item, "date_modified")],
    )


def _link(item: Object, guid: str, url: str) -> str | None:
    """The item's own page; else what it points to; else its id, which should be its URL where it has one."""
    written = [text_of(item, "url"), text_of(item, "external_url"), guid if is_web_address(guid) else ""]
    return next((link for href in written if href and (link := absolute_link(url, href))), None)


def _content(item: Object, url: str) -> Prose:
    html = text_of(item, "content_html")
    return Prose(html, True, url) if html.strip() else Prose(text_of(item, "content_text"), False, url)


def _author(holder: Object) -> str:
    """Names joined with commas: `authors` of 1.1, else `author` of 1.0."""
    people = objects_of(holder, "authors") or [object_of(holder, "author")]
    return joined_names(text_of(person, "name") for person in people)
