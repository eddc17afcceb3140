"""Connections that are used again: of httpcore2's making, kept by origin, so that finding one asks no other one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import httpcore2
import trio

from digestd.ingest.network.connect import TrioStream

KEPT_CONNECTIONS = 100
"""A connection is used again only by sources of one host polled in a row, and by redirects: one for each of the sources
that large daemons poll at one time."""
KEPT_SECONDS = 15.0

Connect: TypeAlias = Callable[[httpcore2.Origin], httpcore2.AsyncConnectionInterface]
"""Makes a connection to an origin, which connects with its first request."""
_Key: TypeAlias = tuple[bytes, bytes, int]


class Answer:
    """What a server answered: `status`, and header fields with lower-case names as latin-1 (RFC 9110, 5.5), repeated
    ones joined with ", " (5.2); `location` stands apart, in UTF-8 where it is that. `network` is the connection's.

    Resource handling: who has it reads its body to the end, and closes it in any case; only then, and only after a body
    that was read to its end, is its connection used again.
    """

    __slots__ = ("_connection", "_pool", "_stream", "headers", "location", "network", "status")

    def __init__(
        self, response: httpcore2.Response, connection: httpcore2.AsyncConnectionInterface, pool: Pool
    ) -> None:
        self.status = response.status
        self.headers, self.location = _fields(response.headers)
        self.network: TrioStream | None = response.extensions.get("network_stream")
        self._stream: Any = response.stream
        self._connection = connection
        self._pool = pool

    def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it comes. To be closed by who leaves it before its end."""
        pieces: AsyncGenerator[bytes] = self._stream.__aiter__()
        return pieces

    async def aclose(self) -> None:
        """Give the connection back. May be called more than once."""
        await self._stream.aclose()
        await self._pool.release(self._connection)


class Pool:
    """The connections of one way. They have no upper bound, so that nobody waits for one: the daemon's own slots are
    the bound. Idle ones are kept for :data:`KEPT_SECONDS`, the :data:`KEPT_CONNECTIONS` that were used last."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._busy: dict[httpcore2.AsyncConnectionInterface, _Key] = {}
        # With the moment from which on it has been idle for too long.
        self._idle: OrderedDict[httpcore2.AsyncConnectionInterface, tuple[_Key, float]] = OrderedDict()
        self._by_origin: dict[_Key, list[httpcore2.AsyncConnectionInterface]] = {}

    async def send(self, request: httpcore2.Request) -> Answer:
        """Send `request` over an idle connection, or a new one.

        Error handling: what httpcore2 and the network below it raise. Cancellation: the connection is closed.
        """
        origin = request.url.origin
        key = (origin.scheme, origin.host, origin.port)
        kept = await self._taken(key)
        if kept is not None:
            try:
                return await self._sent(request, kept, key)
            except (httpcore2.NetworkError, httpcore2.RemoteProtocolError):
                # Its server closed it at the moment that it was to be used again (RFC 9112, 9.3.1).
                if request.method != b"GET" or getattr(kept, "was_answered", True):
                    raise
        return await self._sent(request, self._connect(origin), key)

    async def _sent(
        self, request: httpcore2.Request, connection: httpcore2.AsyncConnectionInterface, key: _Key
    ) -> Answer:
        self._busy[connection] = key
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self.release(connection)
            raise
        return Answer(response, connection, self)

    async def release(self, connection: httpcore2.AsyncConnectionInterface) -> None:
        """Keep `connection`, on which nothing goes on any more, for the next request; or close it, where it is no use
        for that."""
        key = self._busy.pop(connection, None)
        if key is None or connection.is_closed():
            return
        if not connection.is_idle():
            await _close(connection)
            return
        self._idle[connection] = key, trio.current_time() + KEPT_SECONDS
        self._by_origin.setdefault(key, []).append(connection)
        await self._close_surplus()

    async def aclose(self) -> None:
        """Close every connection, whatever goes on there."""
        for connection in [*self._busy, *self._idle]:
            await _close(connection)
        self._busy.clear()
        self._idle.clear()
        self._by_origin.clear()

    async def _taken(self, key: _Key) -> httpcore2.AsyncConnectionInterface | None:
        """The connection with this `key` that was used last, unless the server has closed it meanwhile."""
        while kept := self._by_origin.get(key):
            connection = kept[-1]
            self._forget(connection)
            if not connection.has_expired():
                return connection
            await _close(connection)
        return None

    async def _close_surplus(self) -> None:
        """Close what is one too many, and what has been idle for too long."""
        now = trio.current_time()
        while self._idle:
            oldest, (_, until) = next(iter(self._idle.items()))
            # What its server has closed goes with these: to see that costs a system call each.
            if len(self._idle) <= KEPT_CONNECTIONS and now < until:
                return
            self._forget(oldest)
            await _close(oldest)

    def _forget(self, connection: httpcore2.AsyncConnectionInterface) -> None:
        key, _ = self._idle.pop(connection)
        self._by_origin[key].remove(connection)
        if not self._by_origin[key]:
            del self._by_origin[key]


async def _close(connection: httpcore2.AsyncConnectionInterface) -> None:
    # It waits for nobody.
    with trio.CancelScope(shield=True):
        await connection.aclose()


def _fields(raw: Sequence[tuple[bytes, bytes]]) -> tuple[Mapping[str, str], str]:
    fields: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    located = fields.pop("location", "").strip()
    return fields, _in_utf8(located)


def _in_utf8(text: str) -> str:
    """`text`, read as latin-1, in UTF-8 where it is that."""
    try:
        return text if text.isascii() else text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text
