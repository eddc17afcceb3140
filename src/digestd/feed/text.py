"""Plain text from outside, made fit to be kept and to be shown."""

from __future__ import annotations

import re

# NUL fits into no PostgreSQL text, a lone surrogate into no UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# C0 but tab and newline, DEL, C1, and the characters that turn or hide text (Unicode TR 36, 3.1;
# CVE-2021-42574).
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def storable(text: str) -> str:
    """Give `text` fit for any database and encoding: NUL is dropped, a lone surrogate becomes U+FFFD."""
    return _UNSTORABLE.sub(lambda match: "" if match[0] == "\x00" else "\ufffd", text)


def collapse(text: str) -> str:
    """Give `text` on one line: runs of white space become one space, none is left at the ends."""
    return " ".join(text.split())


def strip_controls(text: str) -> str:
    """Give `text` fit for a terminal: no control character but tab and newline, no bidirectional override.

    For everything that came from outside, before it is printed or put into a message.
    """
    return _CONTROLS.sub("", text)
