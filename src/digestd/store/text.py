"""PURE: text as both databases can keep it."""

from __future__ import annotations

from typing import overload

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@overload
def storable(text: str) -> str: ...
@overload
def storable(text: str | None) -> str | None: ...
def storable(text: str | None) -> str | None:
    """Give `text` without what no database keeps: NUL and lone surrogates become U+FFFD, paired ones the
    character they mean. PostgreSQL has no NUL in text, and neither database has a code for a surrogate. Text
    of any length stays whole."""
    if text is None or text.isascii():
        return text and text.replace("\0", _REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", _REPLACEMENT)
