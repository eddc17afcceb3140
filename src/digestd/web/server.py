"""The web server: Hypercorn's Trio worker on listeners of ours. The door to Hypercorn.

Its parts and not its `serve`: that one leaves its sockets to child processes, prints by a logger of its own,
and lets one connection's bug, or a client that reads nothing, reach the daemon.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from digestd.errors import StartError
from digestd.log import get_logger
from digestd.web.address import Address
from digestd.web.app import application
from digestd.web.framing import Framing
from digestd.web.pages import StatusPages
from digestd.web.state import DaemonState

MOST_CONNECTIONS = 64
"""Connections at one time; more are closed at once, so that they cannot use up the files that polls need."""
CONNECTION_SECONDS = 10.0
"""How long a connection may last. It carries one request, answered within milliseconds, or within the seconds that a
page waits for the database (:data:`digestd.web.pages.board.ANSWER_SECONDS`)."""
LARGEST_HEAD_BYTES = 16 * 1024
"""How long a request line and its header fields may be. A browser sends the cookies of everything that has ever run on
this host, whatever its port (RFC 6265, 8.5)."""
READ_BYTES = 4096
"""How much is read at one time."""


async def serve_web(
    address: Address,
    read: Callable[[], DaemonState],
    unready: Callable[[], Awaitable[str | None]],
    hosts: Collection[str] = (),
    pages: StatusPages | None = None,
    *,
    task_status: trio.TaskStatus[list[Address]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the state that `read` gives, whether `unready` says why we are not ready, and `pages`, at `address` until
    cancelled. `[::]` is every address, of IPv4 too. `hosts` are the names it answers by.

    Start it with `nursery.start`, which returns the addresses that are listened on (port 0 is a free port)
    once connections are taken.

    Resource handling: listeners and connections are closed when this ends.
    Error handling: :class:`digestd.errors.StartError` when the address is not to be had. Nothing that a
    client does escapes. Cancellation: the only way to end it; answers in flight are cut, without delay.
    """
    listeners = await _listen(address)
    bound = [Address(*listener.socket.getsockname()[:2]) for listener in listeners]
    server = _Server(cast(ASGIFramework, application(read, unready, address, hosts, pages)))
    page = {} if pages is None else {"status_page": pages.access}
    get_logger().info("web.listening", addresses=[f"http://{each}" for each in bound], **page)
    task_status.started(bound)
    await trio.serve_listeners(server.answer, listeners)


async def _listen(address: Address) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(address.port, host=_bind_host(address))
    except OSError as error:
        raise StartError(
            f"web.listen: cannot listen on {address}: {error.strerror or error}; "
            "name another address there, or set web.enabled to false"
        ) from error


def _bind_host(address: Address) -> str | None:
    # None is every address of both families; Trio takes "::" for those of IPv6 alone.
    return None if address.host == "::" else address.host


class _Server:
    """Answers connections, each within its own limits."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = ASGIWrapper(app)
        self._config = _configuration()
        self._context = WorkerContext(None)
        self._open = 0

    async def answer(self, stream: trio.SocketStream) -> None:
        """Answer one connection; the caller closes it."""
        if self._open >= MOST_CONNECTIONS:
            return
        self._open += 1
        try:
            with trio.move_on_after(CONNECTION_SECONDS):
                await self._connection(stream).run()
        # The border round one connection: what its client provoked in the protocol code is its own matter.
        except* Exception as bug:  # noqa: BLE001
            get_logger().warning("web.connection.failed", error=repr(_first(bug)))
        finally:
            self._open -= 1

    def _connection(self, stream: trio.SocketStream) -> TCPServer:
        # Declared for streams of TLS alone, though written for both kinds.
        either = cast("trio.SSLStream[trio.SocketStream]", stream)
        return _Connection(self._app, self._config, self._context, ConnectionState({}), either)


class _Connection(TCPServer):
    """A connection that may be cancelled at any time.

    Hypercorn shields what it sends from cancellation: a client that reads nothing would hold up the shutdown.
    """

    async def _read_data(self) -> None:
        """As Hypercorn reads, but no more than :mod:`digestd.web.framing` allows."""
        framing, data = Framing(), b"begin"
        while data:
            try:
                data = bytes(await self.stream.receive_some(READ_BYTES))
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            if not framing.allows(data):
                await self.idle_task.stop()
                await self._close()
                break
            await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())

    async def protocol_send(self, event: Event) -> None:
        """See :meth:`hypercorn.trio.tcp_server.TCPServer.protocol_send`."""
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        try:
            async with self.send_lock:
                await self.stream.send_all(event.data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self.protocol.handle(Closed())


def _configuration() -> Config:
    config = Config()
    # A logger of ours in both places: by default it would print to stderr by itself.
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.h11_max_incomplete_size = LARGEST_HEAD_BYTES
    # Every answer closes its connection: who asks once a minute loses nothing, and none lasts long.
    config.keep_alive_max_requests = 0
    return config


def _first(bug: BaseException) -> BaseException:
    while isinstance(bug, BaseExceptionGroup):
        bug = bug.exceptions[0]
    return bug
