"""From what a parser found in an XML feed to the :class:`~digestd.model.Document` that digestd works with.

A parser gives what feedparser gives: `version`, `feed` and `entries`, by feedparser's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from digestd.feed.border import read_each
from digestd.feed.entry import LONGEST_AUTHOR, Prose, joined_names, language_tag, make_entry
from digestd.feed.hints import skipped, stated
from digestd.feed.html import to_line
from digestd.feed.identity import LONGEST_TITLE
from digestd.feed.link import absolute_link, is_web_address
from digestd.feed.paging import older_page
from digestd.feed.text import line_of
from digestd.model import Document, Entry, Hints

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

# A base is written once and stands in every link that is relative to it. Longer URLs are none that work.
_LONGEST_BASE = 2_000

# What feedparser gives for a feed or an entry. Only dict's own methods are used on it: its `get` and `[]`
# answer for other names too (`updated` with the date of publication, for one).
_Parsed: TypeAlias = dict[str, Any]


def document_of(parsed: Mapping[str, Any], text: str, url: str, *, whole: bool) -> Document:
    """The document that `parsed` is, which was read from `text` and came from `url`; `whole` unless it was cut off."""
    feed: _Parsed = parsed.get("feed") or {}
    language = language_tag(_text(feed, "language"))
    read, left_out = read_each(
        parsed.get("entries") or [], lambda entry: entry_of(entry, url, language), name_of
    )
    return Document(
        url=url,
        format=parsed.get("version") or "unknown",
        title=_title(feed) or None,
        language=language,
        entries=read,
        left_out=left_out,
        whole=whole,
        older=older_page([(_text(link, "rel"), _text(link, "href")) for link in _parts(feed, "links")], url),
        hints=_hints(feed, text),
    )


def _hints(feed: _Parsed, text: str) -> Hints:
    hours, days = skipped(text)
    period, frequency = _text(feed, "sy_updateperiod"), _text(feed, "sy_updatefrequency")
    return stated(_text(feed, "ttl"), period, frequency, hours, days)


def entry_of(entry: _Parsed, url: str, language: str | None) -> Entry:
    """One of the entries of a feed from `url`, which is in `language` where an entry does not say."""
    guid = _text(entry, "id")
    return make_entry(
        guid=guid,
        link=_link(entry, guid.strip(), url),
        title=_title(entry),
        author=_author(entry),
        language=_language(entry) or language,
        summary=_prose(_text(entry, "summary"), _part(entry, "summary_detail"), url),
        content=_content(entry, url),
        dates=[_text(entry, name) for name in ("published", "updated", "created")],
    )


def name_of(entry: _Parsed) -> tuple[str, str]:
    """What an entry is told by when it cannot be read: its guid and its title."""
    return _text(entry, "id"), _text(entry, "title")


def _text(holder: _Parsed, name: str) -> str:
    # An element with attributes that feedparser does not know can stand there as a dict.
    value = dict.get(holder, name)
    return value if isinstance(value, str) else ""


def _part(holder: _Parsed, name: str) -> _Parsed:
    value = dict.get(holder, name)
    return value if isinstance(value, dict) else {}


def _parts(holder: _Parsed, name: str) -> list[_Parsed]:
    value = dict.get(holder, name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _link(entry: _Parsed, guid: str, url: str) -> str | None:
    """The entry's own page. feedparser takes any guid for one; here it has to look like an address."""
    link = _text(entry, "link")
    others = [_text(part, "href") for part in _parts(entry, "links") if _text(part, "rel") == "alternate"]
    written = [href for href in (link, *others) if href and (href != guid or is_web_address(guid))]
    return next((found for href in written if (found := absolute_link(url, href))), None)


def _title(holder: _Parsed) -> str:
    title = _text(holder, "title")
    is_html = _text(_part(holder, "title_detail"), "type") in _HTML_TYPES
    return to_line(title, LONGEST_TITLE) if is_html else line_of(title, LONGEST_TITLE)


def _author(entry: _Parsed) -> str:
    names = (to_line(_text(author, "name"), LONGEST_AUTHOR) for author in _parts(entry, "authors"))
    return joined_names(names) or to_line(_text(entry, "author"), LONGEST_AUTHOR)


def _language(entry: _Parsed) -> str | None:
    details = [_part(entry, "title_detail"), _part(entry, "summary_detail"), *_parts(entry, "content")]
    written = [_text(entry, "language"), *(_text(detail, "language") for detail in details)]
    return next((tag for text in written if (tag := language_tag(text))), None)


def _prose(value: str, detail: _Parsed, url: str) -> Prose:
    """A value without details is one that feedparser copied from HTML content."""
    is_html = (_text(detail, "type") or "text/html") in _HTML_TYPES
    base = _text(detail, "base")
    is_summary = "is_summary" in detail
    return Prose(value, is_html, base if 0 < len(base) <= _LONGEST_BASE else url, is_summary)


def _content(entry: _Parsed, url: str) -> Prose | None:
    """The longest HTML content, as the first can be a caption; plain text only where there is no HTML."""
    contents = [
        _prose(_text(part, "value"), part, url)
        for part in _parts(entry, "content")
        if (_text(part, "type") or "text/html") in _HTML_TYPES | {"text/plain"}
    ]
    return max(contents, key=lambda content: (content.is_html, len(content.value)), default=None)
