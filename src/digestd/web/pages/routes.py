"""Requests for pages and their answers."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qs

import trio
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from digestd.config.access import Secret
from digestd.store.overview import Overview
from digestd.web.address import Address
from digestd.web.pages.asking import Away
from digestd.web.pages.board import Board
from digestd.web.pages.gate import Gate
from digestd.web.pages.query import asked
from digestd.web.pages.render import Renderer
from digestd.web.pages.views import away_view, front_view, source_view
from digestd.web.state import DaemonState

MOST_AT_ONCE = 8
"""Pages in the making at one time; each holds its rows in memory."""
WAIT_SECONDS = 2.0
"""How long a request waits to be one of them."""
WRONG_TOKEN_SECONDS = 1.0
"""How long the answer to a wrong token takes."""
LARGEST_FORM_BYTES = 4096

# No script, no frame, no foreign origin: https://www.w3.org/TR/CSP3/.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_FRESH = {**_HEADERS, "cache-control": "no-store"}
_FOR_EVER = {**_HEADERS, "cache-control": "public, max-age=31536000, immutable"}
_FOR_A_DAY = {**_HEADERS, "cache-control": "public, max-age=86400"}

_SOURCE_ID = re.compile(r"[0-9]{1,18}")
# Back to a page of ours, and nowhere else.
_OUR_PAGE = re.compile(r"/(?:sources/[0-9]{1,18})?(?:\?[!-~]*)?")

_Handler = Callable[[Request], Awaitable[Response]]


class StatusPages:
    """The pages of what `overview` and `read` give, as the server at `address` shows them; `token` see
    :class:`digestd.web.pages.gate.Gate`."""

    def __init__(
        self,
        overview: Overview,
        read: Callable[[], DaemonState],
        address: Address,
        token: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._board = Board(overview, now)
        self._read = read
        self._now = now
        self._gate = Gate(address, None if token is None else Secret(token), time.time)
        self._renderer = Renderer()
        self._making = trio.CapacityLimiter(MOST_AT_ONCE)

    @property
    def access(self) -> Literal["open", "token", "shut"]:
        """See :attr:`digestd.web.pages.gate.Gate.access`."""
        return self._gate.access

    def routes(self) -> Sequence[Route]:
        """The routes, for GET and HEAD, and for the form that asks for the token."""
        return (
            Route("/", self._guarded(self._front)),
            Route("/sources/{id}", self._guarded(self._source)),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
            Route(self._renderer.style_path, self._style),
            Route("/icon.svg", self._icon),
        )

    def _guarded(self, page: _Handler) -> _Handler:
        """`page` for who may see it, made while not too many others are, and without the database if need be."""

        async def answer(request: Request) -> Response:
            if not self._gate.admits(request.headers.get("authorization"), request.cookies):
                return self._refused(request)
            try:
                async with self._one_of_few():
                    return await page(request)
            except Away as away:
                # 503 though there is something to see: what was asked for is not to be had, and nobody in between
                # shall keep it. Whether digestd is well is /health's to say.
                view = away_view(self._read(), str(away), self._now())
                return self._html("away", 503, {"retry-after": "5"}, request=request, **view)

        return answer

    def _one_of_few(self) -> _Place:
        return _Place(self._making)

    async def _front(self, request: Request) -> Response:
        wanted = asked(request.query_params)
        front = await self._board.front(wanted.query, wanted.page)
        view = front_view(front, wanted, self._read(), self._now())
        # A hundred rows are some milliseconds of words, and as many of HTML: others may run in between.
        await trio.lowlevel.checkpoint()
        return self._html("front", request=request, **view)

    async def _source(self, request: Request) -> Response:
        given = request.path_params["id"]
        detail = await self._board.source(int(given)) if _SOURCE_ID.fullmatch(given) else None
        if detail is None:
            return self._html("missing", 404, request=request)
        return self._html("source", request=request, **source_view(detail, self._now()))

    def _refused(self, request: Request, *, wrong: bool = False, back: str | None = None) -> Response:
        if self._gate.access == "shut":
            return self._html("shut", 403, request=request)
        headers = {"www-authenticate": 'Bearer realm="digestd"'}
        return self._html("sign_in", 401, headers, request=request, wrong=wrong, back=back or _here(request))

    async def _sign_in(self, request: Request) -> Response:
        form = await _form(request)
        back = _ours(form.get("back", "/"))
        if self._gate.access != "token":
            return RedirectResponse("/", 303, _FRESH)
        if not self._gate.is_token(form.get("token", "").strip()):
            await trio.sleep(WRONG_TOKEN_SECONDS)
            return self._refused(request, wrong=True, back=back)
        session = self._gate.session(secure=_is_secure(request))
        return RedirectResponse(back, 303, {**_FRESH, "set-cookie": session})

    async def _sign_out(self, request: Request) -> Response:
        farewell = self._gate.farewell(secure=_is_secure(request))
        return RedirectResponse("/", 303, {**_FRESH, "set-cookie": farewell})

    async def _style(self, _: Request) -> Response:
        return Response(self._renderer.style, 200, _FOR_EVER, "text/css")

    async def _icon(self, _: Request) -> Response:
        return Response(self._renderer.icon, 200, _FOR_A_DAY, "image/svg+xml")

    def _html(
        self,
        template: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
        *,
        request: Request,
        **values: Any,
    ) -> Response:
        signed_in = self._gate.access == "token" and template not in ("sign_in", "shut")
        page = self._renderer.render(
            template, signed_in=signed_in, here=_here(request), made=self._now(), **values
        )
        return HTMLResponse(page, status, {**_FRESH, **(headers or {})})


class _Place:
    """One of a few places, waited for with a bound. Raises Away when there is none."""

    def __init__(self, limiter: trio.CapacityLimiter) -> None:
        self._limiter = limiter

    async def __aenter__(self) -> None:
        with trio.move_on_after(WAIT_SECONDS):
            await self._limiter.acquire()
            return
        raise Away("too many look at these pages at one time")

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release()


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form (application/x-www-form-urlencoded); nothing of one that is larger than ours is."""
    body = b""
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            body += part
            if len(body) > LARGEST_FORM_BYTES:
                return {}
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _here(request: Request) -> str:
    query = request.url.query
    return _ours(f"{request.url.path}?{query}" if query else request.url.path)


def _ours(path: str) -> str:
    return path if _OUR_PAGE.fullmatch(path) else "/"


def _is_secure(request: Request) -> bool:
    # Who says so untruly only keeps the cookie from coming back.
    return request.headers.get("x-forwarded-proto", "").lower() == "https"
