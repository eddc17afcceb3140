"""What the fast path leaves to feedparser, and how much of a document it takes on."""

from __future__ import annotations

# Real feeds stay below half of these.
MOST_DEPTH = 100
"""How deeply elements may be nested."""
MOST_NAMES = 1_000
"""How many different names of elements there may be, and of the prefixes that are bound."""
MOST_PREFIXES = 60
MOST_ATTRIBUTES = 100
"""How many attributes one element may have."""


class Doubt(Exception):
    """The document is one of those that the fast path does not read; `args[0]` says why, in a few words."""
