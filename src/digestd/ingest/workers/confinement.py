"""What confines a worker's process: limits of memory and time, no signals to the group, an end after enough work."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
from collections.abc import Callable
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TypeVar

from digestd.errors import DocumentError, ParserDied, ParserFailed

T = TypeVar("T")

DOCUMENTS_PER_WORKER = 500

# What /proc/self/status takes is less than half of it.
_LONGEST_WORD = 4096

_documents = 0
_exhausted = False


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

    def run(self) -> None:
        """Work, and end at once: to take down the interpreter and all that it holds takes longer than ten feeds."""
        super().run()
        os._exit(0)


def confine(memory_bytes: int, niceness: int) -> None:
    """Limit this process before its first document: its resident memory to `memory_bytes`, no core file, less of the
    processor than others by `niceness` where it is scarce, first to go where memory is; what a parser says on stderr is
    not ours to log."""
    os.nice(niceness)
    mapped, resident = _pages_of_memory()
    # What is mapped and not resident (a locale archive can be 200 MB) takes nothing from the documents.
    _lower(resource.RLIMIT_AS, memory_bytes + mapped - resident)
    _lower(resource.RLIMIT_CORE, 0)
    # Where memory runs out, the kernel is to end what reads a document and not what keeps them all (proc(5)).
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def limited(memory_bytes: int, cpu_seconds: float, read: Callable[[], T]) -> T:
    """What `read` makes of one document within `cpu_seconds` of processor time, after which the process ends, and
    within the `memory_bytes` of :func:`confine`.

    The limit on time is set anew for each document, so that a worker whose daemon was killed ends by itself. Raises
    :class:`digestd.errors.ParserDied` where memory ran out and :class:`digestd.errors.ParserFailed` where the stack
    did; a :class:`digestd.errors.DocumentError` of `read` passes through, without the exceptions that led to it.
    """
    global _documents
    _documents += 1
    # RLIMIT_CPU counts in whole seconds. Nobody handles the signal: it ends the process in the middle of C code, too.
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    failure: DocumentError
    try:
        return read()
    except MemoryError:
        failure = _out_of_memory(memory_bytes)
    except RecursionError:
        failure = ParserFailed("it is nested too deeply to be read")
    except DocumentError as refusal:
        failure = _out_of_memory(memory_bytes) if _is_at_limit() else refusal
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    # What led to it travels along, and may be of a library that the daemon does not load.
    failure.__cause__ = failure.__context__ = None
    raise failure.with_traceback(None)


def _out_of_memory(memory_bytes: int) -> ParserDied:
    global _exhausted
    _exhausted = True
    return ParserDied(f"reading it needs more than {memory_bytes // 2**20} MiB of memory")


def is_spent(resident_bytes: int) -> bool:
    """Whether this process has read enough, or holds more than `resident_bytes`, or ran out of memory once, and is to
    be replaced: what leaks stays small, and no document pays for the memory of an earlier one."""
    return (
        _exhausted or _documents >= DOCUMENTS_PER_WORKER or _holds_more_than(resident_bytes) or _is_at_limit()
    )


def _holds_more_than(resident_bytes: int) -> bool:
    """Whether this process holds more memory, after it gave back what is free: glibc keeps that otherwise (mallopt(3),
    "M_TRIM_THRESHOLD"), and a new process costs as much as fifty feeds."""
    if _pages_of_memory()[1] <= resident_bytes:
        return False
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return _pages_of_memory()[1] > resident_bytes


def _is_at_limit() -> bool:
    """Whether this process has ever been close to its limit of memory: libraries hide a failed allocation, and call
    what they could not read empty."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return False
    peak = int(_said_by_kernel("status").partition(b"VmPeak:")[2].split(maxsplit=1)[0]) * 1024
    return peak > limit - limit // 8


def _pages_of_memory() -> tuple[int, int]:
    """What this process has mapped, and what of it is resident, in bytes."""
    # Not getrusage: a new process begins with its parent's peak there.
    mapped, resident = _said_by_kernel("statm").split()[:2]
    return int(mapped) * resource.getpagesize(), int(resident) * resource.getpagesize()


def _said_by_kernel(name: str) -> bytes:
    """What /proc/self/`name` says (proc(5)). Kept open: to open it costs ten times as much as to read it."""
    return os.pread(_open_at_kernel(name), _LONGEST_WORD, 0)


@cache
def _open_at_kernel(name: str) -> int:
    return os.open(f"/proc/self/{name}", os.O_RDONLY)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (bounded, hard))
