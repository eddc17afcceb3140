"""Finding out what kind of source is where an operator says: candidates are polled, and nothing of that is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from digestd.errors import ConfigurationError, DocumentError, FetchError, HostPaused
from digestd.feed import paging
from digestd.feed.encoding import decode
from digestd.feed.recognising import Candidate, guesses, is_of_comments
from digestd.feed.refusal import looks_like_html
from digestd.ingest.politeness import Hosts
from digestd.ingest.remembering import Memory
from digestd.ingest.robots import Robots
from digestd.ingest.trial import LONGEST_WAIT_SECONDS, Trial
from digestd.kinds import Read
from digestd.masking import mask_link
from digestd.model import Document, Response, Source, SourceSpec

MOST_FEEDS = 4
"""Feeds of one page that are asked for."""
UNREACHED = frozenset(
    {"dns", "connect", "timeout", "tls", "address", "protocol", "busy", "paused", "bug", "settings"}
)
"""Causes that say nothing of what is there."""
SAYS_NOTHING = frozenset({401, 402, 403, 407, 408, 425, 429, 451})
"""Statuses, beside all from 500 on, that say nothing of it either."""

_ADVERTISED = "digestd.page.advertised:read_advertised"
_LISTING = "digestd.page.listing:read_listing"
_LOOKED_AT = 4_096
_PAGE = "a page that lists articles"


@dataclass(frozen=True, slots=True)
class Find:
    """A source that was polled: `what` it is, `via` which page it was found."""

    trial: Trial
    what: str
    via: str | None = None

    @property
    def spec(self) -> SourceSpec:
        return self.trial.spec


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried in vain, and why; `conclusive` where that tells that it is no source. `problems` are the mistakes
    in what the operator said of it."""

    what: str
    why: str
    conclusive: bool = False
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class Discovery:
    """What came of looking: the `best` find, `others` that it was chosen from, feeds that were named and `not_asked`,
    and all that was `tried` in vain before. Where nothing was found, `conclusive` says that there is nothing."""

    best: Find | None = None
    others: list[Find] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    conclusive: bool = False

    def cut_off(self, seconds: float) -> None:
        """Say that no more was tried after so many `seconds`: the first of what was found by then is the best."""
        if self.best is None and self.others:
            self.best = self.others.pop(0)
        if self.best is None:
            self.conclusive = False
            self.tried.append(Tried("all that may be there", f"it takes longer than {seconds:g} s"))


class Polls(Protocol):
    """Polls a source and keeps nothing: see :meth:`digestd.ingest.trial.Trials.poll`."""

    async def poll(self, source: Source) -> Trial: ...


Make = Callable[[Candidate], SourceSpec]
"""The source that a candidate means, with what the operator gave beside. Raises ConfigurationError."""


class Explorer:
    """Tries candidates one after the other, as the robot `agent`. `options` are the names of those that were given,
    `is_secret` tells of a source whether it is asked with credentials."""

    def __init__(
        self,
        trials: Polls,
        memory: Memory,
        read: Read,
        robots: Robots,
        hosts: Hosts,
        *,
        agent: str,
        make: Make,
        kinds: Collection[str],
        options: Collection[str] = (),
        is_secret: Callable[[SourceSpec], bool] = lambda spec: False,
    ) -> None:
        self._trials = trials
        self._memory = memory
        self._read = read
        self._robots = robots
        self._hosts = hosts
        self._agent = agent
        self._make = make
        self._kinds = kinds
        self._options = options
        self._is_secret = is_secret
        self.found = Discovery()
        self._unconnected = False

    async def explore(self, candidates: Sequence[Candidate]) -> None:
        """Try `candidates` until one of them is a source, or leads to one; what comes of it is in `found`.

        Error handling: what is wrong with a candidate is told in the discovery. Cancellation: at any moment.
        """
        for candidate in candidates:
            if candidate.plain and not self._unconnected:
                continue
            find = await self._try(candidate)
            # What the place itself says decides, and not where else it leads.
            self.found.conclusive = find is None and self.found.tried[-1].conclusive
            if find is None and candidate.open and candidate.url is not None:
                find = await self._look_further(candidate, candidate.url)
            if find is not None:
                self.found.best = find
                break
        self.found.others = [one for one in self.found.others if one is not self.found.best]

    async def _try(
        self, candidate: Candidate, via: str | None = None, near: str | None = None
    ) -> Find | None:
        """Poll `candidate`; named by somebody else at the URL `near`, it is given no credentials meant for that."""
        url = candidate.url and mask_link(candidate.url)
        shown = ": ".join(piece for piece in (candidate.what, url) if piece)
        try:
            spec = self._spec_of(candidate, near)
        except ConfigurationError as error:
            self.found.tried.append(Tried(shown, "; ".join(error.problems), problems=error.problems))
            return None
        if isinstance(spec, str):
            self.found.tried.append(Tried(shown, spec))
            return None
        trial = await self._trials.poll(Source(0, spec, "cli"))
        if trial.succeeded:
            return Find(trial, candidate.what or "a feed", via)
        self._refused(shown, trial)
        return None

    def _spec_of(self, candidate: Candidate, near: str | None) -> SourceSpec | str:
        """The source that is meant, or why it cannot be polled."""
        if candidate.kind not in self._kinds:
            return f"the kind {candidate.kind!r} is not installed here"
        if candidate.needs is not None and candidate.needs not in self._options:
            return _needs(candidate)
        spec = self._make(candidate)
        if near is not None and self._is_secret(spec) and not paging.same_origin(spec.url, near):
            return "it is at another origin, which does not get the credentials that were given; add it by its URL"
        return spec

    def _refused(self, shown: str, trial: Trial) -> None:
        failure = trial.failure
        assert failure is not None
        self._unconnected = failure.cause == "connect"
        status = failure.status or 0
        open_ended = failure.cause in UNREACHED or status in SAYS_NOTHING or status >= 500
        why = f"{failure.cause}: {failure.message}"
        self.found.tried.append(Tried(shown, why, conclusive=not open_ended))

    async def _look_further(self, candidate: Candidate, url: str) -> Find | None:
        """What a document that is no feed leads to; where the options are none of a feed, what they are those of."""
        if self.found.tried[-1].problems:
            page = replace(candidate, kind="page", what=_PAGE)
            return await self._try(page) or await self._try(
                replace(candidate, kind="sitemap", what="a sitemap")
            )
        response = self._memory.document(url)
        if response is None:
            return None
        if _may_be_sitemap(response):
            return await self._try(Candidate("sitemap", "a sitemap", url))
        if not looks_like_html(decode(response.body[:_LOOKED_AT], response.headers.get("content-type"))):
            return None
        return await self._look_at_page(url, response)

    async def _look_at_page(self, url: str, response: Response) -> Find | None:
        named = await self._document(_ADVERTISED, response, url)
        if named is None:
            return None
        shown = mask_link(response.url)
        if find := await self._best_feed(named.facts["feeds"], f"advertised by the page {shown}", url):
            return find
        if find := await self._first_feed(named.facts["links"], f"a link on the page {shown}", url):
            return find
        guessed = [guess async for guess in self._allowed(guesses(response.url))]
        if find := await self._first_feed(guessed, f"not named by the page {shown}, but beneath it", url):
            return find
        return await self._articles(url, response)

    async def _best_feed(self, feeds: Sequence[Sequence[str]], via: str, near: str) -> Find | None:
        """Of the feeds that a page advertises the first with entries that is none of comments; else the first with
        entries, else the first. (The order of the page is that of its author.)"""
        ordered = sorted(feeds, key=lambda feed: is_of_comments(*feed))
        self.found.not_asked += [url for url, _ in ordered[MOST_FEEDS:]]
        finds = [
            find
            for url, title in ordered[:MOST_FEEDS]
            if (find := await self._try(_feed(url, title), via, near))
        ]
        self.found.others += finds
        return min(finds, key=lambda find: not find.trial.entries, default=None)

    async def _first_feed(self, urls: Sequence[str], via: str, near: str) -> Find | None:
        for url in urls:
            before = len(self.found.tried)
            find = await self._try(_feed(url, ""), via, near)
            if find is not None and find.trial.entries:
                return find
            # Nobody said that there is a feed: that there is none is no news.
            del self.found.tried[before:]
        return None

    async def _allowed(self, urls: Sequence[str]) -> AsyncIterator[str]:
        """Those of `urls`, which nobody named, that robots.txt lets us ask for."""
        try:
            async with self._hosts.turn(urls[0], longest_pause=LONGEST_WAIT_SECONDS) as turn:
                turn.start()
                rules = await self._robots.rules(urls[0])
        except (FetchError, HostPaused):
            return
        for url in urls:
            if rules.allows(url, self._agent):
                yield url

    async def _articles(self, url: str, response: Response) -> Find | None:
        """The page as a list of articles, else the sitemap of the site whose home page it is."""
        listing = await self._document(_LISTING, response, url, None, ())
        sure = listing is not None and listing.facts["sure"]
        page = Candidate("page", _PAGE, url)
        if sure and (find := await self._try(page)):
            return find
        parts = urlsplit(response.url)
        if parts.path in ("", "/") and (find := await self._sitemap(url)):
            return find
        return None if listing is None or sure else await self._try(page)

    async def _sitemap(self, url: str) -> Find | None:
        parts = urlsplit(url)
        robots = urlunsplit((parts.scheme, parts.netloc, "/robots.txt", "", ""))
        before = len(self.found.tried)
        find = await self._try(Candidate("sitemap", "the sitemaps that robots.txt names", robots))
        if find is not None and find.trial.entries:
            return find
        del self.found.tried[before:]
        return None

    async def _document(
        self, reader: str, response: Response, url: str, *arguments: object
    ) -> Document | None:
        content_type = response.headers.get("content-type")
        try:
            return await self._read(
                reader, response.body, response.url, content_type, *arguments, source_url=url
            )
        except DocumentError as error:
            if reader == _ADVERTISED:
                self.found.tried.append(Tried(f"the page {mask_link(url)}", str(error), conclusive=True))
            return None


def _feed(url: str, title: str) -> Candidate:
    return Candidate("feed", f"the feed {title!r}" if title else "a feed", url)


def _needs(candidate: Candidate) -> str:
    variable = f"{candidate.kind}_{candidate.needs}".upper()
    option = f"--option '{candidate.needs}={{env: {variable}}}'"
    return f"it cannot be asked without the option {candidate.needs} (a secret): add it with {option}"


def _may_be_sitemap(response: Response) -> bool:
    path = urlsplit(response.url).path.lower()
    if path.endswith("/robots.txt"):
        return True
    head = response.body[:_LOOKED_AT]
    if b"<urlset" in head or b"<sitemapindex" in head:
        return True
    packed = head[:2] == b"\x1f\x8b" or head[:4] == b"http"
    return packed and "sitemap" in path.rpartition("/")[2]
