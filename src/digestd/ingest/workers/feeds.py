"""What runs inside a feed parser's process. Imports no more than it needs: every new worker pays for it."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from digestd.errors import DocumentError
from digestd.feed.parse import parse_feed
from digestd.feed.refusal import characters_of
from digestd.ingest.workers.confinement import limited
from digestd.model import Document, Entry

# A feed of 2 MB takes 80 MB. Two of these, the daemon and what reads pages stay below 700 MB together.
MEMORY_BYTES = 200 * 1024 * 1024
RESIDENT_BYTES = MEMORY_BYTES // 3
# Real feeds take less than one.
CPU_SECONDS = 3.0

# What the daemon's event loop can unpickle in about two milliseconds.
ENTRIES_PER_SLICE = 250
CHARACTERS_PER_SLICE = 2**20


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document on its way to the daemon: without its entries, which are in `slices`, each the pickle of a tuple of
    :class:`~digestd.model.Entry`. The daemon unpickles in its event loop, and so can stop between two slices."""

    document: Document
    slices: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one document, and the processor time that it took."""

    outcome: Parsed | DocumentError
    cpu_seconds: float


def parse_document(
    body: bytes, url: str, content_type: str | None, cpu_seconds: float = CPU_SECONDS
) -> Reading:
    """Read one feed under this process's limits, and within `cpu_seconds`, at which the process dies.

    What :func:`digestd.feed.parse.parse_feed` and :func:`digestd.ingest.workers.confinement.limited` raise is the
    reading's outcome.
    """
    began = time.process_time()
    outcome: Parsed | DocumentError
    try:
        outcome = limited(MEMORY_BYTES, cpu_seconds, lambda: _sliced(parse_feed(body, url, content_type)))
    except DocumentError as refusal:
        outcome = refusal
    return Reading(outcome, time.process_time() - began)


def _sliced(document: Document) -> Parsed:
    slices = tuple(pickle.dumps(entries) for entries in _slices(document.entries))
    return Parsed(replace(document, entries=()), slices)


def _slices(entries: tuple[Entry, ...]) -> Iterator[tuple[Entry, ...]]:
    begin = characters = 0
    for end, entry in enumerate(entries):
        characters += characters_of(entry)
        if end - begin == ENTRIES_PER_SLICE or (characters > CHARACTERS_PER_SLICE and end > begin):
            yield entries[begin:end]
            begin, characters = end, characters_of(entry)
    if begin < len(entries):
        yield entries[begin:]
