"""The door to feedparser: bytes in, a :class:`~digestd.model.Document` out.

feedparser is the reference for what a feed means. It runs with its own sanitising and link resolving off
(both are nh3's work here), its dates are not used (:mod:`digestd.feed.dates`), and it only ever sees UTF-8.
"""

from __future__ import annotations

import io
from typing import Any, TypeAlias

import feedparser
from feedparser.api import LooseFeedParser, StrictFeedParser

from digestd.errors import ParserFailed
from digestd.feed.border import read_each
from digestd.feed.dates import LONGEST_DATE
from digestd.feed.encoding import decode, mend
from digestd.feed.entry import LONGEST_AUTHOR, Prose, joined_names, language_tag, make_entry
from digestd.feed.hints import skipped, stated
from digestd.feed.html import to_line
from digestd.feed.identity import LONGEST_TITLE
from digestd.feed.jsonfeed import parse_json_feed
from digestd.feed.link import absolute_link, is_web_address
from digestd.feed.paging import older_page
from digestd.feed.refusal import (
    looks_like_html,
    not_a_feed,
    refuse_too_many,
    refuse_too_many_elements,
    refuse_too_much_text,
)
from digestd.feed.text import line_of
from digestd.feed.truncation import is_cut_off
from digestd.model import Document, Entry, Hints

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

# How much of an exception goes into a message: it may quote the document.
_LONGEST_REASON = 200
# A base is written once and stands in every link that is relative to it. Longer URLs are none that work.
_LONGEST_BASE = 2_000

# What feedparser has readers of its own for: some of them take time by the square of the length, or a hundred times its
# memory. A date that is cut is still too long to be one.
_CUT_AT = {
    **dict.fromkeys(("published", "updated", "created", "expired"), LONGEST_DATE + 1),
    **dict.fromkeys(("author", "publisher", "name", "email"), LONGEST_AUTHOR),
}

_push_content = LooseFeedParser.push_content
_pop = LooseFeedParser.pop


def _push_marked(parser: Any, tag: str, *arguments: Any) -> None:
    """Begin a content as feedparser does, and mark a second summary or description, which it takes for a content."""
    _push_content(parser, tag, *arguments)
    if tag == "content" and parser._summaryKey == "content":
        parser.contentparams["is_summary"] = True


def _pop_cut(parser: Any, element: str, *arguments: Any) -> Any:
    """End an element as feedparser does, without more of its text than anything honest has."""
    if element in _CUT_AT and parser.elementstack and parser.elementstack[-1][0] == element:
        pieces = parser.elementstack[-1][2]
        if sum(map(len, pieces)) > _CUT_AT[element]:
            # References come as bytes.
            text = "".join(piece if isinstance(piece, str) else piece.decode() for piece in pieces)
            pieces[:] = [text.strip()[: _CUT_AT[element]]]
    return _pop(parser, element, *arguments)


for _parser in (LooseFeedParser, StrictFeedParser):
    _parser.push_content = _push_marked
    _parser.pop = _pop_cut
    # feedparser resolves a guid against the address of the feed, which would make it another guid after a
    # redirect.
    _parser.can_be_relative_uri = _parser.can_be_relative_uri - {"id"}

# What feedparser gives for a feed or an entry. Only dict's own methods are used on it: its `get` and `[]`
# answer for other names too (`updated` with the date of publication, for one).
_Parsed: TypeAlias = dict[str, Any]


def parse_feed(body: bytes, url: str, content_type: str | None) -> Document:
    """Read `body`, which came from `url` as `content_type` (the whole header field, or None).

    RSS, RDF, Atom, CDF and JSON Feed are told by what is in the body. A feed without entries is a document
    without entries; one that was cut off has the entries that came, and is not `whole`. Raises
    :class:`~digestd.errors.NotAFeed` where something else came, and :class:`~digestd.errors.ParserFailed`
    where feedparser raises or there is more than we take. Bounded neither in time nor in memory: to be run
    where it can be killed.
    """
    raw = decode(body, content_type)
    text = mend(raw)
    if not text:
        raise not_a_feed(raw)
    document = parse_json_feed(text, url) if text[0] in "{[" else _parse_xml(text, raw, url)
    refuse_too_much_text(document, len(body))
    return document


def _parse_xml(text: str, raw: str, url: str) -> Document:
    refuse_too_many_elements(text)
    parsed = _feedparser(text, url)
    entries = parsed.get("entries") or []
    version = parsed.get("version") or ""
    if not entries and (not version or looks_like_html(text)):
        raise not_a_feed(raw)
    refuse_too_many(len(entries))
    feed = parsed.get("feed") or {}
    language = language_tag(_text(feed, "language"))
    read, left_out = read_each(entries, lambda entry: _entry(entry, url, language), _name)
    return Document(
        url=url,
        format=version or "unknown",
        title=_title(feed) or None,
        language=language,
        entries=read,
        left_out=left_out,
        whole=not (parsed.get("bozo") and is_cut_off(text)),
        older=older_page([(_text(link, "rel"), _text(link, "href")) for link in _parts(feed, "links")], url),
        hints=_hints(feed, text),
    )


def _hints(feed: _Parsed, text: str) -> Hints:
    hours, days = skipped(text)
    period, frequency = _text(feed, "sy_updateperiod"), _text(feed, "sy_updatefrequency")
    return stated(_text(feed, "ttl"), period, frequency, hours, days)


def _feedparser(text: str, url: str) -> _Parsed:
    # Never the bytes themselves: feedparser opens the file that they name, if they name one.
    stream = io.BytesIO(text.encode("utf-8"))
    headers = {"content-type": "application/xml; charset=utf-8", "content-location": url}
    try:
        return dict(
            feedparser.parse(
                stream, response_headers=headers, sanitize_html=False, resolve_relative_uris=False
            )
        )
    except (MemoryError, RecursionError):
        raise
    # The border to a parser that raises KeyError, TypeError and more on odd documents: that is a failed
    # document.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}"
        raise ParserFailed(f"feedparser cannot read the document: {reason}") from error


def _entry(entry: _Parsed, url: str, language: str | None) -> Entry:
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


def _name(entry: _Parsed) -> tuple[str, str]:
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
