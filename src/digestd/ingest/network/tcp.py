"""A connected socket as a Trio stream that goes round the event loop only where it has to wait.

`trio.SocketStream` does once more for each thing it has done at once, and looks for an answer before there can be one:
two rounds and a system call of each poll.
"""

from __future__ import annotations

import errno
import socket

import trio

_READ_BYTES = 64 * 1024


class TcpStream(trio.abc.Stream):
    """`connected` is a connected TCP socket that does not block, and is the stream's from now on. It is used by one
    task at one time.

    Error handling: as `trio.abc.Stream` has it. Cancellation: sending may stop anywhere; a read takes nothing.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        # Requests go out whole: waiting for more (RFC 896) would only keep them.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._asked = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`; without a checkpoint where the kernel takes it at once. Who sends reads the answer."""
        self._asked = True
        with _translated(), memoryview(data) as rest:
            sent = self._send(rest)
            while sent < len(rest):
                await trio.lowlevel.wait_writable(self.socket)
                sent += self._send(rest[sent:])

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        with _translated():
            await trio.lowlevel.wait_writable(self.socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, `b""` at the end. An answer cannot be there yet: after sending it is waited for first."""
        with _translated():
            if not self._asked and (data := self._receive(max_bytes)) is not None:
                # Whoever sends without end must not hold up the others.
                await trio.lowlevel.cancel_shielded_checkpoint()
                return data
            self._asked = False
            while True:
                await trio.lowlevel.wait_readable(self.socket)
                if (data := self._receive(max_bytes)) is not None:
                    return data

    async def aclose(self) -> None:
        """Close it, at once."""
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()
        await trio.lowlevel.checkpoint()

    def _send(self, data: memoryview) -> int:
        try:
            return self.socket.send(data) if data else 0
        except BlockingIOError:
            return 0

    def _receive(self, max_bytes: int | None) -> bytes | None:
        try:
            return self.socket.recv(max_bytes or _READ_BYTES)
        except BlockingIOError:
            return None


class _translated:  # noqa: N801 - read as what it does
    """The system's errors as Trio's within the block. No generator: it is entered with each read and write."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno == errno.EBADF:
            raise trio.ClosedResourceError("this socket was already closed") from None
        raise trio.BrokenResourceError(f"socket connection broken: {error}") from error
