"""Packages that only a poll imports, in the processes that read or where something is due. That one is missing shall
stop the start, and not every poll."""

from __future__ import annotations

from importlib.util import find_spec

LATE = (
    *("feedparser", "h11", "httpcore2", "httpx2", "lxml", "protego", "tldextract", "trafilatura"),
    "trio_parallel",
)


def require() -> None:
    """Raise ModuleNotFoundError, which names the package, where one of :data:`LATE` is not installed. None is imported
    for that."""
    for name in LATE:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
