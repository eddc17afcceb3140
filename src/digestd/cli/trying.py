"""`digestd sources test`: one poll of a source that keeps nothing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer

from digestd.cli.loading import end_with_reader
from digestd.cli.places import as_kind, given_options, maker, shown_place, sources_meant
from digestd.cli.tables import looking, prepared, print_table
from digestd.cli.trial_words import facts, line, rows, trial_record, tried_lines, tried_records
from digestd.config import Configuration
from digestd.daemon import trying
from digestd.errors import ConfigurationError, DigestdError, StoreError, StoreUnavailable
from digestd.feed.recognising import Candidate
from digestd.ingest.discovery import Discovery
from digestd.ingest.trial import Trial
from digestd.model import Entry, Source, SourceStatus
from digestd.store.looking import Standing

_NAME = "a source on trial"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: the source called so, or at the place so `written`, of `kind` (None: to be found out) with
    `options`; `steps` of it, and at most `limit` of its entries."""

    written: str
    kind: str | None
    options: tuple[str, ...]
    steps: int
    limit: int
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    """A source that is known by name: with what the database keeps of it, where that could be looked into."""

    source: Source
    status: SourceStatus | None = None

    @property
    def is_new(self) -> bool:
        """Whether the next poll of it is the first that brings something."""
        return self.status is None or self.status.last_success_at is None


def try_once(file: Path | None, level: str | None, request: Request) -> int:
    """Poll once, keep nothing, and print what would be kept; returns the exit status."""
    options = given_options(request.options)
    # What goes wrong is what is printed.
    config = prepared(file, level or "ERROR")
    kept, pauses, trouble = _kept(config, request.written)
    if kept is None:
        done = trying.run(_work(config, request, pauses, options, trouble))
    elif request.kind is None and not options:
        done = trying.run(partial(_tried, config, request, pauses, kept.source, first=kept.is_new))
    else:
        raise typer.BadParameter(f"{request.written!r} is a source, whose own kind and options are tried")
    if done is None:
        print("interrupted: nothing was kept", file=sys.stderr)
        return os.EX_OK
    end_with_reader()
    if isinstance(done, Discovery):
        if done.best is None:
            return _tell_nothing_found(request, done)
        return _tell(request, done.best.trial, done.best.via, None, None)
    if kept is None:
        return _tell(request, done, None, None, None)
    if kept.status is None:
        return _tell(request, done, None, None, str(trouble or "the database does not know it yet"))
    return _tell(request, done, None, *_standings(config, kept.source.id, done.entries))


def _work(
    config: Configuration,
    request: Request,
    pauses: Mapping[str, float],
    options: Mapping[str, object],
    trouble: StoreError | None,
) -> Callable[[], Awaitable[Trial | Discovery]]:
    """What is to be done at a place: a poll of the kind that was said, or finding out."""
    if request.kind is None:
        return partial(_explored, config, request, pauses, options, _meant(request.written, trouble))
    spec = maker({"name": _NAME}, options)(as_kind(request.written, request.kind))
    return partial(_tried, config, request, pauses, Source(0, spec, "cli"), first=True)


async def _tried(
    config: Configuration, request: Request, pauses: Mapping[str, float], source: Source, *, first: bool
) -> Trial | Discovery:
    async with trying.open_bench(config, steps=request.steps, pauses=pauses) as bench:
        return await bench.trials.poll(source, first=first)


async def _explored(
    config: Configuration,
    request: Request,
    pauses: Mapping[str, float],
    options: Mapping[str, object],
    candidates: Sequence[Candidate],
) -> Trial | Discovery:
    async with trying.open_bench(config, steps=request.steps, pauses=pauses) as bench:
        return await bench.discover(candidates, maker({"name": _NAME}, options), options.keys())


def _meant(written: str, trouble: StoreError | None) -> Sequence[Candidate]:
    try:
        return sources_meant(written)
    except ValueError as error:
        if trouble is not None:
            # It may be the name of a source that only the database knows.
            words = f"{trouble}; and the settings have no source called {shown_place(written)!r}"
            raise StoreUnavailable(words) from None
        raise DigestdError(f"no source is called {shown_place(written)!r}, and {error}") from None


def _kept(config: Configuration, name: str) -> tuple[_Kept | None, Mapping[str, float], StoreError | None]:
    """The source called `name`, None for none; the hosts that want to be left alone; and why the database does not tell
    of either."""
    status, pauses, trouble = None, dict[str, float](), None
    try:
        with looking(config) as view:
            status, pauses = next(iter(view.sources(name)), None), view.pauses()
    except StoreError as error:
        trouble = error
    spec = next((one for one in config.sources if one.name == name), None)
    if spec is None:
        return (None if status is None else _Kept(status.source, status)), pauses, trouble
    # The file has the last word: a daemon that has not read it yet will.
    same = status is not None and (status.source.spec.kind, status.source.spec.url) == (spec.kind, spec.url)
    if status is None or not same:
        return _Kept(Source(0, spec)), pauses, trouble
    source = Source(status.source.id, spec, effective_url=status.source.effective_url)
    return _Kept(source, status), pauses, trouble


def _standings(
    config: Configuration, source_id: int, entries: Sequence[Entry]
) -> tuple[dict[str, Standing] | None, str | None]:
    try:
        with looking(config) as view:
            return view.standings(source_id, entries), None
    except StoreError as error:
        return None, str(error)


def _tell(
    request: Request,
    trial: Trial,
    via: str | None,
    standings: dict[str, Standing] | None,
    why_not: str | None,
) -> int:
    """Print `trial`; returns the exit status."""
    now = datetime.now(UTC)
    status = os.EX_OK if trial.succeeded else 1
    if request.as_json:
        print(json.dumps(trial_record(trial, via, standings, request.limit, now), indent=2))
        return status
    print("\n".join(facts(trial, via)))
    if standings is not None:
        print(f"of these     {_counted(standings.values())}")
    elif why_not is not None:
        print(f"not compared {line(why_not)}")
    for one in trial.left_out[: request.limit]:
        print(f"set aside    {line(one.title, 200) or '(no title)'}: {line(one.reason)}")
    if trial.entries and request.limit:
        # Without a database there is nothing that could be known.
        first = 1 if standings is None else 0
        headings = ("known", "published", "text from", "title", "link")
        print()
        print_table(headings[first:], (row[first:] for row in rows(trial, standings, request.limit, now)))
    if len(trial.entries) > request.limit:
        print(f"{len(trial.entries) - request.limit} more; --limit shows them")
    print("Nothing was stored.")
    return status


def _counted(standings: Collection[Standing]) -> str:
    words = ("new", "changed", "known", "deleted")
    counts = {word: sum(one == word for one in standings) for word in words}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "new")


def _tell_nothing_found(request: Request, discovery: Discovery) -> int:
    if discovery.tried and all(one.problems for one in discovery.tried):
        raise ConfigurationError(discovery.tried[0].problems)
    message = f"no source was found at {shown_place(request.written)}"
    if request.as_json:
        print(json.dumps({"error": message, "tried": tried_records(discovery)}, indent=2))
        return 1
    print(f"digestd: {message}; tried:", file=sys.stderr)
    for told in tried_lines(discovery):
        print(told, file=sys.stderr)
    print(
        "  `digestd sources` lists those that are known by name; --kind says what is meant", file=sys.stderr
    )
    return 1
