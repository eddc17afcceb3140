"""One attempt at one article's page: robots.txt, the page, what its headers forbid, where it led, its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from digestd.errors import FetchError, Forbidden, NoArticle
from digestd.ingest.http import Limit, Permit
from digestd.ingest.politeness import Hosts
from digestd.ingest.robots import Robots
from digestd.model import Page, Response
from digestd.page.landing import landing
from digestd.page.permission import forbids_keeping
from digestd.page.robots import product_token
from digestd.store import PageClaim

MOST_BYTES = 5_000_000
"""No page is read that is larger: the largest of hundreds of real ones has 2 MB."""
HTML = frozenset({"text/html", "application/xhtml+xml"})

_ACCEPT = "text/html, application/xhtml+xml;q=0.9"


class PageHttp(Protocol):
    """The HTTP door, as far as pages need it: see :meth:`digestd.ingest.http.HttpClient.get`."""

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        within: Limit | None = None,
        permit: Permit | None = None,
    ) -> Response: ...


class ReadPage(Protocol):
    """Reads a page in a process that can be killed: see :class:`digestd.ingest.workers.pool.PageReader`."""

    async def __call__(
        self, body: bytes, url: str, content_type: str | None, *, feed_html: str, title: str
    ) -> Page: ...


class Pages:
    """Fetches pages as their publishers allow, and reads them. `user_agent` is what we say we are."""

    def __init__(
        self, http: PageHttp, robots: Robots, hosts: Hosts, read: ReadPage, *, user_agent: str
    ) -> None:
        self._http = http
        self._robots = robots
        self._hosts = hosts
        self._read = read
        self._agent = product_token(user_agent)

    async def fetch(self, url: str) -> Response:
        """Ask for the page at `url`, within the turn that the caller holds at its host.

        Error handling: a :class:`~digestd.errors.SourceError`; :class:`~digestd.errors.Forbidden` where robots.txt
        keeps us from it or from where it redirects (RFC 9309), or X-Robots-Tag from keeping its text;
        :class:`~digestd.errors.UnwantedType` where it is no HTML, whose body is not read;
        :class:`~digestd.errors.NoArticle` where it redirects to a home, login or consent page.
        Cancellation: may be cancelled at any moment.
        """
        led_to = url

        async def permit(onward: str) -> None:
            nonlocal led_to
            led_to = onward
            await self._permit(onward)

        try:
            await self._permit(url)
            headers = {"Accept": _ACCEPT}
            limit = Limit(MOST_BYTES, "the most of a page")
            response = await self._http.get(url, headers=headers, only=HTML, within=limit, permit=permit)
        except FetchError as error:
            error.url = led_to
            raise
        if directive := forbids_keeping(response.headers.get("x-robots-tag"), self._agent):
            raise Forbidden(f"the publisher does not want its text kept (X-Robots-Tag: {directive})")
        if place := landing(url, response.url):
            raise NoArticle(place)
        return response

    async def read(self, claim: PageClaim, response: Response) -> Page:
        """Read what came. Raises :class:`~digestd.errors.DocumentError`. Cancellation: kills the worker at work."""
        content_type = response.headers.get("content-type")
        return await self._read(
            response.body, response.url, content_type, feed_html=claim.feed_html, title=claim.title
        )

    async def _permit(self, url: str) -> None:
        rules = await self._robots.rules(url)
        self._hosts.slow_down(url, rules.crawl_delay(self._agent))
        if not rules.allows(url, self._agent):
            raise Forbidden("robots.txt does not allow digestd to fetch this page")
