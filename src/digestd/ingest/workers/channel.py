"""What passes between the daemon and a worker: messages over a pipe, as multiprocessing frames them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from multiprocessing.connection import Connection

import trio

# Linux's bound for who is not root (pipe(7)). Usual are 64 KiB, for each of which two processes would wake each other.
PIPE_BYTES = 2**20

# The framing of multiprocessing.connection.Connection, which the worker's side is.
_SHORT = struct.Struct("!i")
_LONG = struct.Struct("!iQ")
_LONGEST_SHORT = 0x7FFFFFFF
_READ_BYTES = 2**16


def widen(pipe: Connection) -> None:
    """Let `pipe` hold a usual page or its answer as a whole, where the system has that much for us."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class Channel:
    """One end of a pipe in the daemon, in place of trio-parallel's, which goes round the event loop eight times for a
    message and its answer, and wakes the worker before there is something to read.

    A message that fits into the pipe is sent by one system call, and an answer of up to 64 KiB read by one.
    """

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._unread = bytearray()

    async def send(self, message: bytes) -> None:
        """Send `message`. Error handling: :class:`trio.BrokenResourceError` when nobody reads any more. Cancellation:
        a part of it may have been sent. A checkpoint only where it has to wait."""
        length = len(message)
        head = _SHORT.pack(length) if length <= _LONGEST_SHORT else _LONG.pack(-1, length)
        await trio.lowlevel.checkpoint_if_cancelled()
        parts = [memoryview(head), memoryview(message)]
        try:
            while parts:
                try:
                    parts = _after(parts, os.writev(self._fd, parts))
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._fd)
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def receive(self) -> memoryview:
        """The next message. Error handling: :class:`trio.EndOfChannel` where there is none any more, and
        :class:`OSError` without a number where it is not whole. Cancellation: may be cancelled at any moment, and has
        lost nothing then."""
        await self._fill(_SHORT.size)
        begin = _SHORT.size
        (length,) = _SHORT.unpack_from(self._unread)
        if length == -1:
            begin = _LONG.size
            await self._fill(begin)
            (_, length) = _LONG.unpack_from(self._unread)
        await self._fill(begin + length)
        # Without a copy: it can be of megabytes.
        unread, self._unread = self._unread, self._unread[begin + length :]
        return memoryview(unread)[begin : begin + length]

    async def _fill(self, length: int) -> None:
        while (missing := length - len(self._unread)) > 0:
            # First of all: an answer is not there yet when somebody begins to wait for it.
            await trio.lowlevel.wait_readable(self._fd)
            with contextlib.suppress(BlockingIOError):
                part = os.read(self._fd, max(missing, _READ_BYTES))
                if not part:
                    raise OSError("got end of file during message") if self._unread else trio.EndOfChannel
                self._unread += part


def _after(parts: list[memoryview], sent: int) -> list[memoryview]:
    """What of `parts` is left to send."""
    left = []
    for part in parts:
        if sent < len(part):
            left.append(part[sent:])
        sent = max(0, sent - len(part))
    return left
