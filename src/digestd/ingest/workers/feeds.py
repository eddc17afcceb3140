"""What runs inside a parser's process: of feeds, and of whatever else kinds have read there. Imports no more than it
needs: every new worker pays for it."""

from __future__ import annotations

import importlib
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from digestd.errors import DocumentError, ParserFailed
from digestd.feed.parse import parse_feed
from digestd.feed.refusal import characters_of
from digestd.ingest.workers.confinement import limited
from digestd.model import Document, Entry

# A feed of 2 MB takes 80 MB. Two of these, the daemon and what reads pages stay below 700 MB together.
MEMORY_BYTES = 200 * 1024 * 1024
RESIDENT_BYTES = MEMORY_BYTES // 3
# Real feeds take less than one.
CPU_SECONDS = 3.0

# How much of an exception goes into a message: it may quote the document.
_LONGEST_REASON = 200

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
    return _reading(cpu_seconds, lambda: parse_feed(body, url, content_type))


def read_document(
    reader: Callable[..., Document] | str, body: bytes, arguments: tuple[object, ...], cpu_seconds: float
) -> Reading:
    """What `reader`, a function or the `module:function` where one is, makes of `body` and `arguments`, under the
    limits of :func:`parse_document`. Whatever else than a :class:`digestd.errors.DocumentError` it raises is a
    :class:`digestd.errors.ParserFailed`, since the daemon may not have what its class comes from."""
    return _reading(cpu_seconds, lambda: _bordered(reader, body, arguments))


def _reading(cpu_seconds: float, read: Callable[[], Document]) -> Reading:
    began = time.process_time()
    outcome: Parsed | DocumentError
    try:
        outcome = limited(MEMORY_BYTES, cpu_seconds, lambda: _sliced(read()))
    except DocumentError as refusal:
        outcome = refusal
    return Reading(outcome, time.process_time() - began)


def _bordered(reader: Callable[..., Document] | str, body: bytes, arguments: tuple[object, ...]) -> Document:
    try:
        document = _function(reader)(body, *arguments)
    except (MemoryError, RecursionError, DocumentError):
        raise
    # The border to readers of all kinds, third parties' too: what trips them is a document that cannot be read.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}"
        raise ParserFailed(f"the document cannot be read: {reason}") from error
    if not isinstance(document, Document):
        raise ParserFailed(f"the document cannot be read: its reader gave a {type(document).__name__}")
    return document


def _function(reader: Callable[..., Document] | str) -> Callable[..., Document]:
    if not isinstance(reader, str):
        return reader
    module, _, name = reader.partition(":")
    function: Callable[..., Document] = getattr(importlib.import_module(module), name)
    return function


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
