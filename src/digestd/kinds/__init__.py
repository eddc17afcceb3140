"""The interface every kind of source stands behind, and the registry that finds the kinds.

A kind is registered in the entry-point group `digestd.kinds` under its name, as a callable that takes
:class:`Tools` and gives a :class:`Kind`; digestd's own kinds are registered the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from digestd.log import get_logger
from digestd.model import Document, PollState, Response, Source, Step

GROUP = "digestd.kinds"


class Http(Protocol):
    """The only way a kind reaches the network."""

    @property
    def mark(self) -> str:
        """Tells, without telling what they are, whether the credentials and header fields of the source's own are still
        the same; empty where it has none."""
        ...

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        """Ask for `url` and read the answer to its end.

        `headers` go with the request, and are dropped when a redirect leads to another origin (RFC 9110, 15.4;
        conditional headers go along). With `only`, a document of another media type than these (lower case) is not
        read; one without a media type is, unless its first bytes tell it for a PDF, an archive or an image. With
        `cut_at`, no more than so many bytes of the document are read, and the rest is left where it is. Returns a
        :class:`~digestd.model.Response` with a 2xx status, 226 only where `headers` have `A-IM`, or 304.

        Error handling: raises :class:`digestd.errors.FetchError` (a subclass, with its cause) for everything that
        can go wrong outside this process, an error status included; :class:`digestd.errors.UnwantedType` where
        `only` excludes the document.
        Resource handling: the connection is closed or back in the pool when this returns or raises.
        Cancellation: may be cancelled at any moment; nothing is kept of a half-read answer.
        """
        ...


class ParseFeed(Protocol):
    """Reads a feed in a process that can be killed."""

    async def __call__(self, body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
        """Read `body`, served from `url` (which relative links resolve against) as `content_type`.

        `source_url` is what was asked for, before redirects: a source whose documents take long shares its parser with
        others of that sort.

        Error handling: :class:`digestd.errors.NotAFeed`; :class:`digestd.errors.ParserFailed` when the parser raised,
        died or passed its limits; :class:`digestd.errors.ParserBusy` when none became free.
        Cancellation: kills the parser at work on this document.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What the daemon lends to kinds beside HTTP."""

    parse_feed: ParseFeed
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Kind(Protocol):
    """How one kind of source is read."""

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """Do one bounded piece of a poll of `source`, going on from `state`.

        Expected failures are values (`Step.failure`); whatever escapes other than
        :class:`digestd.errors.SourceError` is a bug of the kind, and is reported as one. Called under a total
        deadline; when cancelled, nothing of the step is recorded and the next one starts from the same `state`.
        """
        ...


class KindFactory(Protocol):
    """What an entry point of the group names."""

    def __call__(self, tools: Tools) -> Kind: ...


def registered() -> Mapping[str, EntryPoint]:
    """The kinds that are installed, by name; nothing is imported yet."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load(names: frozenset[str], tools: Tools) -> Mapping[str, Kind]:
    """Import and build the kinds called `names`; those that are not installed are left out.

    A kind of a third party that cannot be imported or built is named in the log and left out: its sources are not
    polled, all others are. What goes wrong with our own escapes as it is.
    """
    points = registered()
    kinds: dict[str, Kind] = {}
    for name in sorted(names & points.keys()):
        try:
            factory: KindFactory = points[name].load()
            kinds[name] = factory(tools)
        # The border to foreign code: whatever it raises is its own matter.
        except Exception:
            if points[name].module.partition(".")[0] == "digestd":
                raise
            get_logger().exception("worker.kind.broken", kind=name, effect="its sources are not polled")
    return kinds
