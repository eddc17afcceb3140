"""`digestd sources add`: a source of the kind that is said, or of the one that is found out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio
import typer

from digestd.cli.places import as_kind, given_options, maker, name_of, sources_meant, unused
from digestd.cli.sourcing import SOON
from digestd.cli.tables import kept_sources, looking_into, prepared
from digestd.cli.trial_words import find_record, found_line, line, title_of, tried_lines, tried_records
from digestd.config import Configuration
from digestd.daemon import trying
from digestd.errors import ConfigurationError
from digestd.feed.moving import normalised
from digestd.feed.recognising import Candidate, at
from digestd.ingest.discovery import Discovery, Find
from digestd.ingest.discovery import Make as MakeSource
from digestd.log import get_logger
from digestd.masking import mask_link, mask_url
from digestd.model import SourceSpec

_PLACEHOLDER = "a source"
_OWN_NAMES = frozenset({"feed", "page", "sitemap", "file"})


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
    make = maker({**request.entry, "name": request.name or _PLACEHOLDER}, options)
    if request.name is not None:
        _refuse_names_of_files(config, request.name)
    if request.kind is not None:
        spec = make(as_kind(request.written, request.kind))
        return _Adding(config, request, Discovery()).add(spec, None)
    candidates = _candidates(request)
    discovery = trying.run(lambda: _discovered(config, candidates, make, options))
    if discovery is None:
        print("interrupted: nothing was added", file=sys.stderr)
        return os.EX_OK
    adding = _Adding(config, request, discovery)
    if discovery.best is not None:
        return adding.add(discovery.best.spec, discovery.best)
    if discovery.tried and all(one.problems for one in discovery.tried):
        raise ConfigurationError(discovery.tried[0].problems)
    if request.name is not None and not discovery.conclusive and candidates[0].open:
        # As long as nothing says otherwise it is what it was called: what cannot be reached now may be later.
        get_logger().info("sources.add.unseen", tried=[f"{one.what}: {one.why}" for one in discovery.tried])
        return adding.add(make(at(request.written)), None)
    return adding.refuse()


def _candidates(request: Request) -> list[Candidate]:
    try:
        return sources_meant(request.written)
    except ValueError as error:
        if request.name is None:
            raise typer.BadParameter(str(error)) from None
        # The check of the URL says what is wrong with it.
        return [at(request.written)]


async def _discovered(
    config: Configuration, candidates: Sequence[Candidate], make: MakeSource, options: Mapping[str, Any]
) -> Discovery:
    async with trying.open_bench(config) as bench:
        return await bench.discover(candidates, make, options.keys())


def _refuse_names_of_files(config: Configuration, name: str) -> None:
    if any(name == known.name for known in config.sources):
        raise ConfigurationError([f"{name!r} stands in {config.file}: change it there"])


class _Adding:
    """Ends a command: by adding what was found, or by saying why nothing was."""

    def __init__(self, config: Configuration, request: Request, discovery: Discovery) -> None:
        self._config = config
        self._request = request
        self._discovery = discovery
        self._now = datetime.now(UTC)

    def add(self, spec: SourceSpec, find: Find | None) -> int:
        """Add the source of `spec`, which `find` is about where it was found out; returns the exit status."""
        known = self._known()
        if self._request.name is None:
            title = (
                None
                if find is None
                else title_of(find.trial) or (None if spec.kind in _OWN_NAMES else find.what)
            )
            spec = replace(spec, name=unused(name_of(title, spec), {one.name for one in known}))
        twin = next((one for one in known if _is_same(one, spec)), None)
        if find is not None and not self._request.as_json:
            print("\n".join(self._found_lines(find)))
        if self._request.name is None and twin is not None:
            message = f"it is a source already: {line(twin.name)!r}; give it a name to add it once more"
            return self._refused(spec, find, message)
        if self._request.dry_run:
            return self._done(
                spec, find, added=False, said=f"would add {spec.name!r}; nothing was added (--dry-run)"
            )
        if not trio.run(self._write, spec):
            return self._refused(
                spec, find, f"there is a source {spec.name!r} already; `digestd sources` lists it"
            )
        return self._done(spec, find, added=True, said=f"added {spec.name!r}; {SOON}")

    def refuse(self) -> int:
        """Say what was tried; returns the exit status."""
        message = f"no source was found at {_shown(self._request.written)}"
        if self._request.as_json:
            self._print_json(None, None, added=False, error=message)
            return 1
        print(f"digestd: {message}; tried:", file=sys.stderr)
        for told in tried_lines(self._discovery):
            print(told, file=sys.stderr)
        print(
            "  Check the address in a browser, or give that of the feed. To add it all the same, say what it is:\n"
            "  digestd sources add NAME URL --kind feed   (or page, sitemap, …: docs/sources.md)",
            file=sys.stderr,
        )
        return 1

    def _known(self) -> list[SourceSpec]:
        kept = [status.source.spec for status in trio.run(kept_sources, self._config)]
        return [*self._config.sources, *kept]

    async def _write(self, spec: SourceSpec) -> bool:
        async with looking_into(self._config, create_file=True) as store:
            return await store.add_source(spec)

    def _found_lines(self, find: Find) -> list[str]:
        lines = [f"found: {found_line(find, self._now)}", f"  {line(mask_url(find.spec.url))}"]
        others, not_asked = self._discovery.others, self._discovery.not_asked
        if others or not_asked:
            lines.append("there are others; to have one of them: digestd sources add NAME URL --kind feed")
            lines += [
                f"  {line(mask_link(one.spec.url))}  {found_line(replace(one, via=None), self._now)}"
                for one in others
            ]
            lines += [f"  {line(mask_link(url))}  not asked for" for url in not_asked]
        return lines

    def _refused(self, spec: SourceSpec, find: Find | None, message: str) -> int:
        if self._request.as_json:
            self._print_json(spec, find, added=False, error=message)
        else:
            print(f"digestd: {message}", file=sys.stderr)
        return 1

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
            "others": [find_record(one, self._now) for one in self._discovery.others],
            "not_asked": [line(mask_link(url)) for url in self._discovery.not_asked],
            "tried": tried_records(self._discovery),
        }
        print(json.dumps(told, indent=2))


def _is_same(one: SourceSpec, other: SourceSpec) -> bool:
    return one.kind == other.kind and (
        one.url == other.url or normalised(one.url) == normalised(other.url) is not None
    )


def _shown(written: str) -> str:
    return line(mask_url(written) if "://" in written else written, 300)


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))
