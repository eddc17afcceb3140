"""`digestd sources enable|disable|remove|poll`: changes that every process on the database follows."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import trio

from digestd.cli.tables import looking_into, prepared
from digestd.config import Configuration
from digestd.store import Store

SOON = "a running daemon follows within seconds"
"""What comes of each change."""

Result = TypeVar("Result")


def set_enabled(file: Path | None, level: str | None, name: str, *, enabled: bool) -> int:
    """Let the source `name` be polled or not; returns the exit status."""
    origin = _ask(prepared(file, level), lambda store: store.set_enabled(name, enabled))
    if origin is None:
        return _unknown(name)
    override = ", whatever its file says" if origin == "file" else ""
    print(f"{'enabled' if enabled else 'disabled'} {name!r}{override}; {SOON}")
    return os.EX_OK


def remove(file: Path | None, level: str | None, name: str) -> int:
    """Remove the source `name` unless it stands in a file; returns the exit status."""
    config = prepared(file, level)
    origin = _ask(config, lambda store: store.remove_source(name))
    if origin is None:
        return _unknown(name)
    if origin == "file":
        return _refused(f"{name!r} comes from a file: take it out there, or `digestd sources disable` it")
    print(f"removed {name!r}, its articles stay; {SOON}")
    return os.EX_OK


def poll(file: Path | None, level: str | None, name: str) -> int:
    """Let the source `name` be due now; returns the exit status."""
    if not _ask(prepared(file, level), lambda store: store.poll_now(name)):
        return _unknown(name)
    print(f"{name!r} is due now; {SOON}, as does --once")
    return os.EX_OK


def _ask(config: Configuration, work: Callable[[Store], Awaitable[Result]]) -> Result:
    async def asked() -> Result:
        async with looking_into(config) as store:
            return await work(store)

    return trio.run(asked)


def _unknown(name: str) -> int:
    return _refused(f"no source is called {name!r}; `digestd sources` lists them")


def _refused(message: str) -> int:
    print(f"digestd: {message}", file=sys.stderr)
    return 1
