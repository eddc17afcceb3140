"""The pages and the way to them. The door to Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

import trio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from digestd.web.address import Address
from digestd.web.exposition import Exposition
from digestd.web.health import health_document
from digestd.web.names import KnownNames, own_names
from digestd.web.pages import StatusPages
from digestd.web.state import DaemonState

_FRESH = {"cache-control": "no-store"}


def application(
    read: Callable[[], DaemonState],
    unready: Callable[[], Awaitable[str | None]],
    address: Address,
    hosts: Collection[str],
    pages: StatusPages | None = None,
) -> Starlette:
    """The ASGI application, for GET and HEAD: `/health` and `/metrics` of the state that `read` gives, `/ready` of what
    `unready` says, and `pages`.

    It answers by the name in `address`, the machine's own, those of `hosts`, and by addresses: see
    :mod:`digestd.web.names`.
    """
    exposition = Exposition(read)

    # Coroutines though they hardly wait: Starlette would run plain functions in threads.
    async def health(_: Request) -> Response:
        # After a moment's hold-up of the event loop, the ticker that tells of progress goes first.
        await trio.lowlevel.checkpoint()
        document = health_document(read())
        return JSONResponse(document, 200 if document["status"] == "ok" else 503, _FRESH)

    async def ready(_: Request) -> Response:
        reason = await unready()
        document = {"status": "ready" if reason is None else "not ready", "reason": reason}
        return JSONResponse(document, 200 if reason is None else 503, _FRESH)

    async def metrics(request: Request) -> Response:
        body, content_type = exposition.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type, **_FRESH})

    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", metrics),
            *(pages.routes() if pages else ()),
        ],
        middleware=[Middleware(KnownNames, names=[address.host, *own_names(), *hosts])],
    )
    app.router.redirect_slashes = False
    return app
