"""The plainest of HTTP: what is read and written without h11 is what h11 reads and writes."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.ingest.network import plain

NAMES = st.sampled_from(
    [
        b"ETag",
        b"date",
        b"Content-Length",
        b"Connection",
        b"Transfer-Encoding",
        b"Upgrade",
        b"x y",
        b"",
        b"a:b",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [b"", b"0", b"5", b"+5", b"5, 5", b"keep-alive", b"close", b"chunked", b" a  b ", b"a\r\n b"]
    ),
    st.binary(max_size=6),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
BODIES = st.sampled_from([b"", b"hello", b"hello and more"])
STATUSES = st.sampled_from(
    [b"200 OK", b"304 Not Modified", b"204 No", b"101 S", b"103 E", b"404 ", b"200", b"999 x"]
)
GOOD = b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nConnection: Keep-Alive\r\n\r\n'


def started() -> h11.Connection:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=b"GET", target=b"/", headers=[(b"host", b"a.example")]))
    connection.send(h11.EndOfMessage())
    return connection


@given(STATUSES, FIELDS, st.sampled_from([b"\r\n", b"\n"]), BODIES, st.sampled_from([b"1.1", b"1.0"]))
def test_what_is_plain_means_to_h11_the_same(
    status: bytes, fields: list[tuple[bytes, bytes]], end: bytes, body: bytes, version: bytes
) -> None:
    lines = [b"HTTP/" + version + b" " + status, *(name + b": " + value for name, value in fields), b"", b""]
    data = end.join(lines) + body
    head = plain.head_of(data)
    if head is None:
        return
    connection = started()
    connection.receive_data(data + b"." * (head.length - (len(data) - head.size)))
    answer = connection.next_event()
    assert isinstance(answer, h11.Response)
    assert answer.status_code == head.status
    assert [(name.lower(), value) for name, value in answer.headers.raw_items()] == [*head.fields]
    assert data[head.size :] == body
    length, event = 0, connection.next_event()
    while isinstance(event, h11.Data):
        length += len(event.data)
        event = connection.next_event()
    assert isinstance(event, h11.EndOfMessage)
    assert length == head.length
    assert connection.their_state is h11.DONE, "and the connection is of use again"
    assert connection.trailing_data == (b"", False)


def test_what_answers_mostly_are_is_plain() -> None:
    head = plain.head_of(GOOD)
    assert head == plain.Head(304, [(b"etag", b'"1"'), (b"connection", b"Keep-Alive")], len(GOOD), 0)
    document = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"
    assert plain.head_of(document) == plain.Head(200, [(b"content-length", b"5")], len(document) - 3, 5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
        b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\nA: b\n\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 304 Not Modified\r\n\r\n",
    ],
)
def test_what_is_in_doubt_is_left_to_h11(data: bytes) -> None:
    assert plain.head_of(data) is None


@given(
    st.one_of(st.just(b"/feed?a=b"), st.binary(max_size=6)),
    st.lists(st.tuples(st.one_of(st.just(b"accept"), st.binary(max_size=4)), VALUES), max_size=4),
)
def test_a_get_is_written_as_h11_does_it(target: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    fields = [(b"host", b"a.example"), *fields]
    sent = plain.get(target, fields)
    if sent is not None:
        assert sent == h11.Connection(h11.CLIENT).send(
            h11.Request(method=b"GET", target=target, headers=fields)
        )


def test_nothing_slips_another_field_into_a_request() -> None:
    host = (b"host", b"a.example")
    assert plain.get(b"/", [host, (b"a", b"b")]) == b"GET / HTTP/1.1\r\nhost: a.example\r\na: b\r\n\r\n"
    for target, field in [
        (b"/", (b"a", b"b\r\nc: d")),
        (b"/", (b"a: b\r\nc", b"d")),
        (b"/ HTTP/1.1\r\na: b\r\n", host),
        (b"/", host),
        (b"/", (b"Host", b"b.example")),
        (b"/", (b"content-length", b"5")),
    ]:
        assert plain.get(target, [host, field]) is None
