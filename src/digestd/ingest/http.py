"""The only door to HTTP: total deadline, size cap, redirects by hand, and every failure as a `FetchError`."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol, TypeAlias
from urllib.parse import urlencode

import httpcore2
import httpx2
import trio

from digestd.config.access import Access
from digestd.config.networks import Networks
from digestd.errors import (
    BadURL,
    ConfigurationError,
    ConnectFailed,
    FetchTimeout,
    HostPaused,
    HTTPStatus,
    ProtocolFailed,
    RedirectFailed,
)
from digestd.feed import shape
from digestd.ingest.network.body import Wanted, drain, read
from digestd.ingest.network.coding import ACCEPT_ENCODING
from digestd.ingest.network.pool import Answer
from digestd.ingest.network.resolve import Resolver
from digestd.ingest.network.statuses import retry_after_seconds, sentence
from digestd.ingest.network.transport import WayTransport, open_transport
from digestd.ingest.network.urls import REDIRECTS, Target, carried, masked, redirected, same_origin, target_of
from digestd.ingest.network.ways import Own, Way, way_of
from digestd.ingest.politeness import Hosts
from digestd.model import Response

# 2xx that bring no document, or not a whole one. 226 does, to who asked for what is new alone (RFC 3229, 10.4.1).
_WITHOUT_DOCUMENT = frozenset({202, 204, 205, 206})
_DELTA = 226
_PAUSING = frozenset({429, 503})
_PERMANENT = frozenset({301, 308})
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
_QUOTED_CHARACTERS = 200
_CONNECT_SECONDS = 10.0
_FORM = "application/x-www-form-urlencoded"
# No cookies: sources of one host must not see each other's, and no poll needs one.
_USUAL_FIELDS = {"accept": "*/*", "accept-encoding": ACCEPT_ENCODING, "connection": "keep-alive"}
# What an API says with an error is for a sentence, not for a parser.
_ERROR_BYTES = 64 * 1024


Permit: TypeAlias = Callable[[str], Awaitable[None]]
"""Asked for leave to fetch a URL: returns, or raises a `FetchError`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`name` is what an error calls the most `bytes` of a body, as sent and as decoded."""

    bytes: int
    name: str


class FetchLimits(Protocol):
    """The settings that the door needs: the section `fetch`, without what concerns whole hosts."""

    @property
    def user_agent(self) -> str: ...
    @property
    def timeout_seconds(self) -> float: ...
    @property
    def max_body_bytes(self) -> int: ...
    @property
    def max_redirects(self) -> int: ...
    @property
    def allow_private_networks(self) -> bool | Networks: ...
    @property
    def proxy(self) -> str | None: ...


@asynccontextmanager
async def open_http(
    limits: FetchLimits,
    hosts: Hosts,
    *,
    resolve: Resolver | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpClient]:
    """Open the door; `hosts` is told of redirects and of servers that want to be left alone.

    `resolve` replaces name resolution and `ssl_context` the system's certificate authorities.
    Resource handling: every connection is closed when the block ends; no fetch may be running by then.
    Error handling: :class:`~digestd.errors.ConfigurationError` when `fetch.proxy` cannot be used.
    """
    # They would log whole URLs and credentials.
    for library in ("httpx2", "httpcore2"):
        logging.getLogger(library).setLevel(logging.WARNING)
    transport = open_transport(
        allow_private=limits.allow_private_networks,
        proxy=limits.proxy,
        ssl_context=ssl_context or ssl.create_default_context(),
        # Two of them fit into the total: a network that swallows everything shows as that, not as slow servers.
        connect_seconds=min(_CONNECT_SECONDS, limits.timeout_seconds / 2.5),
        resolve=resolve,
    )
    async with aclosing(transport):
        yield HttpClient(transport, limits, hosts)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked beside a URL: with which header fields, what is taken of an answer, a form to post, and whether
    an answer of any status is one."""

    headers: dict[str, str]
    wanted: Wanted
    form: bytes | None = None
    any_status: bool = False


@dataclass(frozen=True, slots=True)
class _Redirect:
    """An answer that sends on to `location`, for good (RFC 9110, 15.4) where it is `permanent`."""

    location: str
    permanent: bool


class HttpClient:
    """Fetches documents; made by :func:`open_http`. An implementation of :class:`digestd.kinds.Http`."""

    def __init__(
        self, transport: WayTransport, limits: FetchLimits, hosts: Hosts, own: Own | None = None
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._hosts = hosts
        self._own = own or Own()

    def with_access(self, access: Access, url: str) -> HttpClient:
        """The same door, for the source at `url`: what `access` holds goes to the origin of `url` and to no other, but
        for its proxy, which everything goes over.

        Raises :class:`~digestd.errors.BadURL`.
        """
        own = Own(target_of(url).url, access.headers, way_of(access), access.secrets)
        return HttpClient(self._transport, self._limits, self._hosts, own)

    @property
    def mark(self) -> str:
        """See :attr:`digestd.kinds.Http.mark`."""
        return self._own.mark()

    @property
    def authorization_mark(self) -> str:
        """See :attr:`digestd.kinds.Http.authorization_mark`."""
        return self._own.authorization_mark()

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
        within: Limit | None = None,
        permit: Permit | None = None,
    ) -> Response:
        """See :meth:`digestd.kinds.Http.get`.

        `within` is a limit of the caller's own for the body; the lower of the two holds.

        `permit` is asked before each redirect is followed, within the same deadline: the
        :class:`~digestd.errors.FetchError` that it raises is the answer.

        User info in `url` is sent as Basic authentication to its own origin and to no other. A redirect to
        another host is counted there, and raises :class:`~digestd.errors.HostPaused` if that host is paused.
        429, and 503 with `Retry-After`, pause the host that answered.
        """
        target = target_of(url)
        wanted = Wanted(self._limits.max_body_bytes, only, cut_at)
        if within is not None and within.bytes < wanted.max_bytes:
            wanted = replace(wanted, max_bytes=within.bytes, limit_name=within.name)
        return await self._answer(target, _Question(self._fields(target, headers), wanted), permit)

    async def ask(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        """See :meth:`digestd.kinds.Http.ask`."""
        target = target_of(url)
        fields = self._fields(target, headers)
        posted = None if form is None else urlencode(form).encode("ascii")
        if posted is not None:
            fields["content-type"] = _FORM
        question = _Question(fields, Wanted(self._limits.max_body_bytes), posted, any_status=True)
        return await self._answer(target, question, None)

    def leave_alone(self, url: str, seconds: float) -> None:
        """See :meth:`digestd.kinds.Http.leave_alone`."""
        self._hosts.pause(url, seconds)

    def secret(self, option: str) -> str | None:
        """See :meth:`digestd.kinds.Http.secret`."""
        found = self._own.secrets.get(option)
        return None if found is None else found.reveal()

    def _fields(self, target: Target, headers: Mapping[str, str] | None) -> dict[str, str]:
        asked = {name.lower(): value for name, value in (headers or {}).items()}
        asked |= self._own.headers_for(target.url)
        if target.authorization is not None:
            asked.setdefault("authorization", target.authorization)
        return asked

    async def _answer(self, target: Target, question: _Question, permit: Permit | None) -> Response:
        seconds = self._limits.timeout_seconds
        with trio.move_on_after(seconds):
            return await self._follow(target.url, question, permit)
        raise FetchTimeout(f"no complete answer within {seconds:g} s (fetch.timeout_seconds)")

    async def _follow(self, url: httpx2.URL, question: _Question, permit: Permit | None) -> Response:
        visited = [str(url)]
        moved_to, moving = None, True
        way = self._own.way_to(url)
        while True:
            answer = await self._exchange(url, visited[-1], question, way, hops=len(visited) - 1)
            if isinstance(answer, Response):
                return answer if moved_to is None else replace(answer, moved_to=moved_to)
            if question.form is not None:
                raise RedirectFailed("what was posted is sent on to another address, and not sent again")
            onward = redirected(url, answer.location)
            if str(onward) in visited:
                raise RedirectFailed(f"the redirects go in a circle at {masked(onward)}")
            if len(visited) > self._limits.max_redirects:
                limit = self._limits.max_redirects
                raise RedirectFailed(f"more than {limit} redirects (fetch.max_redirects)")
            if permit is not None:
                await permit(str(onward))
            self._count(url, onward)
            if not same_origin(url, onward):
                question = replace(question, headers=carried(question.headers))
                way = way and way.abroad()
            moving = moving and answer.permanent
            moved_to = str(onward) if moving else moved_to
            visited.append(str(onward))
            url = onward

    def _count(self, url: httpx2.URL, onward: httpx2.URL) -> None:
        """Tell a redirect's host of it. Waiting for a turn there, while holding one here, could deadlock."""
        target = str(onward)
        if self._hosts.key_of(target) == self._hosts.key_of(str(url)):
            return
        seconds = self._hosts.paused_for(target)
        if seconds > 0:
            host = onward.raw_host.decode("ascii")
            message = f"redirected to {host}, which is to be left alone for another {seconds:.0f} s"
            raise HostPaused(message, retry_after=seconds)
        self._hosts.count(target)

    async def _exchange(
        self, url: httpx2.URL, text: str, question: _Question, way: Way | None, *, hops: int
    ) -> Response | _Redirect:
        """Ask once; `text` is `url` as it is written."""
        headers, wanted = question.headers, question.wanted
        with _translated():
            answer = await self._send(url, question, way)
            async with aclosing(answer):
                status = answer.status
                if status not in _PAUSING:
                    self._hosts.answered(text, status)
                if status in REDIRECTS:
                    await drain(answer)
                    return _Redirect(answer.location, permanent=status in _PERMANENT)
                if status == 304 and not _CONDITIONS.isdisjoint(headers):
                    await drain(answer)
                    return Response(text, status, answer.headers, b"")
                if not _brings_document(status, headers):
                    refusal = self._refused(url, answer, hops)
                    if not question.any_status:
                        raise refusal
                    wanted = replace(wanted, cut_at=_ERROR_BYTES)
                body = await read(answer, wanted)
                return Response(text, status, answer.headers, body)

    async def _send(self, url: httpx2.URL, question: _Question, way: Way | None) -> Answer:
        fields = {"user-agent": self._limits.user_agent, **_USUAL_FIELDS, **question.headers}
        if question.form is not None:
            fields["content-length"] = str(len(question.form))
        try:
            # Field values are kept as latin-1 (RFC 9110, 5.5), so that validators go back byte for byte.
            raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields.items()]
        except UnicodeEncodeError as error:
            raise BadURL("a header of the request has characters that HTTP cannot carry") from error
        if "host" not in fields:
            raw.insert(0, (b"host", url.netloc))
        request = httpcore2.Request(
            b"GET" if question.form is None else b"POST",
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=raw,
            content=question.form,
        )
        return await self._transport.send(request, way)

    def _refused(self, url: httpx2.URL, answer: Answer, hops: int) -> HTTPStatus:
        """What an answer without a document means; the host is paused where it asks for that."""
        status, fields = answer.status, answer.headers
        now = datetime.now(UTC)
        retry_after = retry_after_seconds(fields.get("retry-after"), now=now, date=fields.get("date"))
        if status == 429 or (status == 503 and retry_after):
            self._hosts.pause(str(url), retry_after)
        elif status == 503:
            self._hosts.answered(str(url), status)
        message = shape.accepted(fields) if status == 202 else sentence(status, masked(url) if hops else None)
        return HTTPStatus(message, status=status, retry_after=retry_after)


def _brings_document(status: int, asked: Mapping[str, str]) -> bool:
    """Whether an answer with `status` to the header fields `asked` has a body to be read."""
    if status == _DELTA:
        return "a-im" in asked
    return 200 <= status < 300 and status not in _WITHOUT_DOCUMENT


@contextmanager
def _translated() -> Iterator[None]:
    """The border: what the libraries raise becomes ours. Connecting reports in our own errors already."""
    try:
        yield
    except (httpcore2.ReadError, httpcore2.WriteError) as error:
        raise ProtocolFailed(f"the connection broke off: {_quoted(error)}") from error
    except httpcore2.RemoteProtocolError as error:
        raise ProtocolFailed(f"the server broke HTTP: {_quoted(error)}") from error
    except (httpcore2.LocalProtocolError, httpcore2.UnsupportedProtocol) as error:
        raise BadURL("the request cannot be put into HTTP; check URL and headers") from error
    except ConfigurationError as error:
        raise BadURL("the proxy of the source is no URL of a proxy") from error
    except httpcore2.ProxyError as error:
        raise ConnectFailed(f"the proxy would not connect us: {_quoted(error)}") from error


def _quoted(error: Exception) -> str:
    """What the library says, without what it quotes: a server could quote our own credentials, or steer a terminal."""
    said = str(error).partition(": bytearray(")[0].rstrip(".")
    return "".join(character for character in said if character.isprintable())[:_QUOTED_CHARACTERS]
