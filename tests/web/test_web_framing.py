"""What a client may send, and what h11 would need for the rest."""

from __future__ import annotations

import time

import h11
import pytest

from digestd.web.framing import MAX_BLANKS, MAX_BYTES, MAX_LINES, Framing
from digestd.web.server import LARGEST_HEAD_BYTES

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
HOSTILE = {
    "blanks at the start": HEAD + b"X:" + b" " * 16_000 + b"\0\r\n\r\n",
    "tabs at the end": HEAD + b"X: a" + b"\t" * 16_000 + b"\0\r\n\r\n",
    "runs of blanks": HEAD + (b"X:" + b" " * 255 + b"a\r\n") * 62 + b"X:" + b" " * 255 + b"\0\r\n\r\n",
    "folded lines": HEAD + b"X:" + b"\r\n " * 5_000 + b"\0\r\n\r\n",
    "fields": HEAD + b"X: \r\n" * 3_000 + b"\r\n",
    "words": HEAD + b"X: " + b"a " * 8_000 + b"\0\r\n\r\n",
}


def read(data: bytes, size: int) -> float:
    """The seconds that h11 needs for as much of `data` as may be read, in pieces of `size`."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD_BYTES)
    framing = Framing()
    began = time.thread_time()
    try:
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            if not framing.allows(piece):
                break
            connection.receive_data(piece)
            connection.next_event()
    except h11.RemoteProtocolError:
        pass
    return time.thread_time() - began


@pytest.mark.parametrize("size", [1, 100, 4096])
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_no_head_keeps_h11_busy(data: bytes, size: int) -> None:
    assert read(data, size) < 0.2


def test_a_browser_with_many_cookies_is_read() -> None:
    cookies = b"; ".join(b"name%d=%s" % (number, b"x" * 100) for number in range(100))
    assert len(cookies) > 10_000
    data = HEAD + b"Accept: " + b"text/html," * 400 + b"\r\nCookie: " + cookies + b"\r\n\r\n"
    framing = Framing()
    assert all(framing.allows(data[start : start + 4096]) for start in range(0, len(data), 4096))
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD_BYTES)
    connection.receive_data(data)
    assert isinstance(connection.next_event(), h11.Request)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_blanks_are_counted_across_what_is_read_at_one_time(size: int) -> None:
    def is_allowed(blanks: int) -> bool:
        framing, data = Framing(), b"a" + b" \t" * (blanks // 2) + b" " * (blanks % 2) + b"a"
        return all(framing.allows(data[start : start + size]) for start in range(0, len(data), size))

    assert is_allowed(MAX_BLANKS)
    assert not is_allowed(MAX_BLANKS + 1)


def test_lines_and_bytes_have_a_bound() -> None:
    assert Framing().allows(b"\n" * MAX_LINES)
    assert not Framing().allows(b"\n" * (MAX_LINES + 1))
    framing = Framing()
    assert framing.allows(b"a" * MAX_BYTES)
    assert not framing.allows(b"a")
