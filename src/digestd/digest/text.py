"""Plain text on a grid of cells: what may be printed, how wide it is, and where its lines break.

A cell is the width of one Latin letter on a terminal. Chinese, Japanese and Korean characters and most emoji
take two (UAX #11), combining marks none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

ELLIPSIS = "…"

# So much of a text is looked at: titles of a megabyte exist, and combining marks take no cell at all.
_LOOKED_AT = 10_000

_TAKES_NO_CELL = frozenset({"Mn", "Me", "Cf"})
_NOT_PRINTED = frozenset({"Cc", "Cf", "Cs"})
# The two format characters that Indic scripts, Persian and emoji are not written right without.
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    """`text` on one line, without what could move the cursor or turn the reading direction.

    Control and format characters (escape sequences begin with one, bidirectional overrides are some) and
    surrogates are left out, and white space is collapsed; only the first 10,000 characters are looked at.
    """
    kept = (
        " " if character.isspace() else character
        for character in text[:_LOOKED_AT]
        if character.isspace() or character in _JOINERS or unicodedata.category(character) not in _NOT_PRINTED
    )
    cut = ELLIPSIS if len(text) > _LOOKED_AT else ""
    return " ".join("".join(kept).split()) + cut


def cells(text: str) -> int:
    """How many cells `text` takes. Emoji joined to one picture count each of their parts."""
    return sum(map(_character_cells, text))


def shorten(text: str, width: int) -> str:
    """`text` if it fits in `width` cells, else as much of it as fits before an ellipsis."""
    return text if cells(text) <= width else _cut(text, width)


def wrap(text: str, width: int, *, lines: int) -> list[str]:
    """Break `text` into at most `lines` lines of at most `width` cells (at least 2).

    The last line ends with an ellipsis where something had to be left out. Lines break at spaces and beside
    wide characters, since Chinese and Japanese set no spaces; a longer word is broken where the line ends.
    """
    broken: list[str] = []
    line, used = "", 0
    for space, piece in _pieces(text, width):
        needed = cells(piece)
        if line and used + len(space) + needed > width:
            broken.append(line)
            line, used = "", 0
            if len(broken) == lines:
                return [*broken[:-1], _cut(broken[-1], width)]
        joined = space + piece if line else piece
        line, used = line + joined, used + cells(joined)
    return [*broken, line] if line else broken


def _pieces(text: str, width: int) -> Iterator[tuple[str, str]]:
    """What no line breaks within, each after the space, if any, that stands before it in `text`."""
    for word in text.split():
        space = " "
        while word:
            piece = _unbroken(word, width)
            yield space, piece
            word, space = word[len(piece) :], ""


def _unbroken(word: str, width: int) -> str:
    """The beginning of `word` up to `width` cells, or up to the first place beside a wide character."""
    used = 0
    was_wide = False
    for position, character in enumerate(word):
        takes = _character_cells(character)
        if used and takes and (used + takes > width or was_wide or takes == 2):
            return word[:position]
        used += takes
        was_wide = was_wide or takes == 2
    return word


def _cut(text: str, width: int) -> str:
    return _head(text, width - 1).rstrip(" .,;:") + ELLIPSIS


def _head(text: str, width: int) -> str:
    """The longest beginning of `text` that takes no more than `width` cells."""
    used = 0
    for position, character in enumerate(text):
        used += _character_cells(character)
        if used > width:
            return text[:position]
    return text


def _character_cells(character: str) -> int:
    if unicodedata.category(character) in _TAKES_NO_CELL:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
