"""`digestd sources add|enable|disable|remove|poll`: changes that every process on the database follows."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import trio

from digestd import kinds
from digestd.cli.tables import looking_into, prepared
from digestd.config import Configuration, checked_source
from digestd.errors import ConfigurationError
from digestd.store import Store

_SOON = "a running daemon follows within seconds"

Result = TypeVar("Result")


def add(file: Path | None, level: str | None, entry: Mapping[str, Any]) -> int:
    """Add the source that `entry` describes, as a file would; returns the exit status."""
    config = prepared(file, level)
    given = {name: value for name, value in entry.items() if value is not None}
    spec = checked_source(given, kinds.registered(), kinds.schema_of)
    if any(spec.name == known.name for known in config.sources):
        raise ConfigurationError([f"{spec.name!r} stands in {config.file}: change it there"])
    if not _ask(config, lambda store: store.add_source(spec), create_file=True):
        return _refused(f"there is a source {spec.name!r} already; `digestd sources` lists it")
    print(f"added {spec.name!r}; {_SOON}")
    return os.EX_OK


def set_enabled(file: Path | None, level: str | None, name: str, *, enabled: bool) -> int:
    """Let the source `name` be polled or not; returns the exit status."""
    origin = _ask(prepared(file, level), lambda store: store.set_enabled(name, enabled))
    if origin is None:
        return _unknown(name)
    override = ", whatever its file says" if origin == "file" else ""
    print(f"{'enabled' if enabled else 'disabled'} {name!r}{override}; {_SOON}")
    return os.EX_OK


def remove(file: Path | None, level: str | None, name: str) -> int:
    """Remove the source `name` unless it stands in a file; returns the exit status."""
    config = prepared(file, level)
    origin = _ask(config, lambda store: store.remove_source(name))
    if origin is None:
        return _unknown(name)
    if origin == "file":
        return _refused(f"{name!r} comes from a file: take it out there, or `digestd sources disable` it")
    print(f"removed {name!r}, its articles stay; {_SOON}")
    return os.EX_OK


def poll(file: Path | None, level: str | None, name: str) -> int:
    """Let the source `name` be due now; returns the exit status."""
    if not _ask(prepared(file, level), lambda store: store.poll_now(name)):
        return _unknown(name)
    print(f"{name!r} is due now; {_SOON}, as does --once")
    return os.EX_OK


def _ask(
    config: Configuration, work: Callable[[Store], Awaitable[Result]], *, create_file: bool = False
) -> Result:
    async def asked() -> Result:
        async with looking_into(config, create_file=create_file) as store:
            return await work(store)

    return trio.run(asked)


def _unknown(name: str) -> int:
    return _refused(f"no source is called {name!r}; `digestd sources` lists them")


def _refused(message: str) -> int:
    print(f"digestd: {message}", file=sys.stderr)
    return 1
