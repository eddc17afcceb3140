"""The pages and the way to them. The door to Starlette."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from digestd.web.address import Address
from digestd.web.exposition import Exposition
from digestd.web.health import health_document
from digestd.web.state import DaemonState

_FRESH = {"cache-control": "no-store"}


def application(read: Callable[[], DaemonState], address: Address) -> Starlette:
    """The ASGI application: `/health` and `/metrics` of the state that `read` gives, for GET and HEAD.

    Where `address` is loopback, a request whose Host header is neither `address` nor a name of loopback is
    refused with 400: a page in the operator's browser may have had its own name resolved to 127.0.0.1 (DNS
    rebinding).
    """
    exposition = Exposition(read)

    # Coroutines though they never wait: Starlette would run plain functions in threads.
    async def health(_: Request) -> Response:
        document = health_document(read())
        return JSONResponse(document, 200 if document["status"] == "ok" else 503, _FRESH)

    async def metrics(request: Request) -> Response:
        body, content_type = exposition.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type, **_FRESH})

    app = Starlette(
        routes=[Route("/health", health), Route("/metrics", metrics)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_hosts(address), www_redirect=False)],
    )
    app.router.redirect_slashes = False
    return app


def _hosts(address: Address) -> list[str]:
    # Beyond loopback the operator's names for us are unknown here.
    return ["localhost", "127.0.0.1", "[::1]", address.url_host] if address.is_loopback else ["*"]
