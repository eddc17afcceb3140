"""`digestd sources add`: a source of the kind that is said, or of the one that is found out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import trio
import typer

from digestd import kinds
from digestd.cli.places import as_kind, given_options, maker, name_of, shown_place, sources_meant, unused
from digestd.cli.sourcing import SOON
from digestd.cli.tables import looking, looking_into, prepared
from digestd.cli.trial_words import find_record, found_line, line, title_of, tried_lines, tried_records
from digestd.config import Configuration
from digestd.daemon import trying
from digestd.errors import ConfigurationError, StoreError
from digestd.feed.moving import normalised
from digestd.feed.recognising import Candidate, at
from digestd.ingest.discovery import Discovery, Find, Make
from digestd.log import get_logger
from digestd.masking import mask_link, mask_url
from digestd.model import SourceSpec

_PLACEHOLDER = "a source"
_OWN_NAMES = frozenset({"feed", "page", "sitemap", "file"})
_REMEDY = """\
  Check the address in a browser, or give that of the feed. To add it all the same, say what it is:
  digestd sources add NAME URL --kind feed   (or page, sitemap, …: docs/sources.md)"""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: the source called `name` (None: as it calls itself) at the place that is `written`, of `kind`
    (None: to be found out), with `options` and what `entry` has beside. With `dry_run` nothing is added."""

    name: str | None
    written: str
    kind: str | None
    options: tuple[str, ...]
    entry: Mapping[str, Any]
    dry_run: bool = False
    as_json: bool = False


def read_request(
    places: Sequence[str],
    kind: str | None,
    options: Sequence[str],
    entry: Mapping[str, Any],
    *,
    dry_run: bool,
    as_json: bool,
) -> Request:
    """The request of a command that was given `places`: the place alone, or a name and a place. Where only the first of
    two is a URL, it is the place. Raises typer.BadParameter for more."""
    if len(places) > 2:
        raise typer.BadParameter("one place, or a name and a place; put a name of several words into quotes")
    name, written = (None, places[0]) if len(places) == 1 else (places[0], places[1])
    if name is not None and _is_url(name) and not _is_url(written):
        name, written = written, name
    return Request(name, written, kind, tuple(options), entry, dry_run, as_json)


def add(file: Path | None, level: str | None, request: Request) -> int:
    """Add the source of `request`; returns the exit status."""
    options = given_options(request.options)
    # What goes wrong while it is found out is told at the end, all together.
    config = prepared(file, level or "ERROR")
    if any(request.name == one.name for one in config.sources):
        raise ConfigurationError([f"{request.name!r} stands in {config.file}: change it there"])
    known, pauses = _looked(config)
    make = maker({**request.entry, "name": request.name or _PLACEHOLDER}, options)
    ending = _Ending(config, request, known)
    if request.kind is not None:
        return ending.add(make(as_kind(request.written, request.kind)))
    candidates = _candidates(request)
    if request.name in {one.name for one in known}:
        # Who is refused in any case need not ask anybody; what is wrong with the URL is told before that.
        make(candidates[0])
        return ending.refuse(_taken(request.name))
    discovery = trying.run(partial(_discovered, config, pauses, candidates, make, options))
    if discovery is None:
        print("interrupted: nothing was added", file=sys.stderr)
        return os.EX_OK
    ending.discovery = discovery
    if discovery.best is not None:
        return ending.add(discovery.best.spec, discovery.best)
    if discovery.tried and all(one.problems for one in discovery.tried):
        raise ConfigurationError(discovery.tried[0].problems)
    unseen = _unseen(candidates, options)
    if request.name is None or discovery.conclusive or unseen is None:
        return ending.refuse_unfound()
    get_logger().info("sources.add.unseen", tried=[f"{one.what}: {one.why}" for one in discovery.tried])
    return ending.add(make(unseen))


def _unseen(candidates: Sequence[Candidate], options: Mapping[str, Any]) -> Candidate | None:
    """As what a place is added that could not be asked just now: as what its form says, else as a feed."""
    meant = next((one for one in candidates if one.open), candidates[0])
    can_be_polled = meant.kind in kinds.registered() and (meant.needs is None or meant.needs in options)
    return meant if can_be_polled else None


def _looked(config: Configuration) -> tuple[list[SourceSpec], Mapping[str, float]]:
    """The sources that are known, and the hosts that want to be left alone, as far as the database can be looked
    into."""
    try:
        with looking(config) as view:
            kept, pauses = [status.source.spec for status in view.sources()], view.pauses()
    except StoreError:
        # It may not be there yet; whatever else it is, who adds to it says.
        kept, pauses = [], {}
    return [*config.sources, *kept], pauses


def _candidates(request: Request) -> list[Candidate]:
    try:
        return sources_meant(request.written)
    except ValueError as error:
        if request.name is None:
            raise typer.BadParameter(str(error)) from None
        # The check of the URL says what is wrong with it.
        return [at(request.written)]


async def _discovered(
    config: Configuration,
    pauses: Mapping[str, float],
    candidates: Sequence[Candidate],
    make: Make,
    options: Mapping[str, Any],
) -> Discovery:
    async with trying.open_bench(config, pauses=pauses) as bench:
        return await bench.discover(candidates, make, options.keys())


class _Ending:
    """Ends a command: by adding a source, or by saying why none was. `known` are those that there are."""

    def __init__(self, config: Configuration, request: Request, known: Sequence[SourceSpec]) -> None:
        self.discovery = Discovery()
        self._config = config
        self._request = request
        self._known = known
        self._now = datetime.now(UTC)

    def add(self, spec: SourceSpec, find: Find | None = None) -> int:
        """Add the source of `spec`, as which `find` was found out; returns the exit status."""
        if find is not None and not self._request.as_json:
            print("\n".join(self._found_lines(find)))
        if self._request.name is None:
            twin = next((one for one in self._known if _is_same(one, spec)), None)
            if twin is not None:
                said = f"it is a source already: {line(twin.name)!r}; give it a name to add it once more"
                return self.refuse(said, spec, find)
            spec = replace(spec, name=unused(name_of(_title(find), spec), {one.name for one in self._known}))
        if self._request.dry_run:
            said = f"would add {spec.name!r}; nothing was added (--dry-run)"
            return self._done(spec, find, added=False, said=said)
        if not trio.run(self._write, spec):
            return self.refuse(_taken(spec.name), spec, find)
        return self._done(spec, find, added=True, said=f"added {spec.name!r}; {SOON}")

    def refuse(self, message: str, spec: SourceSpec | None = None, find: Find | None = None) -> int:
        """Say why nothing was added; returns the exit status."""
        if self._request.as_json:
            self._print_json(spec, find, added=False, error=message)
        else:
            print(f"digestd: {message}", file=sys.stderr)
        return 1

    def refuse_unfound(self) -> int:
        """Say what was tried in vain; returns the exit status."""
        message = f"no source was found at {shown_place(self._request.written)}"
        if self._request.as_json:
            return self.refuse(message)
        print(
            "\n".join([f"digestd: {message}; tried:", *tried_lines(self.discovery), _REMEDY]), file=sys.stderr
        )
        return 1

    async def _write(self, spec: SourceSpec) -> bool:
        async with looking_into(self._config, create_file=True) as store:
            return await store.add_source(spec)

    def _found_lines(self, find: Find) -> list[str]:
        lines = [f"found: {found_line(find, self._now)}", f"  {line(mask_url(find.spec.url))}"]
        others, not_asked = self.discovery.others, self.discovery.not_asked
        if others or not_asked:
            lines.append("there are others; to have one of them: digestd sources add NAME URL --kind feed")
            lines += [
                f"  {line(mask_link(one.spec.url))}  {found_line(replace(one, via=None), self._now)}"
                for one in others
            ]
            lines += [f"  {line(mask_link(url))}  not asked for" for url in not_asked]
        return lines

    def _done(self, spec: SourceSpec, find: Find | None, *, added: bool, said: str) -> int:
        if self._request.as_json:
            self._print_json(spec, find, added=added, error=None)
        else:
            print(said)
        return os.EX_OK

    def _print_json(
        self, spec: SourceSpec | None, find: Find | None, *, added: bool, error: str | None
    ) -> None:
        told = {
            "added": added,
            "error": error,
            "name": spec and spec.name,
            "kind": spec and spec.kind,
            "url": spec and mask_url(spec.url),
            "found": find and find_record(find, self._now),
            "others": [find_record(one, self._now) for one in self.discovery.others],
            "not_asked": [line(mask_link(url)) for url in self.discovery.not_asked],
            "tried": tried_records(self.discovery),
        }
        print(json.dumps(told, indent=2))


def _is_same(one: SourceSpec, other: SourceSpec) -> bool:
    return one.kind == other.kind and (
        one.url == other.url or normalised(one.url) == normalised(other.url) is not None
    )


def _title(find: Find | None) -> str | None:
    """What `find` calls itself, else what it is; None where its place says as much."""
    if find is None:
        return None
    return title_of(find.trial) or (None if find.spec.kind in _OWN_NAMES else find.what)


def _taken(name: str | None) -> str:
    return f"there is a source {name!r} already; `digestd sources` lists it"


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))
