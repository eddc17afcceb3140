"""HTTP/1.1 over one connection of ours (RFC 9112), by h11 where it is not plain: what httpcore2 does where no proxy
stands in between, without its locks, each of which sends a poll round the event loop once more, and its tracing."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

import h11
import httpcore2
import trio

from digestd.ingest.network import plain

_READ_BYTES = 64 * 1024
# What h11 may hold of a head that is not whole yet; Framing bounds it before.
_INCOMPLETE_BYTES = 100 * 1024


class Connection(httpcore2.AsyncConnectionInterface):
    """A connection to `origin`, made by `backend` with the first request: one request at one time.

    `ssl_context` is for https. What goes wrong is raised in httpcore2's errors and those of the backend.
    """

    def __init__(
        self, origin: httpcore2.Origin, backend: httpcore2.AsyncNetworkBackend, ssl_context: ssl.SSLContext
    ) -> None:
        self._origin = origin
        self._backend = backend
        self._ssl_context = ssl_context
        self._stream: httpcore2.AsyncNetworkStream | None = None
        # Of an exchange that is not plain.
        self._protocol: h11.Connection | None = None
        # Of a plain one: what came of the body with its head, how long it is, and whether it was read to its end.
        self._early = b""
        self._length = 0
        self._ended = False
        self._idle = self._closed = False
        self.was_answered = False
        """Whether the server has said anything to the last request."""

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send `request`, and give the head of its answer; the body follows by its `stream`.

        Error handling and cancellation: the connection is closed.
        """
        self._idle = self.was_answered = False
        self._protocol, self._ended = None, False
        try:
            if self._stream is None:
                self._stream = await self._connected()
            await self._send(request)
            status, fields = await self._head(request)
        except BaseException:
            await self.aclose()
            raise
        return httpcore2.Response(
            status, headers=fields, content=_Body(self), extensions={"network_stream": self._stream}
        )

    async def _connected(self) -> httpcore2.AsyncNetworkStream:
        host = self._origin.host.decode("ascii")
        stream = await self._backend.connect_tcp(host, self._origin.port)
        if self._origin.scheme != b"https":
            return stream
        self._ssl_context.set_alpn_protocols(["http/1.1"])
        return await stream.start_tls(self._ssl_context, host)

    async def _send(self, request: httpcore2.Request) -> None:
        sent = plain.get(request.url.target, request.headers) if request.method == b"GET" else None
        if sent is None:
            sent = await self._judged(request)
        assert self._stream is not None
        # A server may refuse a request, and close, before it has read it: its answer tells why.
        with suppress(httpcore2.WriteError):
            await self._stream.write(sent)

    async def _judged(self, request: httpcore2.Request) -> bytes:
        """`request` as h11 sends it, who follows the exchange from then on."""
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_INCOMPLETE_BYTES)
        sent = bytearray()
        try:
            asked = h11.Request(method=request.method, target=request.url.target, headers=request.headers)
            sent += self._protocol.send(asked) or b""
            async for piece in request.stream:  # type: ignore[union-attr]
                sent += self._protocol.send(h11.Data(data=piece)) or b""
            sent += self._protocol.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            raise httpcore2.LocalProtocolError(str(error)) from error
        return bytes(sent)

    async def _head(self, request: httpcore2.Request) -> tuple[int, Sequence[tuple[bytes, bytes]]]:
        """Status and fields of the answer; the heads of interim ones (RFC 9110, 15.2) are passed over, but for a switch
        of protocols that nobody asked for."""
        if self._protocol is None:
            data = await self._read()
            head = plain.head_of(data)
            if head is not None:
                self._early, self._length = data[head.size :], head.length
                return head.status, head.fields
            await self._judged(request)
            self._take(data)
        while True:
            event = await self._event()
            if isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse) and event.status_code == 101
            ):
                return event.status_code, event.headers.raw_items()

    def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it comes."""
        return self._plain_pieces() if self._protocol is None else self._judged_pieces()

    async def _judged_pieces(self) -> AsyncGenerator[bytes]:
        while True:
            event = await self._event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return

    async def _plain_pieces(self) -> AsyncGenerator[bytes]:
        data, self._early = self._early, b""
        received = len(data)
        if data:
            yield data
        while received < self._length:
            data = await self._read()
            if not data:
                # As h11 says it.
                raise httpcore2.RemoteProtocolError(
                    "peer closed connection without sending complete message body "
                    f"(received {received} bytes, expected {self._length})"
                )
            piece = data[: self._length - received]
            received += len(data)
            yield piece
        # Where more came than the answer, nothing is read from here again.
        self._ended = received == self._length

    async def _event(self) -> object:
        """The next thing that the server says, as h11 has it."""
        assert self._protocol is not None
        while True:
            try:
                event = self._protocol.next_event()
            except h11.RemoteProtocolError as error:
                raise httpcore2.RemoteProtocolError(str(error)) from error
            if event is not h11.NEED_DATA:
                return event
            self._take(await self._read())

    async def _read(self) -> bytes:
        assert self._stream is not None
        data = await self._stream.read(_READ_BYTES)
        self.was_answered = self.was_answered or bool(data)
        return data

    def _take(self, data: bytes) -> None:
        """Hand h11 what was read."""
        assert self._protocol is not None
        if not data and self._protocol.their_state is h11.SEND_RESPONSE:
            raise httpcore2.RemoteProtocolError("Server disconnected without sending a response.")
        self._protocol.receive_data(data)

    @property
    def _is_over(self) -> bool:
        """Whether both sides have said all."""
        if self._protocol is None:
            return self._ended
        return self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE

    async def answered(self) -> None:
        """The answer is not read any further: the connection is idle where both sides have said all, and closed
        otherwise."""
        if self._idle or self._closed:
            return
        if self._is_over:
            self._idle = True
        else:
            await self.aclose()

    async def aclose(self) -> None:
        """Close it. Never waits for the other side."""
        self._idle, self._closed = False, True
        if self._stream is not None:
            with trio.CancelScope(shield=True):
                await self._stream.aclose()

    def is_idle(self) -> bool:
        return self._idle

    def is_closed(self) -> bool:
        return self._closed

    def has_expired(self) -> bool:
        """Whether the server has closed it, or said something that nobody asked for."""
        return self._idle and self._stream is not None and bool(self._stream.get_extra_info("is_readable"))


class _Body:
    """The body of an answer, as httpcore2 has it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __aiter__(self) -> AsyncGenerator[bytes]:
        return self._connection.pieces()

    async def aclose(self) -> None:
        await self._connection.answered()
