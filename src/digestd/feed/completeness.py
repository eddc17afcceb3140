"""Whether a feed carries an article in full, so that its page need not be fetched."""

from __future__ import annotations

import re

COMPLETE_CHARACTERS = 1_500
"""From this length on a text can be a whole article."""

# What publishing software writes after the text. The looks are bounded: the end of a text is all that is read.
_TAIL = 400
_TRAILER = re.compile(
    r"(?:the post .{1,200} (?:appeared first on|first appeared on) .{1,100}"
    r"|(?:continue reading|read more|read the rest|more)\b.{0,120})$",
    re.IGNORECASE | re.DOTALL,
)
_ELLIPSIS = re.compile(r"(?:…|\.\.\.|\. \. \.)[\s\])}>»”\"'→.]*$")


def is_complete(text: str) -> bool:
    """Whether `text`, the plain text of an entry's content, is a whole article: long enough, and not ending in an
    ellipsis, alone, in brackets or before a line such as "Continue reading"."""
    if len(text) < COMPLETE_CHARACTERS:
        return False
    tail = text[-_TAIL:].rstrip()
    without_trailer = _TRAILER.sub("", tail).rstrip()
    return not (_ELLIPSIS.search(tail) or _ELLIPSIS.search(without_trailer))
