"""What a client sends, bounded before h11 reads it. Pure.

h11 reads lines with regular expressions that take quadratic time over blanks: 16 KiB of them in one field would stop
the event loop for over a second.
"""

from __future__ import annotations

MAX_BYTES = 32 * 1024
"""Of one connection, which carries one request: a head, and the few bytes of a form."""
MAX_LINES = 256
MAX_BLANKS = 256
"""In a row. Folded lines (RFC 9112, 5.2) are one blank each when they are joined, and bounded by their number."""

_TAB_TO_SPACE = bytes.maketrans(b"\t", b" ")
_TOO_MANY_BLANKS = b" " * (MAX_BLANKS + 1)


class Framing:
    """Follows what comes over one connection."""

    __slots__ = ("_bytes", "_end", "_lines")

    def __init__(self) -> None:
        self._bytes = 0
        self._lines = 0
        self._end = b""

    def allows(self, data: bytes) -> bool:
        """Whether the next `data` may be read; once it may not, the connection is to be closed."""
        self._bytes += len(data)
        self._lines += data.count(b"\n")
        seen = self._end + data.translate(_TAB_TO_SPACE)
        self._end = seen[-MAX_BLANKS:]
        return self._bytes <= MAX_BYTES and self._lines <= MAX_LINES and _TOO_MANY_BLANKS not in seen
