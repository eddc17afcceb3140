"""What runs inside a parser's process. Imports no more than it needs: every new worker pays for it."""

from __future__ import annotations

import os
import resource
import signal

from digestd.errors import ParserFailed
from digestd.feed.parse import parse_feed
from digestd.model import Document

MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 30
DOCUMENTS_PER_WORKER = 500

_documents = 0


def confine() -> None:
    """Limit this process before its first document. SIGTERM to the whole group is for the daemon to act on; what a
    parser says on stderr is not ours to log; memory is bounded."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _lower(resource.RLIMIT_AS, MEMORY_BYTES)
    _lower(resource.RLIMIT_CORE, 0)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def is_spent() -> bool:
    """Whether this process has read enough documents to be replaced, so that what leaks stays small."""
    return _documents >= DOCUMENTS_PER_WORKER


def parse_document(body: bytes, url: str, content_type: str | None) -> Document:
    """Read one feed under this process's limits: see :func:`digestd.feed.parse.parse_feed`, with running out of memory
    or stack as :class:`digestd.errors.ParserFailed`.

    The limit on CPU time is set anew for each document, so that a worker whose daemon was killed ends by itself.
    """
    global _documents
    _documents += 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + CPU_SECONDS)
    try:
        return parse_feed(body, url, content_type)
    except MemoryError:
        reason = f"reading it needs more than {MEMORY_BYTES // 2**20} MiB of memory"
    except RecursionError:
        reason = "it is nested too deeply to be read"
    raise ParserFailed(reason)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (bounded, hard))
