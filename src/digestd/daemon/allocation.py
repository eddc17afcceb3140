"""How the daemon's memory is allocated: what a large body took is given back."""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h; mallopt(3).
_M_MMAP_THRESHOLD = -3
_THRESHOLD_BYTES = 512 * 1024


def give_back_large_blocks() -> None:
    """Have every block of half a megabyte and more mapped by itself, and unmapped when it is free.

    glibc raises that threshold to the largest block it has ever freed (mallopt(3), "Dynamic mmap threshold"): after a
    few bodies of 16 MiB the next ones would lie on the heap, between what stays. Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
