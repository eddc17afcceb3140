"""A raw HTTP/1.1 server on loopback: answers well, badly or not at all, as each path's handler decides."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import trio

Stream: TypeAlias = "trio.SocketStream | trio.SSLStream[trio.SocketStream]"
Handler: TypeAlias = "Callable[[Exchange], Awaitable[None]]"

_PHRASE = "As You Like It"


class HangUp(Exception):
    """Raised by a handler to end the connection after what it sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came: header names in lower case, `connection` counts the connections from 0."""

    method: str
    target: str
    headers: Mapping[str, str]
    connection: int
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the connection to answer on."""

    request: Request
    stream: Stream

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def send_head(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send the status line and exactly these headers."""
        lines = [
            f"HTTP/1.1 {status} {_PHRASE}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def reply(
        self, body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a proper answer in one write; a 304 goes without a length."""
        length = {} if status == 304 else {"Content-Length": str(len(body))}
        fields = {**length, **(headers or {})}
        lines = [f"HTTP/1.1 {status} {_PHRASE}", *(f"{name}: {value}" for name, value in fields.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def send_at_once(self) -> None:
        """Have small pieces sent without waiting for more (no Nagle)."""
        stream = self.stream
        plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        plain.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def farewell(self) -> None:
        """End TLS properly, as far as our own side goes."""
        if isinstance(self.stream, trio.SSLStream):
            with trio.move_on_after(1):
                await self.stream.aclose()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        stream = self.stream
        plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        plain.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.socket.close()
        raise HangUp


@dataclass
class Server:
    """A running server: `requests` in the order they came, `connections` accepted so far."""

    scheme: str
    port: int
    handlers: dict[str, Handler]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/", *, user_info: str = "", host: str = "127.0.0.1") -> str:
        """The URL of `path`; with a query if it has one."""
        return f"{self.scheme}://{user_info}{host}:{self.port}{path}"


@asynccontextmanager
async def open_server(
    handlers: Mapping[str, Handler], *, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve `handlers` by path on a free port of 127.0.0.1; other paths answer 404. Ends with the block."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        server = Server("https" if ssl_context else "http", port, dict(handlers))

        async def serve(plain: trio.SocketStream) -> None:
            connection = server.connections
            server.connections += 1
            stream: Stream = plain
            if ssl_context:
                stream = trio.SSLStream(plain, ssl_context, server_side=True)
            await _serve_connection(server, stream, connection)

        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield server
        nursery.cancel_scope.cancel()


async def _serve_connection(server: Server, stream: Stream, connection: int) -> None:
    try:
        buffered = b""
        while True:
            while b"\r\n\r\n" not in buffered:
                data = await stream.receive_some(65536)
                if not data:
                    return
                buffered += data
            head, _, buffered = buffered.partition(b"\r\n\r\n")
            request = _request(head, connection)
            length = int(request.headers.get("content-length", "0"))
            while len(buffered) < length:
                buffered += await stream.receive_some(65536)
            request, buffered = replace(request, body=buffered[:length]), buffered[length:]
            server.requests.append(request)
            handler = server.handlers.get(request.path, respond(status=404))
            await handler(Exchange(request, stream))
    except (trio.BrokenResourceError, trio.ClosedResourceError, HangUp):
        pass
    finally:
        await trio.aclose_forcefully(stream)


def _request(head: bytes, connection: int) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    return Request(method, target, {name.lower(): value.strip() for name, _, value in pairs}, connection)


def respond(body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> Handler:
    """Answer properly."""

    async def handler(exchange: Exchange) -> None:
        await exchange.reply(body, status, headers)

    return handler


def redirect(location: str, status: int = 302) -> Handler:
    """Send the client to `location`."""
    return respond(b"moved", status, {"Location": location})


def not_modified_if(etag: str, body: bytes) -> Handler:
    """Answer 304 to whoever has `etag`, and `body` to others."""

    async def handler(exchange: Exchange) -> None:
        if exchange.request.headers.get("if-none-match") == etag:
            await exchange.reply(status=304, headers={"ETag": etag})
        else:
            await exchange.reply(body, headers={"ETag": etag})

    return handler


def raw(data: bytes) -> Handler:
    """Send `data` as they are, and end the connection."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(data)
        raise HangUp

    return handler


def drip_raw(data: bytes) -> Handler:
    """Send `data` a byte at a time, each in a packet of its own as far as that can be had, and end the connection."""

    async def handler(exchange: Exchange) -> None:
        exchange.send_at_once()
        for position in range(min(len(data), 2_000)):
            await exchange.send(data[position : position + 1])
        await exchange.send(data[2_000:])
        raise HangUp

    return handler


def again_and_again(data: bytes, pause_seconds: float = 0.0, *, first: bytes = b"") -> Handler:
    """Send `first`, and then `data` for ever."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(first + data)
        while True:
            await trio.sleep(pause_seconds)
            await exchange.send(data)

    return handler


def reflect_in_a_broken_field(name: str) -> Handler:
    """Send back what the request's field `name` says, in a field that is none."""

    async def handler(exchange: Exchange) -> None:
        value = exchange.request.headers[name]
        await exchange.send(f"HTTP/1.1 200 OK\r\nno field {value}\r\n\r\n".encode("latin-1"))
        raise HangUp

    return handler


def never_answer() -> Handler:
    """Take the request and say nothing."""

    async def handler(exchange: Exchange) -> None:
        await trio.sleep_forever()

    return handler


def stall_after_head(length: int = 1000) -> Handler:
    """Promise `length` bytes and send none."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send_head(headers={"Content-Length": str(length)})
        await trio.sleep_forever()

    return handler


def drip(body: bytes, pause_seconds: float) -> Handler:
    """Send a proper answer whose body comes a byte at a time."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send_head(headers={"Content-Length": str(len(body))})
        for position in range(len(body)):
            await exchange.send(body[position : position + 1])
            await trio.sleep(pause_seconds)

    return handler


def wrong_length(body: bytes, declared: int) -> Handler:
    """Declare another length than `body` has, and end the connection after it."""
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (declared, body))


def reset_after(body: bytes, declared: int) -> Handler:
    """Send a part of the body, then reset the connection."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send_head(headers={"Content-Length": str(declared)})
        await exchange.send(body)
        # Else the reset may overtake the data, and the client sees nothing of them.
        await trio.sleep(0.05)
        exchange.reset()

    return handler


def endless(total_bytes: int, *, declared: bool = False) -> Handler:
    """Stream `total_bytes` of body, with their length declared or in chunks."""
    piece = b" " * 65536

    async def handler(exchange: Exchange) -> None:
        framing = {"Content-Length": str(total_bytes)} if declared else {"Transfer-Encoding": "chunked"}
        await exchange.send_head(headers=framing)
        for _ in range(total_bytes // len(piece)):
            await exchange.send(piece if declared else b"%x\r\n%b\r\n" % (len(piece), piece))
        if not declared:
            await exchange.send(b"0\r\n\r\n")

    return handler
