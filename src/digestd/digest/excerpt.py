"""The Markdown-like text of a page as running text, for the two lines that a digest has for it."""

from __future__ import annotations

import re

_MARKS = re.compile(r"^(?:#{1,6} |(?:> ?)+|[-*] |```.*$)")
_RULE = re.compile(r"[-|\s]+")
# So much of a text is looked at: two lines need no more.
_LOOKED_AT = 5_000


def excerpt(text: str, title: str) -> str:
    """The beginning of `text` on one line, without its marks and without the `title` where it begins with that."""
    said = _lines(text)
    while said and _letters(said[0]) == _letters(title):
        del said[0]
    return " ".join(said)


def heading(text: str) -> str:
    """The first line of `text` without its marks: a title for an article that its feed gave none; "" for no text."""
    return next(iter(_lines(text)), "")


def _lines(text: str) -> list[str]:
    lines = (_MARKS.sub("", line.strip(), count=1).strip() for line in text[:_LOOKED_AT].splitlines())
    return [line for line in lines if line and not _RULE.fullmatch(line)]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
