"""What lies under the HTTP client: connections over the guarded network, or over a proxy; apart for each way."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, TypeVar

import httpcore2
import httpx2
import trio
from socksio import SOCKSError

from digestd.config.networks import Networks
from digestd.errors import BadURL, ConfigurationError
from digestd.ingest.network.connect import GuardedBackend
from digestd.ingest.network.http11 import Connection
from digestd.ingest.network.pool import KEPT_SECONDS, Answer, Connect, Pool
from digestd.ingest.network.resolve import Resolver, ThreadResolver
from digestd.ingest.network.urls import check_authority
from digestd.ingest.network.ways import Way

_REPLACED_SECONDS = 3_600.0
_NO_PROXY = "fetch.proxy: no URL of a proxy; give http://HOST:PORT or socks5://HOST:PORT"


class PoolTransport:
    """The connections that `connect` makes. What httpcore2 raises passes through."""

    def __init__(self, connect: Connect) -> None:
        self._pool = Pool(connect)

    async def send(self, request: httpcore2.Request) -> Answer:
        """Send `request`; it is the caller who reads the answer's body and closes it."""
        return await self._pool.send(request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _SOCKSTransport(PoolTransport):
    """Over a SOCKS proxy: closes the connection that httpcore2 leaves open when the proxy refuses."""

    async def send(self, request: httpcore2.Request) -> Answer:
        opened: list[httpcore2.AsyncNetworkStream] = []

        async def trace(event: str, info: dict[str, Any]) -> None:
            if event == "socks.connect_tcp.complete":
                opened.append(info["return_value"])

        request.extensions = {**request.extensions, "trace": trace}
        try:
            return await super().send(request)
        except BaseException as error:
            for stream in opened:
                await stream.aclose()
            if isinstance(error, SOCKSError):
                raise httpcore2.ProxyError("it does not speak SOCKS 5") from error
            raise


T = TypeVar("T")
OpenPool: TypeAlias = Callable[[str | None, ssl.SSLContext | None], PoolTransport]
"""Opens a pool over the given proxy and with the given TLS; None stands for the usual ones."""


class WayTransport:
    """Sends each request in the way that it is to go, over connections of that way alone.

    Resource handling: closing it closes the connections of every way.
    """

    def __init__(self, usual: PoolTransport, open_pool: OpenPool) -> None:
        self._usual = usual
        self._open_pool = open_pool
        self._others: dict[Way, tuple[tuple[int, ...], PoolTransport]] = {}
        self._replaced: list[tuple[float, PoolTransport]] = []
        self._reading = trio.CapacityLimiter(1)

    async def send(self, request: httpcore2.Request, way: Way | None) -> Answer:
        """Send `request` in this `way`, None for the usual one. Raises :class:`~digestd.errors.TLSFailed` or
        :class:`~digestd.errors.BadURL` when it cannot be taken."""
        transport = self._usual if way is None else await self._transport(way)
        return await transport.send(request)

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in [
            self._usual,
            *(transport for _, transport in self._others.values()),
            *(transport for _, transport in self._replaced),
        ]:
            await transport.aclose()

    async def _transport(self, way: Way) -> PoolTransport:
        # On a share that hangs, looking at a file does, too.
        version = await self._in_thread(way.version) if way.files else ()
        known = self._others.get(way)
        if known is not None and known[0] == version:
            return known[1]
        # Reading the authorities of the system takes as long as many polls.
        context = await self._in_thread(way.ssl_context) if way.files else None
        opened = self._open_pool(way.proxy.reveal() if way.proxy else None, context)
        replaced = self._others.get(way)
        if replaced is not None:
            # Somebody may be reading from it.
            self._replaced.append((trio.current_time(), replaced[1]))
        self._others[way] = version, opened
        await self._close_replaced()
        return opened

    async def _close_replaced(self) -> None:
        """Close what nobody can be reading from any more: certificates may be renewed every hour, for months, and what
        was read of each takes megabytes."""
        long_ago = trio.current_time() - _REPLACED_SECONDS
        old = [transport for since, transport in self._replaced if since <= long_ago]
        self._replaced = [(since, transport) for since, transport in self._replaced if since > long_ago]
        for transport in old:
            await transport.aclose()

    async def _in_thread(self, read: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(read, abandon_on_cancel=True, limiter=self._reading)


def open_transport(
    *,
    allow_private: bool | Networks,
    proxy: str | None,
    ssl_context: ssl.SSLContext,
    connect_seconds: float,
    resolve: Resolver | None = None,
) -> WayTransport:
    """Make the transport. `allow_private` tells which addresses that are not public may be connected to; `proxy` is an
    http, https, socks5 or socks5h URL, or None; `connect_seconds` is what looking a name up may take, and then
    connecting.

    Raises :class:`~digestd.errors.ConfigurationError` when `proxy` cannot be used.
    """
    resolve = resolve or ThreadResolver(connect_seconds)

    def open_pool(own_proxy: str | None, own_context: ssl.SSLContext | None) -> PoolTransport:
        over = own_proxy or proxy
        backend = GuardedBackend(
            # What lies behind a proxy is for the proxy to judge, and where it stands for the operator.
            allow_private=allow_private if over is None else True,
            connect_seconds=connect_seconds,
            resolve=resolve,
        )
        return _pool(over, own_context or ssl_context, ssl_context, backend)

    return WayTransport(open_pool(None, None), open_pool)


def _pool(
    proxy: str | None, context: ssl.SSLContext, proxy_context: ssl.SSLContext, backend: GuardedBackend
) -> PoolTransport:
    options: dict[str, Any] = {
        "ssl_context": context,
        "keepalive_expiry": KEPT_SECONDS,
        "network_backend": backend,
    }
    if proxy is None:
        return PoolTransport(partial(Connection, backend=backend, ssl_context=context))
    return _proxy_transport(proxy, proxy_context, options)


def _proxy_transport(text: str, proxy_context: ssl.SSLContext, options: dict[str, Any]) -> PoolTransport:
    try:
        proxy = httpx2.Proxy(text)
        check_authority(proxy.url)
    except (BadURL, httpx2.InvalidURL, ValueError) as error:
        raise ConfigurationError([_NO_PROXY]) from error
    address = proxy.url
    url = httpcore2.URL(scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=b"/")
    if address.scheme.startswith("socks5"):
        return _SOCKSTransport(
            httpcore2.AsyncSOCKSProxy(url, proxy_auth=proxy.raw_auth, **options).create_connection
        )
    if address.scheme == "https":
        # Ours, not the source's: its certificate is for its server alone.
        options["proxy_ssl_context"] = proxy_context
    return PoolTransport(
        httpcore2.AsyncHTTPProxy(url, proxy_auth=proxy.raw_auth, **options).create_connection
    )
