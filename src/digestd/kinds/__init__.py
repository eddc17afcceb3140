"""The interface every kind of source stands behind, and the registry that finds the kinds.

A kind is registered in the entry-point group `digestd.kinds` under its name, as a callable that takes
:class:`Tools` and gives a :class:`Kind`; digestd's own kinds are registered the same way. The callable (mostly the
class itself) may have an attribute `options`: a :class:`~digestd.config.kind_options.KindOptions`, by which the options
of its sources are checked wherever settings are read. It may have another one, `recognise`: a function that is given
what an operator wrote to say where a source is (one line, no control characters), and tells the source of the kind that
it means, as a mapping with `url`, `options` or both, and `what` it is in words; None for what is nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from typing import Any, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel

from digestd.config.kind_options import kept_options
from digestd.errors import HTTPStatus, SourceError, WrongOptions
from digestd.feed.budget import Bought, Exhausted, Expense, Limits
from digestd.feed.recognising import Candidate
from digestd.feed.text import line_of, strip_controls
from digestd.log import get_logger
from digestd.model import Document, Failure, PollState, Response, Source, Step

GROUP = "digestd.kinds"

Model = TypeVar("Model", bound=BaseModel)

Reader: TypeAlias = Callable[..., Document] | str
"""A pure function of a module, or `module:function`, its name, where the daemon shall not import what it needs."""


class Http(Protocol):
    """The only way a kind reaches the network."""

    @property
    def mark(self) -> str:
        """Tells, without telling what they are, whether the credentials and header fields of the source's own are still
        the same; empty where it has none."""
        ...

    @property
    def authorization_mark(self) -> str:
        """Tells as :attr:`mark` whether two sources have the same token or password (the field Authorization), whatever
        other fields they have: for its API they are one, then."""
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

    async def ask(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        """Ask an API at `url`, and read its answer whatever its status is.

        As :meth:`get`, but a status of 400 or more, and 2xx without a document, are answers, too, with the first 64 KiB
        of what is said with them. With `form`, that is posted (application/x-www-form-urlencoded), and nobody is sent
        on. 429, and 503 with `Retry-After`, pause the host as everywhere; what other fields and bodies say of limits is
        for the kind to read (:mod:`digestd.feed.rate_limits`) and to tell, by `leave_alone` or in its failure.

        Error handling: :class:`digestd.errors.FetchError` where no answer comes. Resource handling, cancellation: as
        :meth:`get`.
        """
        ...

    def leave_alone(self, url: str, seconds: float) -> None:
        """Start no poll at the host of `url` for `seconds`, at most a day: neither here nor, once the poll in hand is
        recorded, in any other process on the database."""
        ...

    def secret(self, option: str) -> str | None:
        """What the option of this name of the source says, where its kind declares it as a `SecretValue`; None where it
        is not given. To be sent, never to be kept or told: what a failure says is searched for it."""
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


class Read(Protocol):
    """Reads what came in a process that can be killed. Nothing of more than 64 KiB may be read anywhere else."""

    async def __call__(self, reader: Reader, body: bytes, *arguments: object, source_url: str) -> Document:
        """What `reader(body, *arguments)` gives, called in another process; all of it is pickled on its way. Entries
        come back in slices, `Document.facts` at once.

        `source_url` is the URL of the source, as for :class:`ParseFeed`.

        Error handling: the :class:`digestd.errors.DocumentError` that the reader raises;
        :class:`digestd.errors.ParserFailed` where it raised anything else, or the process died or passed its limits
        (three seconds of processor time, 200 MiB); :class:`digestd.errors.ParserBusy` when none became free.
        Cancellation: kills the process.
        """
        ...


class Budgets(Protocol):
    """Counts what APIs cost in a day (UTC), for all sources and processes on one database.

    Each method is one transaction, which is finished once it was begun, whatever is cancelled.
    """

    async def buy(self, key: str, expense: Expense, limits: Limits) -> Bought | Exhausted:
        """Ask for leave to make a request that may cost `expense`; nobody with the same `key`, in any process, is let
        beyond `limits` on one day. To be settled when the answer is there: whatever ends the process before that, the
        whole of it counts. `key` is at most 300 characters, and no secret.

        Error handling: :class:`digestd.errors.Uncounted` when the database cannot be had.
        """
        ...

    async def settle(self, bought: Bought, actual: Expense) -> None:
        """Say what a request has cost that leave was given for; the rest is given back. Never raises: where the
        database cannot be had, all of it stays counted."""
        ...

    async def close(self, key: str, seconds: float, because: str) -> None:
        """Give no leave for `seconds`, at most a day, `because` of something: the credits are used up. Never raises."""
        ...


class _NoBudgets:
    async def buy(self, key: str, expense: Expense, limits: Limits) -> Bought | Exhausted:
        raise AssertionError("nothing was lent that counts")

    async def settle(self, bought: Bought, actual: Expense) -> None:
        raise AssertionError("nothing was lent that counts")

    async def close(self, key: str, seconds: float, because: str) -> None:
        raise AssertionError("nothing was lent that counts")


_NO_BUDGETS: Budgets = _NoBudgets()


async def _no_read(reader: Reader, body: bytes, *arguments: object, source_url: str) -> Document:
    raise AssertionError("nothing was lent that reads documents")


@dataclass(frozen=True, slots=True)
class Tools:
    """What the daemon lends to kinds beside HTTP."""

    parse_feed: ParseFeed
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    read: Read = _no_read
    budgets: Budgets = _NO_BUDGETS


class Kind(Protocol):
    """How one kind of source is read.

    One whose API has a budget also has a method `spacing_seconds(self, source: Source) -> float`: how far apart polls
    and their steps have to start at the host of `source.url`. All that ask that host, in every process, share the
    longest spacing that a source wants, unless the operator has one for it (`fetch.hosts`).

    One that can say something better than a failure where a secret of its source is not there (a variable that is not
    set) has a method `without_secrets(self, source: Source, state: PollState, reason: str) -> Step`, which is called in
    place of :meth:`step`.

    One that changes something elsewhere than in the store (it moves files) has a method `harmless(self, source: Source)
    -> Source`: the same source, polled as which nothing is changed.
    """

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """Do one bounded piece of a poll of `source`, going on from `state`.

        Expected failures are values (`Step.failure`), or a :class:`digestd.errors.SourceError` that escapes, which
        stands for a step that failed and changed nothing; whatever else escapes is a bug of the kind, and is reported
        as one. Called under a total deadline; when cancelled, nothing of the step is recorded and the next one starts
        from the same `state`.

        With `Step.more`, the next step is called as soon as the host may be asked again, or in a later poll where that
        takes long: each request that counts at an API is a step of its own.
        """
        ...


class KindFactory(Protocol):
    """What an entry point of the group names."""

    def __call__(self, tools: Tools) -> Kind: ...


def registered() -> Mapping[str, EntryPoint]:
    """The kinds that are installed, by name; nothing is imported yet."""
    return {point.name: point for point in entry_points(group=GROUP)}


def are_ours(names: Iterable[str]) -> bool:
    """Whether all kinds called `names` are digestd's own. To look at one package takes a tenth of looking at all."""
    try:
        ours = distribution("digestd").entry_points.select(group=GROUP).names
    except PackageNotFoundError:
        return False
    return ours >= set(names)


def schema_of(name: str, points: Mapping[str, EntryPoint] | None = None) -> type[BaseModel] | None:
    """What the options of the kind called `name` have to be: its `options`, None where it has none. Imports the kind.
    `points` is what :func:`registered` gave, for who has asked before.

    One of a third party that cannot be imported has none: :func:`load` tells what is wrong with it.
    """
    point = (registered() if points is None else points).get(name)
    if point is None:
        return None
    try:
        schema: Any = getattr(point.load(), "options", None)
    # The border to foreign code: whatever it raises is its own matter.
    except Exception:
        if _is_ours(point):
            raise
        return None
    return schema if isinstance(schema, type) and issubclass(schema, BaseModel) else None


def options_of(schema: type[Model], source: Source) -> Model:
    """The options of `source` as its kind declares them; secrets are given by :meth:`Http.secret` alone.

    Raises :class:`digestd.errors.WrongOptions`: they are kept in the database, and an older digestd, or somebody by
    hand, may have written others.
    """
    try:
        return kept_options(schema, source.spec.kind, source.spec.options)
    except ValueError as error:
        raise WrongOptions(str(error)) from None


def failure_of(error: SourceError) -> Failure:
    """The failure that a step reports for `error`."""
    status = error.status if isinstance(error, HTTPStatus) else None
    return Failure(error.cause, str(error), status, error.retry_after)


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
            if _is_ours(points[name]):
                raise
            get_logger().exception("worker.kind.broken", kind=name, effect="its sources are not polled")
    return kinds


class Lazily(Mapping[str, Kind]):
    """The kinds that are installed, each imported and built with `tools` when it is first wanted. Raises KeyError for
    one that is not installed, or cannot be imported: the log names it."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._built: dict[str, Kind] = {}

    def __getitem__(self, name: str) -> Kind:
        if name not in self._built:
            self._built.update(load(frozenset({name}), self._tools))
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(registered())

    def __len__(self) -> int:
        return len(registered())


def recognised(written: str) -> list[Candidate]:
    """The sources of third parties' kinds that `written` may mean. Imports these kinds; one that cannot be imported, or
    raises, is named in the log and has no say."""
    found = []
    for name, point in sorted(registered().items()):
        if _is_ours(point):
            continue
        try:
            recognise = getattr(point.load(), "recognise", None)
            said = None if recognise is None else recognise(written)
            if said is not None:
                what = strip_controls(line_of(str(said.get("what") or f"a source of the kind {name}"), 200))
                found.append(Candidate(name, what, said.get("url"), dict(said.get("options") or {})))
        # The border to foreign code: whatever it raises is its own matter.
        except Exception:  # noqa: BLE001 - see above
            get_logger().exception("worker.kind.broken", kind=name, effect="it recognises nothing")
    return found


def _is_ours(point: EntryPoint) -> bool:
    return point.module.partition(".")[0] == "digestd"
