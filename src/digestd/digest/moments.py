"""How a moment is told to people."""

from __future__ import annotations

from datetime import datetime


def distance(moment: datetime, now: datetime) -> str:
    """How far `moment` lies from `now`, in words: `in 5 min`, `3 h ago`."""
    seconds = (moment - now).total_seconds()
    amount = abs(seconds)
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    unit, size = next(((unit, size) for unit, size in units if amount >= size), ("s", 1))
    return f"in {amount / size:.0f} {unit}" if seconds > 0 else f"{amount / size:.0f} {unit} ago"
