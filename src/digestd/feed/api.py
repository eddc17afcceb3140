"""Entries of what an API says: a catalogue, posts, links. All of it goes the way that entries of feeds go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from digestd.feed.entry import Prose, make_entry
from digestd.feed.html import to_line
from digestd.feed.revision import sound_facts
from digestd.feed.text import line_of
from digestd.model import Entry, Facts

HEADLINE_CHARACTERS = 120

# A second beyond the years that Python knows.
_LAST_SECOND = 253_402_300_799.0


def api_entry(
    *,
    key: str,
    link: str | None,
    title: str,
    content: Prose | None = None,
    summary: Prose | None = None,
    dates: Sequence[str] = (),
    author: str | None = None,
    language: str | None = None,
    complete: bool = False,
    facts: Facts | None = None,
) -> Entry:
    """Make the entry of one thing that an API gave. Never raises.

    `key` is what it is recognised by for good: a `t3_` name, the id of a post, a CVE; what stands under it later is the
    same article, edited. `link` is absolute; `title` and `author` are plain text; `content` and `summary` are HTML or
    plain text, sanitised here; `dates` are as written, best first, in any form that feeds have (see :func:`date_of`
    for seconds since 1970). What changes by itself (votes, counts of comments) must not stand in any of them, or the
    article follows each count.

    `complete` says that there is no page to be fetched that says more; without it, that is decided as for feeds.
    `facts` are those of an advisory (see :mod:`digestd.feed.revision`): where they change with the text, that is told.
    """
    entry = make_entry(
        guid=key,
        link=link,
        title=title,
        author=author,
        language=language,
        summary=summary,
        content=content,
        dates=dates,
    )
    return replace(entry, complete=complete or entry.complete, facts=sound_facts(facts))


def date_of(seconds: object) -> str:
    """Give `seconds` since 1970, as JSON has them, as a date for :func:`api_entry`; "" for what is no such number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return ""
    if not 0 < seconds < _LAST_SECOND:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def headline(text: str, *, is_html: bool = False) -> str:
    """Give the beginning of a post without a title as one: at most 120 characters, whole words, with an ellipsis where
    it goes on."""
    longest = HEADLINE_CHARACTERS
    line = to_line(text, 2 * longest) if is_html else line_of(text, 2 * longest)
    if len(line) <= longest:
        return line
    whole = line[: longest - 1].rpartition(" ")[0]
    return (whole if len(whole) > longest // 2 else line[: longest - 1]).rstrip(" ,;:.-") + "…"
