"""PURE: the plainest of HTTP/1.1 (RFC 9112): a GET, and the head of an answer whose body has a length, or none.

h11 takes as long for these as all the rest of a poll's HTTP. What is in any doubt is not read here: h11 judges it, from
its first byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
# Stricter than h11, which lets some control characters pass.
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
_GET = re.compile(rb"GET [\x21-\x7e]+ HTTP/1\.1\r\n(?:" + _TOKEN + rb": " + _VALUE + rb"\r\n)+\r\n")
_ANSWER = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2}) " + _VALUE + rb"\r\n((?:" + _TOKEN + rb":" + _VALUE + rb"\r\n)*)\r\n"
)
# A second host is none of ours, and a GET of ours has no body.
_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding"})
_LENGTH = re.compile(rb"[0-9]{1,15}")
_NOT_MODIFIED = 304
# RFC 9110, 15.3.5: it has no body, whatever its fields say.
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer, which took up `size` bytes: its `status`, its fields in their order, and how many bytes of
    body follow."""

    status: int
    fields: Sequence[tuple[bytes, bytes]]
    size: int
    length: int


def get(target: bytes, fields: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """A GET of `target` with `fields`, the host first; None where one of them is not plain."""
    lines = [b"GET " + target + b" HTTP/1.1\r\n"]
    for number, (name, value) in enumerate(fields):
        if value != value.strip(b" \t") or (number > 0 and name.lower() in _ONCE):
            return None
        lines.append(name + b": " + value + b"\r\n")
    head = b"".join((*lines, b"\r\n"))
    if not fields or fields[0][0] != b"host":
        return None
    # A line end within one of them would make two.
    return head if head.count(b"\r\n") == len(fields) + 2 and _GET.fullmatch(head) else None


def head_of(data: bytes) -> Head | None:
    """The head of the answer to a GET that begins with `data`; None where it is not whole or not plain, or more came
    than the answer."""
    match = _ANSWER.match(data)
    if match is None:
        return None
    fields = []
    length: int | None = None
    for line in match[2].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"content-length":
            if length is not None or not _LENGTH.fullmatch(value):
                return None
            length = int(value)
        elif name in (b"transfer-encoding", b"upgrade") or (
            name == b"connection" and value.lower() != b"keep-alive"
        ):
            return None
        fields.append((name, value))
    status = int(match[1])
    if status == _NOT_MODIFIED:
        # RFC 9110, 15.4.5: its fields are those of the document, which does not follow.
        length = 0
    if length is None or status == _NO_CONTENT or len(data) - match.end() > length:
        return None
    return Head(status, fields, match.end(), length)
