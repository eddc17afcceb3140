"""Plain text from outside, made fit to be kept and to be shown."""

from __future__ import annotations

import re

# NUL fits into no PostgreSQL text, a lone surrogate into no UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# How many times longer than its line a text may be: templates indent what they write.
_BLANKS_ALLOWED = 10

# C0 but tab and newline, DEL, C1, line separators, and the characters that turn, hide or tag text (Unicode TR 36, 3.1;
# CVE-2021-42574). The two joiners stay: Indic scripts, Persian and emoji are not written right without.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def storable(text: str) -> str:
    """Give `text` fit for any database and encoding: NUL is dropped, a lone surrogate becomes U+FFFD."""
    if _is_storable(text):
        return text
    return _UNSTORABLE.sub(lambda match: "" if match[0] == "\x00" else "\ufffd", text)


def collapse(text: str) -> str:
    """Give `text` on one line: runs of white space become one space, none is left at the ends."""
    return " ".join(text.split())


def line_of(text: str, longest: int) -> str:
    """Give the beginning of `text` as one line of at most `longest` characters, fit for any database.

    Takes the same time and memory for any length: millions of words in a row would need a hundred times their size.
    """
    return collapse(storable(text[: _BLANKS_ALLOWED * longest]))[:longest].rstrip()


def _is_storable(text: str) -> bool:
    # The same as a search for the pattern, at a tenth of its cost.
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def strip_controls(text: str) -> str:
    """Give `text` fit for a terminal: no control character but tab and newline, none that turns or hides text.

    For everything that came from outside, before it is printed or put into a message.
    """
    return _CONTROLS.sub("", text)
