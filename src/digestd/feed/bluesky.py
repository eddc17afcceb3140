"""The feed of a profile on Bluesky: RSS whose descriptions are plain text, without titles of their own.

Source: https://github.com/bluesky-social/social-app, bskyweb/cmd/bskyweb/rss.go. What stands in `<description>` is the
text of the post as it was typed. Read as the HTML that it is in other feeds, `<script>` in it would be gone, and so
would its lines.
"""

from __future__ import annotations

import re
from dataclasses import replace

from digestd.feed.api import api_entry, headline
from digestd.feed.encoding import decode
from digestd.feed.entry import Prose
from digestd.feed.html import cleaned_to_text
from digestd.feed.parse import parse_feed
from digestd.feed.text import line_of
from digestd.model import Document, Entry

_DESCRIPTION = re.compile(r"<description>([^<]*)</description>")
# As Go writes it, and as others do.
_LINE_END = re.compile(r"(?:\r?\n|&#x0*A;|&#0*10;)", re.IGNORECASE)
_HANDLE = re.compile(r"@[\w.:-]{1,253}")
# In sanitised HTML, where a quotation mark or a bracket of the text may be a reference.
_ADDRESS = re.compile(r"\bhttps?://[^\s<>\"']{1,2000}[^\s<>\"'.,;:!?)…&]")


def read_profile(body: bytes, url: str, content_type: str | None) -> Document:
    """Read the feed of a profile, served from `url` as `content_type`.

    The title of an entry is the first line of its post; addresses that stand there in full become links. Raises what
    :func:`digestd.feed.parse.parse_feed` raises.
    """
    text = _DESCRIPTION.sub(_as_html, decode(body, content_type))
    document = parse_feed(text.encode("utf-8", "replace"), url, "application/xml; charset=utf-8")
    handle = _HANDLE.match(line_of(document.title or "", 1_000))
    author = handle[0] if handle else None
    # Of a feed that was cut off, the last post may be half there, and its guid, which stands at its end, another's.
    entries = document.entries if document.whole else document.entries[:-1]
    return replace(document, entries=tuple(_post(entry, author, url) for entry in entries))


def _as_html(description: re.Match[str]) -> str:
    # What was a reference in XML becomes one in HTML, and the end of a line becomes markup.
    lines = _LINE_END.split(description[1])
    return f"<description>{'&lt;br&gt;'.join(line.replace('&', '&amp;') for line in lines)}</description>"


def _post(entry: Entry, author: str | None, url: str) -> Entry:
    text = entry.summary or entry.content or ""
    lines = (cleaned_to_text(line) for line in text.split("<br>"))
    title = next((headline(line) for line in lines if line), "")
    linked = _ADDRESS.sub(lambda address: f'<a href="{address[0]}">{address[0]}</a>', text)
    made = api_entry(
        key=entry.guid or entry.link or "",
        link=entry.link,
        title=title or f"A post by {author or 'somebody'}",
        content=Prose(linked, is_html=True, base=url),
        dates=[entry.published_raw or ""],
        author=author,
        language=entry.language,
        # Its page is made by scripts, and says no more.
        complete=True,
    )
    return made if entry.guid else replace(made, guid=None, identity=entry.identity)
