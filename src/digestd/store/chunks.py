"""Lists of parameters, in parts that one statement can take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

# Below the 32,766 parameters that SQLite takes in one statement and the 65,535 of PostgreSQL.
_CHUNK = 5_000

_Thing = TypeVar("_Thing")


def chunks(things: Sequence[_Thing]) -> Iterator[Sequence[_Thing]]:
    """Give `things` in order, in parts of at most 5,000."""
    for start in range(0, len(things), _CHUNK):
        yield things[start : start + _CHUNK]
