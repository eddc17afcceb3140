"""`digestd sources test`: one poll of a source that keeps nothing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer

from digestd import kinds
from digestd.cli.loading import end_with_reader
from digestd.cli.places import as_kind, given_options, maker, sources_meant
from digestd.cli.tables import prepared, print_table
from digestd.cli.trial_words import facts, line, rows, trial_record, tried_lines, tried_records
from digestd.config import Configuration, database_url
from digestd.daemon import trying
from digestd.errors import ConfigurationError, StoreError
from digestd.feed.recognising import Candidate
from digestd.ingest.discovery import Discovery
from digestd.ingest.trial import Trial
from digestd.model import Entry, Source, SourceStatus
from digestd.store.looking import Standing, look

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
    kept, why_not = _kept(config, request.written)
    if kept is not None and (request.kind is not None or options):
        raise typer.BadParameter(f"{request.written!r} is a source, whose own kind and options are tried")
    if kept is not None and kept.source.spec.kind not in kinds.registered():
        raise ConfigurationError(
            [f"source {kept.source.name!r}: the kind {kept.source.spec.kind!r} is not installed"]
        )
    if kept is not None:
        done = trying.run(partial(_tried, config, request, kept.source, first=kept.is_new))
    elif request.kind is not None:
        source = Source(0, maker({"name": _NAME}, options)(as_kind(request.written, request.kind)), "cli")
        done = trying.run(partial(_tried, config, request, source, first=True))
    else:
        done = trying.run(partial(_explored, config, request, options, _meant(request, why_not)))
    if done is None:
        print("interrupted: nothing was kept", file=sys.stderr)
        return os.EX_OK
    end_with_reader()
    if isinstance(done, Discovery):
        return _tell_nothing_found(request, done)
    standings = None
    if kept is not None and kept.status is not None:
        standings, why_not = _standings(config, kept.source.id, done.entries)
    _tell(request, done, standings, why_not if kept is not None else None)
    return os.EX_OK if done.succeeded else 1


async def _tried(
    config: Configuration, request: Request, source: Source, *, first: bool
) -> Trial | Discovery:
    async with trying.open_bench(config, steps=request.steps) as bench:
        return await bench.trials.poll(source, first=first)


async def _explored(
    config: Configuration, request: Request, options: Mapping[str, object], candidates: Sequence[Candidate]
) -> Trial | Discovery:
    async with trying.open_bench(config, steps=request.steps) as bench:
        discovery = await bench.discover(candidates, maker({"name": _NAME}, options), options.keys())
    return discovery if discovery.best is None else discovery.best.trial


def _meant(request: Request, why_not: str | None) -> Sequence[Candidate]:
    try:
        return sources_meant(request.written)
    except ValueError as error:
        unsure = f" ({line(why_not)})" if why_not else ""
        raise typer.BadParameter(f"no source is called so{unsure}, and {error}") from None


def _kept(config: Configuration, name: str) -> tuple[_Kept | None, str | None]:
    """The source called `name`, None for none; and why the database does not tell more of it."""
    status, why_not = None, None
    try:
        with look(*_database(config)) as view:
            status = next(iter(view.sources(name)), None)
    except StoreError as error:
        why_not = str(error)
    spec = next((one for one in config.sources if one.name == name), None)
    if spec is None:
        return (None if status is None else _Kept(status.source, status)), why_not
    # The file has the last word: a daemon that has not read it yet will.
    same = status is not None and (status.source.spec.kind, status.source.spec.url) == (spec.kind, spec.url)
    if status is None or not same:
        return _Kept(Source(0, spec)), why_not or "the database does not know it yet"
    return _Kept(Source(status.source.id, spec, effective_url=status.source.effective_url), status), why_not


def _standings(
    config: Configuration, source_id: int, entries: Sequence[Entry]
) -> tuple[dict[str, Standing] | None, str | None]:
    try:
        with look(*_database(config)) as view:
            return view.standings(source_id, entries), None
    except StoreError as error:
        return None, str(error)


def _database(config: Configuration) -> tuple[str, float]:
    return database_url(
        config.settings.database, os.environ
    ), config.settings.database.connect_timeout_seconds


def _tell(request: Request, trial: Trial, standings: dict[str, Standing] | None, why_not: str | None) -> None:
    now = datetime.now(UTC)
    if request.as_json:
        record = trial_record(trial, standings, request.limit, now)
        print(json.dumps(record, indent=2))
        return
    print("\n".join(facts(trial, now)))
    if standings is not None:
        counted = {
            word: sum(one == word for one in standings.values())
            for word in ("new", "changed", "known", "deleted")
        }
        print(
            "of these     "
            + ", ".join(f"{count} {word}" for word, count in counted.items() if count or word == "new")
        )
    elif why_not is not None:
        print(f"not compared {line(why_not)}")
    for one in trial.left_out[: request.limit]:
        print(f"set aside    {line(one.title, 200) or '(no title)'}: {line(one.reason)}")
    if trial.entries:
        print()
        headings = ("known", "published", "text from", "title", "link")
        cells = list(rows(trial, standings, request.limit, now))
        skip = 1 if standings is None else 0
        print_table(headings[skip:], (row[skip:] for row in cells))
    if len(trial.entries) > request.limit:
        print(f"{len(trial.entries) - request.limit} more; --limit shows them")
    print("Nothing was stored.")


def _tell_nothing_found(request: Request, discovery: Discovery) -> int:
    message = f"no source was found at {line(request.written, 300)}"
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
