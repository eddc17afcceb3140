"""`digestd sources import`: a list of sources becomes sources of the database, or a file of sources."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from digestd import kinds
from digestd.cli.loading import end_with_reader
from digestd.cli.long_work import bar, ending_on_signals
from digestd.cli.new_file import refused, write_new
from digestd.cli.tables import looking_into, prepared
from digestd.config import Configuration, database_url
from digestd.errors import ListError
from digestd.feed.encoding import decode
from digestd.feed.lists.exporting import exported
from digestd.feed.lists.importing import ImportPlan, Known, plan_import
from digestd.feed.lists.item import LARGEST_BYTES, Item, ReadList, Told
from digestd.feed.lists.opml import read_opml
from digestd.feed.text import strip_controls
from digestd.masking import mask_url
from digestd.model import SourceStatus
from digestd.store.checking import is_made
from digestd.yamlfile import read_items, write_items

HEAD = "# Sources of digestd: name this file in sources_files, or put what it holds into one that is named there.\n"
_HEAD_BYTES = 400
_MOST_TOLD = 50


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: a file, or `-` for standard input; the file `to` which sources are written instead of into the
    database; whether only to say what would be done; whether what is new is disabled."""

    file: str
    to: Path | None = None
    dry_run: bool = False
    disabled: bool = False
    as_json: bool = False


def import_list(file: Path | None, level: str | None, request: Request) -> int:
    """Add what the list holds and is not known; returns the exit status. Raises ListError and StoreError, and nothing
    was added then."""
    config = prepared(file, level)
    if request.to is not None and os.path.lexists(request.to):
        raise refused(request.to)
    with bar() as told, ending_on_signals():
        told("reading", 0, 0)
        read = _read(request.file)
        plan = trio.run(_imported, config, request, read, lambda what: told(what, 0, 0))
        if request.to is not None:
            _to_file(plan, request.to, dry_run=request.dry_run)
    end_with_reader()
    print(strip_controls("\n".join(_json(plan, request) if request.as_json else _lines(plan, request))))
    nothing_came = plan.refused and not plan.added and not plan.present
    return 1 if nothing_came else os.EX_OK


def _read(file: str) -> ReadList:
    body = _content(file)
    try:
        if decode(body[:_HEAD_BYTES], None).lstrip("\ufeff \t\r\n\0").startswith("<"):
            return read_opml(body)
        return _read_yaml(body)
    except ListError as error:
        raise ListError(f"{_shown(file)}: {error}") from error


def _content(file: str) -> bytes:
    """What stands in `file`, a little more than is read at most."""
    try:
        if file == "-":
            return sys.stdin.buffer.read(LARGEST_BYTES + 1)
        with Path(file).open("rb") as opened:
            return opened.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise ListError(f"there is no file {file}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file can have this name"
        raise ListError(f"{_shown(file)} cannot be read: {reason}") from error


def _read_yaml(body: bytes) -> ReadList:
    if len(body) > LARGEST_BYTES:
        raise ListError(f"it has more than {LARGEST_BYTES // 2**20} MiB, which no list of sources has")
    try:
        items = read_items(body.decode("utf-8-sig"), "sources")
    except UnicodeDecodeError:
        raise ListError("it is neither XML nor UTF-8 text") from None
    except ValueError as error:
        raise ListError(f"no OPML, and {error}") from None
    return ReadList(tuple(Item(line, data) for line, data in items))


async def _imported(
    config: Configuration, request: Request, read: ReadList, told: Callable[[str], None]
) -> ImportPlan:
    """Plan what becomes of `read`, and do it unless it is a dry run."""
    writes_database = not request.dry_run and request.to is None
    if not writes_database and not is_made(database_url(config.settings.database, os.environ)):
        return _planned(config, request, read, [])
    async with looking_into(config, create_file=writes_database) as store:
        told("checking")
        plan = _planned(config, request, read, await store.sources())
        if writes_database and plan.added:
            told("writing")
            answers = await store.add_sources([one.spec for one in plan.added])
            _take_out(plan, answers)
    return plan


def _planned(
    config: Configuration, request: Request, read: ReadList, statuses: Sequence[SourceStatus]
) -> ImportPlan:
    known = Known()
    for status in statuses:
        known.add(status.source.spec, status.source.effective_url)
    for spec in config.sources:
        known.add(spec)
    # Relative paths are seen from where the list is.
    place = "list" if request.file == "-" else request.file
    return plan_import(read, known, kinds.registered(), kinds.schema_of, place, enabled=not request.disabled)


def _to_file(plan: ImportPlan, file: Path, *, dry_run: bool) -> None:
    """Write what `plan` adds into the new `file`; what may not stand in one is refused."""
    found = exported([one.spec for one in plan.added], kinds.registered(), kinds.schema_of)
    reasons = dict(found.left_out)
    plan.refused += [
        Told(one.line, one.spec.name, f"{reasons[one.spec.name]}, which is not written into files")
        for one in plan.added
        if one.spec.name in reasons
    ]
    plan.added = [one for one in plan.added if one.spec.name not in reasons]
    if found.entries and not dry_run:
        write_new(file, HEAD + write_items(found.entries, "sources"))


def _take_out(plan: ImportPlan, answers: Sequence[bool]) -> None:
    """What somebody else has added meanwhile was not added by `plan`."""
    pairs = list(zip(plan.added, answers, strict=True))
    reason = "was added by somebody else just now"
    plan.present += [Told(one.line, one.spec.name, reason) for one, added in pairs if not added]
    plan.added = [one for one, added in pairs if added]


def _lines(plan: ImportPlan, request: Request) -> list[str]:
    lines: list[str] = []
    if request.dry_run:
        shown = [Told(one.line, one.spec.name, mask_url(one.spec.url)) for one in plan.added]
        lines += _part("new", shown)
    lines += _part("refused", plan.refused)
    lines += _part("passed over", plan.passed)
    lines += _part("known", plan.present)
    return [*lines, _summary(plan, request)]


def _summary(plan: ImportPlan, request: Request) -> str:
    others = f"{len(plan.present):,} there already, {len(plan.refused):,} refused"
    passed = f", {len(plan.passed):,} passed over" if plan.passed else ""
    into_database = request.to is None and not request.dry_run and plan.added
    soon = "; a running daemon follows within seconds" if into_database else ""
    return f"{_done(plan, request)}, {others}{passed}{soon}"


def _done(plan: ImportPlan, request: Request) -> str:
    verb, past = ("add", "added") if request.to is None else ("write", "wrote")
    number = len(plan.added)
    sources = f"{number:,} {'disabled ' if request.disabled else ''}source{'' if number == 1 else 's'}"
    target = f" to {request.to}" if request.to is not None and number else ""
    return f"{f'would {verb}' if request.dry_run else past} {sources}{target}"


def _part(heading: str, told: Sequence[Told]) -> list[str]:
    lines = [
        f"{heading}: line {one.line}{f' {one.name!r}' if one.name else ''}: {one.reason}"
        for one in told[:_MOST_TOLD]
    ]
    more = len(told) - _MOST_TOLD
    return [*lines, f"{heading}: and {more:,} more; --json tells all"] if more > 0 else lines


def _json(plan: ImportPlan, request: Request) -> list[str]:
    added: list[dict[str, Any]] = [
        {
            "line": one.line,
            "name": one.spec.name,
            "kind": one.spec.kind,
            "url": mask_url(one.spec.url),
            "category": one.spec.category,
        }
        for one in plan.added
    ]
    rest = {"there_already": plan.present, "refused": plan.refused, "passed_over": plan.passed}
    told = {
        key: [{"line": one.line, "name": one.name, "reason": one.reason} for one in some]
        for key, some in rest.items()
    }
    return [json.dumps({"dry_run": request.dry_run, "added": added, **told}, indent=2)]


def _shown(file: str) -> str:
    return "standard input" if file == "-" else file
