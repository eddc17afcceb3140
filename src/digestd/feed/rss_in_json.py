"""RSS 2.0 written as JSON (https://github.com/scripting/Scripting-News): few feeds, but living ones."""

from __future__ import annotations

from digestd.errors import NotAFeed
from digestd.feed.border import read_each
from digestd.feed.entry import LONGEST_AUTHOR, Prose, language_tag, make_entry
from digestd.feed.html import to_line
from digestd.feed.identity import LONGEST_TITLE
from digestd.feed.json_values import Object, object_of, objects_of, text_of
from digestd.feed.link import absolute_link, is_web_address
from digestd.feed.refusal import refuse_too_many
from digestd.model import Document, Entry


def is_rss_in_json(feed: Object) -> bool:
    """Whether `feed`, a loaded JSON document, has the frame of RSS."""
    return isinstance(object_of(feed, "rss").get("channel"), dict)


def read_rss_in_json(feed: Object, url: str) -> Document:
    """Read `feed`, RSS as JSON served from `url`; the format of the document is "rssjson".

    A single item may stand without its list. Raises :class:`~digestd.errors.NotAFeed` where there is no
    item, and :class:`~digestd.errors.ParserFailed` for more items than we take.
    """
    channel = object_of(object_of(feed, "rss"), "channel")
    if "item" not in channel:
        raise NotAFeed("RSS as JSON without its items came instead of a feed")
    items = objects_of(channel, "item") or [item for item in [object_of(channel, "item")] if item]
    refuse_too_many(len(items))
    language = language_tag(text_of(channel, "language"))
    entries, left_out = read_each(items, lambda item: _entry(item, url, language), _name)
    return Document(
        url=url,
        format="rssjson",
        title=to_line(text_of(channel, "title"), LONGEST_TITLE) or None,
        language=language,
        entries=entries,
        left_out=left_out,
    )


def _name(item: Object) -> tuple[str, str]:
    return _guid(item), text_of(item, "title")


def _guid(item: Object) -> str:
    # An element with attributes is an object, with its text as #value.
    return text_of(item, "guid") or text_of(object_of(item, "guid"), "#value")


def _entry(item: Object, url: str, language: str | None) -> Entry:
    guid = _guid(item)
    href = text_of(item, "link") or (guid if is_web_address(guid) else "")
    return make_entry(
        guid=guid,
        link=absolute_link(url, href) if href else None,
        title=to_line(text_of(item, "title"), LONGEST_TITLE),
        author=to_line(text_of(item, "author"), LONGEST_AUTHOR),
        language=language,
        summary=Prose(text_of(item, "description"), is_html=True, base=url),
        content=Prose(text_of(item, "content:encoded"), is_html=True, base=url),
        dates=[text_of(item, "pubDate")],
    )
