"""How a digest reads as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from digestd.digest.select import Item, Section, newest_by_source
from digestd.digest.text import cells, printable, shorten, wrap

# The line with the date takes up to 33 cells and is not broken.
_NARROWEST = 35
_TITLE_LINES = 3
_TEXT_LINES = 2
# A link is not wrapped, it would no longer open; what is longer than browsers take is shown cut.
_LINK_CELLS = 2_000
_BULLET = "• "
_INDENT = "  "


def render_digest(items: Sequence[Item], *, width: int, limit_per_source: int) -> str:
    """Write the newest `limit_per_source` items of each source as text for a screen `width` cells wide.

    Each has its title, date (UTC), what was revised, its link on a line of its own, and two lines of text. Only links
    may be wider than `width`, which counts as 35 when it is less. Control characters are left out, whatever sent them.
    Without items the digest says so. The text ends without a line break.
    """
    sections = newest_by_source(items, limit_per_source=limit_per_source)
    if not sections:
        return "No articles yet."
    room = max(width, _NARROWEST)
    return "\n\n".join("\n".join(_section_lines(section, room)) for section in sections)


def _section_lines(section: Section, width: int) -> Iterator[str]:
    heading = shorten(printable(section.source), width)
    yield heading
    yield "─" * cells(heading)
    for number, item in enumerate(section.items):
        if number:
            yield ""
        yield from _item_lines(item, width)


def _item_lines(item: Item, width: int) -> Iterator[str]:
    room = width - len(_INDENT)
    title, *rest = wrap(printable(item.title) or "(no title)", room, lines=_TITLE_LINES)
    yield _BULLET + title
    body = [*rest, _when(item.published_at) if item.dated else f"first seen {_when(item.published_at)}"]
    if item.revised_at and item.revision:
        body += wrap(f"revised {_when(item.revised_at)}: {printable(item.revision)}", room, lines=_TEXT_LINES)
    if item.link:
        body.append(shorten(printable(item.link), _LINK_CELLS))
    body += wrap(printable(item.text), room, lines=_TEXT_LINES)
    yield from (_INDENT + line for line in body)


def _when(moment: datetime) -> str:
    # Not strftime: it writes the year 30 with two digits.
    return moment.astimezone(UTC).isoformat(sep=" ", timespec="minutes")[:16] + " UTC"
