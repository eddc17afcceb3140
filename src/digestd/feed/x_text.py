"""The text of a post of X: whole where it is long, its links where they lead, and what it quotes.

In a text every link is one of t.co; where it leads stands among the entities of the post
(https://docs.x.com/x-api/fundamentals/data-dictionary).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from digestd.feed.api import headline
from digestd.feed.html import from_text
from digestd.feed.json_values import Object, object_of, objects_of, text_of
from digestd.feed.link import absolute_link
from digestd.feed.text import line_of

_SHORT = re.compile(r"https?://t\.co/[A-Za-z0-9]{1,30}")
_OWN_MEDIA = re.compile(
    r"https?://(?:www\.|mobile\.)?(?:x|twitter)\.com/[^/]{1,100}/status/\d{1,20}/(?:photo|video)/\d{1,3}/?"
)
_ADDRESS = re.compile(r"https?://[^\s<>\"]+")
_ADDRESSES = re.compile(r"(?:https?://\S+[\s,;:|–—-]*)+")
_LONGEST_CARD = 500
_MOST_LINKS = 100


def text_in(post: Object) -> str:
    """The whole text of `post` with its links where they lead, as plain text; those to its own pictures left out."""
    holder = _long(post)
    links = _links(holder)

    def in_full(link: re.Match[str]) -> str:
        return links.get(link[0], link[0])

    # X escapes &, < and > in texts, and not in what the entities say.
    return _SHORT.sub(in_full, html.unescape(text_of(holder, "text"))).strip()


def html_of(post: Object, quoted: str) -> str:
    """The text of `post` as HTML: with its links, what is said of the pages behind them, and `quoted`, the text of the
    post that it quotes, "" for none. Without counts: they change by themselves."""
    text = text_in(post)
    quotation = f"<blockquote>{_linked(quoted)}</blockquote>" if quoted else ""
    return "".join([_linked(text), *_cards(post), quotation])


def title_of(post: Object, text: str) -> str:
    """A title for `post`, whose :func:`text_in` is `text`: its first line; where that is nothing but addresses, the
    title of the page behind them; "" where there is none."""
    first = next((line for line in text.splitlines() if line.strip()), "").strip()
    if first and not _ADDRESSES.fullmatch(first):
        return headline(first)
    page = next((line_of(text_of(url, "title"), _LONGEST_CARD) for url in _urls(_long(post))), "")
    return headline(page or first)


def _long(post: Object) -> Object:
    """What holds the whole text: over 280 characters it does not stand in the post itself."""
    note = object_of(post, "note_tweet")
    return note if text_of(note, "text") else post


def _urls(holder: Object) -> list[Object]:
    return objects_of(object_of(holder, "entities"), "urls")[:_MOST_LINKS]


def _links(holder: Object) -> dict[str, str]:
    links: dict[str, str] = {}
    for url in _urls(holder):
        short = text_of(url, "url").strip()
        leads = _target(url)
        if short and leads is not None:
            links[short] = "" if _is_own_media(url, leads) else leads
    return links


def _is_own_media(url: Object, leads: str) -> bool:
    return bool(text_of(url, "media_key")) or _OWN_MEDIA.fullmatch(leads) is not None


def _target(url: Object) -> str | None:
    """Where a link leads: behind other shorteners, too, where X has looked."""
    for name in ("unwound_url", "expanded_url"):
        found = text_of(url, name).strip()
        if found and (link := absolute_link("", found)) is not None:
            return link
    return None


def _linked(text: str) -> str:
    """`text` as HTML, addresses in it as links."""
    pieces: list[str] = []
    at = 0
    for found in _ADDRESS.finditer(text):
        address = found[0].rstrip(".,;:!?)]}'…")
        pieces.append(_lines(text[at : found.start()]))
        pieces.append(f'<a href="{html.escape(address)}">{html.escape(address)}</a>')
        at = found.start() + len(address)
    pieces.append(_lines(text[at:]))
    inside = "".join(pieces)
    return f"<p>{inside}</p>" if inside.strip() else ""


def _lines(text: str) -> str:
    return from_text(text).replace("\n", "<br>")


def _cards(post: Object) -> Iterator[str]:
    for url in _urls(_long(post)):
        title = line_of(text_of(url, "title"), _LONGEST_CARD)
        leads = _target(url)
        if title and leads is not None and not _is_own_media(url, leads):
            description = line_of(text_of(url, "description"), _LONGEST_CARD)
            behind = f": {from_text(description)}" if description else ""
            yield f'<p><a href="{html.escape(leads)}">{from_text(title)}</a>{behind}</p>'
