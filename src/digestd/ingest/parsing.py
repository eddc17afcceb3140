"""What runs inside a parser's process. Imports no more than it needs: every new worker pays for it."""

from __future__ import annotations

import os
import pickle
import resource
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path

from digestd.errors import ParserFailed
from digestd.feed.parse import parse_feed
from digestd.feed.refusal import characters_of
from digestd.model import Document, Entry

MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 30
DOCUMENTS_PER_WORKER = 500

# What the daemon's event loop can unpickle in about two milliseconds.
ENTRIES_PER_SLICE = 250
CHARACTERS_PER_SLICE = 2**20

_documents = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document on its way to the daemon: without its entries, which are in `slices`, each the pickle of a tuple of
    :class:`~digestd.model.Entry`. The daemon unpickles in its event loop, and so can stop between two slices."""

    document: Document
    slices: tuple[bytes, ...]


class ParserProcess(SpawnProcess):
    """A process that SIGINT and SIGTERM do not reach from its first instruction on: a signal to the whole group
    (Ctrl-C) is for the daemon to act on, and must not look like a document that killed its parser."""

    def start(self) -> None:
        """Start it with the signals blocked, which it inherits; its own handlers would come too late."""
        # It is started on the way, and unblocks these signals when it has started.
        resource_tracker.ensure_running()
        earlier = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def confine() -> None:
    """Limit this process before its first document: what a parser says on stderr is not ours to log, and memory is
    bounded."""
    _lower(resource.RLIMIT_AS, MEMORY_BYTES)
    _lower(resource.RLIMIT_CORE, 0)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def is_spent() -> bool:
    """Whether this process has read enough, or something so large, that it is to be replaced: what leaks stays small,
    and no document pays for the memory of an earlier one."""
    # Not getrusage: a new process begins with its parent's peak there.
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return _documents >= DOCUMENTS_PER_WORKER or resident > MEMORY_BYTES // 3


def parse_document(body: bytes, url: str, content_type: str | None) -> Parsed:
    """Read one feed under this process's limits: see :func:`digestd.feed.parse.parse_feed`, with running out of memory
    or stack as :class:`digestd.errors.ParserFailed`.

    The limit on CPU time is set anew for each document, so that a worker whose daemon was killed ends by itself.
    """
    global _documents
    _documents += 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + CPU_SECONDS)
    try:
        document = parse_feed(body, url, content_type)
        slices = tuple(pickle.dumps(entries) for entries in _slices(document.entries))
        return Parsed(replace(document, entries=()), slices)
    except MemoryError:
        reason = f"reading it needs more than {MEMORY_BYTES // 2**20} MiB of memory"
    except RecursionError:
        reason = "it is nested too deeply to be read"
    raise ParserFailed(reason)


def _slices(entries: tuple[Entry, ...]) -> Iterator[tuple[Entry, ...]]:
    begin = characters = 0
    for end, entry in enumerate(entries):
        characters += characters_of(entry)
        if end - begin == ENTRIES_PER_SLICE or (characters > CHARACTERS_PER_SLICE and end > begin):
            yield entries[begin:end]
            begin, characters = end, characters_of(entry)
    if begin < len(entries):
        yield entries[begin:]


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (bounded, hard))
