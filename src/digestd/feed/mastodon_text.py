"""The text of a status of Mastodon: its content warning first, links in full, and what its pictures show.

Shown addresses are cut: `<a href="https://example.com/a"><span class="invisible">https://</span>…`, and other servers
cut the text itself. What a link leads to stands in its href alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from digestd.feed.api import headline
from digestd.feed.html import clean, cleaned_to_text, from_text, to_text
from digestd.feed.json_values import Object, object_of, objects_of, text_of
from digestd.feed.link import absolute_link
from digestd.feed.text import line_of

_MEDIA = {"image": "Image", "video": "Video", "gifv": "Animation", "audio": "Audio"}
_LONGEST_DESCRIPTION = 1_500
_LONGEST_WARNING = 1_000
_LONGEST_CARD = 500
_MOST_ATTACHMENTS = 32

# These read what `clean` gave, where attributes are quoted and links do not nest.
_LINK = re.compile(r'(<a href="([^"]*)"[^<>]*>)(.*?)(</a>)', re.DOTALL)
_HREF = re.compile(r'<a href="([^"]*)"')
_LINE_END = re.compile(r"</p>|<br>|</li>|</h[1-6]>|</blockquote>|</pre>")
_ADDRESSES = re.compile(r"(?:https?://\S+[\s,;:|–—-]*)+")
_SCHEME = re.compile(r"https?://", re.IGNORECASE)


def html_of(status: Object, base: str) -> str:
    """The text of `status` as HTML that is sanitised, its links made absolute with `base`: the content warning, the
    content, the answers of a poll, the page that it links to, and the descriptions of its media. Without votes and
    counts: they change by themselves."""
    content = _LINK.sub(_in_full, clean(text_of(status, "content"), base))
    return "".join(
        [*_warning(status), content, *_answers(status), *_card(status, content, base), *_media(status)]
    )


def title_of(status: Object, content: str) -> str:
    """A title for `status`, whose :func:`html_of` is `content`: the first line of its text; "" where there is none.

    Where that is nothing but addresses, the title of the page that it links to goes before it.
    """
    lines = (cleaned_to_text(piece) for piece in _LINE_END.split(content))
    first = next((line for line in lines if line), "")
    if first and not _ADDRESSES.fullmatch(first):
        return headline(first)
    page = line_of(text_of(object_of(status, "card"), "title"), _LONGEST_CARD)
    return headline(page or first)


def link_in(holder: Object, base: str) -> str | None:
    """The `url` of a status or a card, absolute; None where it has none."""
    href = text_of(holder, "url").strip()
    # Nothing leads to the base itself.
    return absolute_link(base, href) if href else None


def _in_full(link: re.Match[str]) -> str:
    opening, href, shown, closing = link.groups()
    address, text = html.unescape(href), cleaned_to_text(shown)
    bare = text.rstrip("….").rstrip()
    is_cut = bare != address and len(bare) > 3 and " " not in bare and bare in _SCHEME.sub("", address)
    return f"{opening}{from_text(address)}{closing}" if is_cut else link[0]


def _warning(status: Object) -> Iterator[str]:
    # Plain text in Mastodon, HTML in what it takes from others.
    if warning := line_of(to_text(text_of(status, "spoiler_text")), _LONGEST_WARNING):
        yield f"<p>{from_text(warning)}</p>"


def _answers(status: Object) -> Iterator[str]:
    answers = [
        line_of(text_of(one, "title"), _LONGEST_CARD)
        for one in objects_of(object_of(status, "poll"), "options")
    ]
    if items := "".join(f"<li>{from_text(answer)}</li>" for answer in answers[:_MOST_ATTACHMENTS] if answer):
        yield f"<ul>{items}</ul>"


def _card(status: Object, content: str, base: str) -> Iterator[str]:
    card = object_of(status, "card")
    link = link_in(card, base)
    if link is None:
        return
    said = [line_of(text_of(card, name), _LONGEST_CARD) for name in ("title", "description")]
    title, description = said
    linked = {html.unescape(href) for href in _HREF.findall(content)}
    if not title and not description and link in linked:
        return
    behind = f": {from_text(description)}" if description else ""
    yield f'<p><a href="{html.escape(link)}">{from_text(title or link)}</a>{behind}</p>'


def _media(status: Object) -> Iterator[str]:
    for one in objects_of(status, "media_attachments")[:_MOST_ATTACHMENTS]:
        if description := line_of(text_of(one, "description"), _LONGEST_DESCRIPTION):
            yield f"<p>{_MEDIA.get(text_of(one, 'type'), 'Attachment')}: {from_text(description)}</p>"
