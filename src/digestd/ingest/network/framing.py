"""What an answer has beside its body (header fields, chunk sizes, trailers), bounded before h11 reads it. Pure.

h11 reads lines with regular expressions that take quadratic time over blanks: 20 KB of them in one field stop the event
loop for two seconds, 100 KB for a minute. And no field, interim answer or chunk costs less than some microseconds,
however little it brings.
"""

from __future__ import annotations

import re

from digestd.errors import ProtocolFailed

MAX_HEAD_BYTES = 64 * 1024
"""Of all header fields of an answer, those of interim answers (1xx) included; and of all its trailers."""
MAX_HEAD_LINES = 256
"""The same in lines."""
MAX_BLANKS = 256
"""In a row, within a field."""
MAX_CHUNK_LINE_BYTES = 1024
"""The size of a chunk, with its extensions (RFC 9112, 7.1.1)."""
CHUNK_ALLOWANCE_BYTES = 256 * 1024
"""How much more than the body the sizes of its chunks may take up: about 50,000 chunks of a byte each."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n]*)?\r\n")
_TAB_TO_SPACE = bytes.maketrans(b"\t", b" ")
_TOO_MANY_BLANKS = b" " * (MAX_BLANKS + 1)


class Framing:
    """Follows one answer as it comes, and refuses what would cost too much; other mistakes are left to h11."""

    __slots__ = ("_body_bytes", "_chunk_bytes", "_head_bytes", "_held", "_lines", "_read", "_remaining")

    def __init__(self) -> None:
        self._read = self._head
        self._held = bytearray()
        self._head_bytes = 0
        self._lines = 0
        self._remaining = 0
        self._body_bytes = 0
        self._chunk_bytes = 0

    def receive(self, data: bytes) -> None:
        """Look at the next `data` of the connection. Raises :class:`~digestd.errors.ProtocolFailed`."""
        position = 0
        while position < len(data):
            position = self._read(data, position)

    def _head(self, data: bytes, position: int) -> int:
        """The status line and the header fields, up to the empty line."""
        before = len(self._held)
        self._held += data[position:]
        # An empty line can begin in what came before.
        found = _BLANK_LINE.search(self._held, max(0, before - 2))
        size = found.end() if found else len(self._held)
        if self._head_bytes + size > MAX_HEAD_BYTES:
            raise ProtocolFailed(f"the answer has more than {MAX_HEAD_BYTES} bytes of header fields")
        if found is None:
            return len(data)
        self._take_fields(bytes(self._held[:size]))
        self._held.clear()
        return position + size - before

    def _take_fields(self, head: bytes) -> None:
        self._head_bytes += len(head)
        self._count_lines(head)
        # After an interim answer comes another head (RFC 9110, 15.2).
        if head[9:10] != b"1":
            self._read = self._chunk_line if b"\ntransfer-encoding:" in head.lower() else self._rest
            self._head_bytes = self._lines = 0

    def _count_lines(self, fields: bytes) -> None:
        self._lines += fields.count(b"\n")
        if self._lines > MAX_HEAD_LINES:
            raise ProtocolFailed(f"the answer has more than {MAX_HEAD_LINES} header fields")
        if len(fields) > MAX_BLANKS and _TOO_MANY_BLANKS in fields.translate(_TAB_TO_SPACE):
            raise ProtocolFailed(f"the answer has more than {MAX_BLANKS} blanks in a row in a header field")

    def _chunk_line(self, data: bytes, position: int) -> int:
        """The size of the next chunk."""
        position = self._line(data, position)
        if len(self._held) > MAX_CHUNK_LINE_BYTES:
            raise ProtocolFailed(f"the size of a chunk takes up more than {MAX_CHUNK_LINE_BYTES} bytes")
        if self._held.endswith(b"\n"):
            self._begin_chunk()
        return position

    def _begin_chunk(self) -> None:
        match = _CHUNK_SIZE.fullmatch(self._held)
        if match is None:
            raise ProtocolFailed("the size of a chunk is no number")
        size = int(match[1], 16)
        self._body_bytes += size
        self._chunk_bytes += len(self._held) + 2
        if self._chunk_bytes > CHUNK_ALLOWANCE_BYTES + self._body_bytes:
            raise ProtocolFailed("the chunks of the body take up more than the body itself")
        self._held.clear()
        self._remaining = size + 2
        self._read = self._chunk if size else self._trailers

    def _chunk(self, data: bytes, position: int) -> int:
        """The bytes of a chunk, and the line end after them."""
        taken = min(self._remaining, len(data) - position)
        self._remaining -= taken
        if not self._remaining:
            self._read = self._chunk_line
        return position + taken

    def _trailers(self, data: bytes, position: int) -> int:
        """The fields after the last chunk, up to the empty line."""
        began = position
        position = self._line(data, position)
        self._head_bytes += position - began
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ProtocolFailed(f"the answer has more than {MAX_HEAD_BYTES} bytes of trailers")
        if self._held.endswith(b"\n"):
            field = bytes(self._held)
            self._count_lines(field)
            if field in (b"\n", b"\r\n"):
                self._read = self._rest
            self._held.clear()
        return position

    def _line(self, data: bytes, position: int) -> int:
        """Hold what `data` have of the line, and say where it ends."""
        end = data.find(b"\n", position) + 1 or len(data)
        self._held += data[position:end]
        return end

    def _rest(self, data: bytes, position: int) -> int:
        """What costs nothing: a body without chunks, or what comes after the answer."""
        return len(data)
