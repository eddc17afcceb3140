"""From what a document says of one thing to the :class:`~digestd.model.Entry` that digestd works with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from digestd.feed.completeness import COMPLETE_CHARACTERS, is_complete
from digestd.feed.dates import LONGEST_DATE, parse_date
from digestd.feed.html import clean, cleaned_to_text, from_text
from digestd.feed.identity import LONGEST_TITLE, content_hash_of, identity_of
from digestd.feed.text import line_of, storable
from digestd.model import Entry

LONGEST_AUTHOR = 1_000
"""How many characters of the names of authors are kept."""
LONGEST_GUID = 2_000
"""How many characters of a guid are kept; all of them tell which entry it is."""
LONGEST_LINK = 8_192
"""A longer link is none: nothing is fetched from there. The longest real one that we have seen has 340 characters."""

# In HTML, twice what is a whole article as text.
_END = 2 * COMPLETE_CHARACTERS
_LONGEST_LANGUAGE = 35
# RFC 5646, 2.1, loosely: feeds also write en_US.
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Prose:
    """A text as a document holds it: HTML whose links are relative to `base`, or plain text.

    `is_summary` marks what stands in place of a content, and was written as a summary or description.
    """

    value: str
    is_html: bool
    base: str
    is_summary: bool = False

    def as_html(self) -> str:
        """The text as sanitised HTML with absolute links."""
        return clean(self.value, self.base) if self.is_html else from_text(self.value)


def make_entry(
    *,
    guid: str | None,
    link: str | None,
    title: str,
    author: str | None,
    language: str | None,
    summary: Prose | None,
    content: Prose | None,
    dates: Sequence[str],
) -> Entry:
    """Make the entry of what a document says.

    `link` is absolute, `title` and `author` are plain text, `dates` are as written, best first.
    Empty values count as missing. A summary that says the same as the content is left out. Whatever is one line in an
    honest document is cut where it is longer than that, so that it costs no more than its own entry. Never raises.
    """
    guid, link = _kept(guid), _kept(link)
    title, author = line_of(title, LONGEST_TITLE), line_of(author or "", LONGEST_AUTHOR) or None
    published_at, published_raw = _published(dates)
    summary, content = _distinct(summary, content)
    summary_value = summary.value.strip() if summary else None
    content_value = content.value.strip() if content else None
    content_html = _kept(content.as_html()) if content else None
    return Entry(
        identity=identity_of(guid, link, title, published_at, content_value or summary_value),
        content_hash=content_hash_of(title, author, link, summary_value, content_value),
        guid=guid and guid[:LONGEST_GUID],
        link=link if link and len(link) <= LONGEST_LINK else None,
        title=title,
        author=author,
        language=language_tag(language),
        summary=_kept(summary.as_html()) if summary else None,
        content=content_html,
        published_at=published_at,
        published_raw=published_raw,
        complete=content is not None and not content.is_summary and _is_complete(content_html),
    )


def joined_names(names: Iterable[str]) -> str:
    """Give the `names` of authors, which are plain text, as one line: once each, joined with commas."""
    lines = (line_of(name, LONGEST_AUTHOR) for name in names)
    return ", ".join(dict.fromkeys(line for line in lines if line))


def language_tag(text: str | None) -> str | None:
    """Give `text` as a language tag (RFC 5646), or None where it is none."""
    text = (text or "").strip()
    # The length first: on megabytes the pattern takes a hundred times their memory.
    return text.replace("_", "-") if len(text) <= _LONGEST_LANGUAGE and _LANGUAGE.fullmatch(text) else None


def _is_complete(html: str | None) -> bool:
    # Markup only makes it longer, and most are short: those need no look at their text.
    if html is None or len(html) < COMPLETE_CHARACTERS:
        return False
    # From a tag on, where words begin anew. The end is mostly long enough to be the whole article, and all that counts.
    end = cleaned_to_text(html[max(0, html.rfind("<", 0, -_END)) :]) if len(html) > _END else ""
    return is_complete(end if len(end) >= COMPLETE_CHARACTERS else cleaned_to_text(html))


def _kept(text: str | None) -> str | None:
    return storable(text).strip() or None if text else None


def _distinct(summary: Prose | None, content: Prose | None) -> tuple[Prose | None, Prose | None]:
    summary = summary if summary and summary.value.strip() else None
    content = content if content and content.value.strip() else None
    if summary and content and summary.value.strip() == content.value.strip():
        summary = None
    return summary, content


def _published(dates: Sequence[str]) -> tuple[datetime | None, str | None]:
    """The first date that can be read; else the first there is, as it stands, cut where it is none by its length."""
    written = [kept for date in dates if (kept := _kept(date))]
    for raw in written:
        if (published_at := parse_date(raw)) is not None:
            return published_at, raw
    return None, written[0][:LONGEST_DATE] if written else None
