"""What lies under the HTTP client: a pool of connections over the guarded network, or over a proxy."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpcore2
import httpx2
from socksio import SOCKSError

from digestd.errors import BadURL, ConfigurationError
from digestd.ingest.network.connect import GuardedBackend
from digestd.ingest.network.resolve import Resolver
from digestd.ingest.network.urls import check_authority

# A connection is used again only by sources of one host polled in a row, and by redirects; httpcore2 looks at
# every idle connection twice per request.
_KEPT_CONNECTIONS = 20
_KEPT_SECONDS = 15.0
_NO_PROXY = "fetch.proxy: no URL of a proxy; give http://HOST:PORT or socks5://HOST:PORT"


class PoolTransport(httpx2.AsyncBaseTransport):
    """An httpcore2 pool as httpx2 wants it. What the pool raises passes through."""

    def __init__(self, pool: httpcore2.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request`; it is the caller who reads the answer's body and closes it."""
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        asked = httpcore2.Request(
            method=request.method,
            url=url,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        response = await self._pool.handle_async_request(asked)
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=dict(response.extensions),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _SOCKSTransport(PoolTransport):
    """Over a SOCKS proxy: closes the connection that httpcore2 leaves open when the proxy refuses."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        opened: list[httpcore2.AsyncNetworkStream] = []

        async def trace(event: str, info: dict[str, Any]) -> None:
            if event == "socks.connect_tcp.complete":
                opened.append(info["return_value"])

        request.extensions = {**request.extensions, "trace": trace}
        try:
            return await super().handle_async_request(request)
        except BaseException as error:
            for stream in opened:
                await stream.aclose()
            if isinstance(error, SOCKSError):
                raise httpcore2.ProxyError("it does not speak SOCKS 5") from error
            raise


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self._stream.__aiter__()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def open_transport(
    *,
    allow_private: bool,
    proxy: str | None,
    ssl_context: ssl.SSLContext,
    connect_seconds: float,
    resolve: Resolver | None = None,
) -> PoolTransport:
    """Make the transport. `proxy` is an http, https, socks5 or socks5h URL, or None; `connect_seconds` is what
    looking a name up may take, and then connecting.

    The pool has no upper bound, so that nobody waits for it: the daemon's own slots are the bound.
    Raises :class:`~digestd.errors.ConfigurationError` when `proxy` cannot be used.
    """
    backend = GuardedBackend(
        allow_private=allow_private or proxy is not None, connect_seconds=connect_seconds, resolve=resolve
    )
    options: dict[str, Any] = {
        "ssl_context": ssl_context,
        "max_connections": None,
        "max_keepalive_connections": _KEPT_CONNECTIONS,
        "keepalive_expiry": _KEPT_SECONDS,
        "network_backend": backend,
    }
    if proxy is None:
        return PoolTransport(httpcore2.AsyncConnectionPool(**options))
    return _proxy_transport(proxy, options)


def _proxy_transport(text: str, options: dict[str, Any]) -> PoolTransport:
    try:
        proxy = httpx2.Proxy(text)
        check_authority(proxy.url)
    except (BadURL, httpx2.InvalidURL, ValueError) as error:
        raise ConfigurationError([_NO_PROXY]) from error
    address = proxy.url
    url = httpcore2.URL(scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=b"/")
    if address.scheme.startswith("socks5"):
        return _SOCKSTransport(httpcore2.AsyncSOCKSProxy(url, proxy_auth=proxy.raw_auth, **options))
    if address.scheme == "https":
        options["proxy_ssl_context"] = options["ssl_context"]
    return PoolTransport(httpcore2.AsyncHTTPProxy(url, proxy_auth=proxy.raw_auth, **options))
