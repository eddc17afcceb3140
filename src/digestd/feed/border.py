"""The border round single entries: one that cannot be read does not fail its document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from digestd.feed.identity import identity_of
from digestd.feed.text import line_of
from digestd.model import Entry, LeftOut

_LONGEST_SHOWN = 200
_LONGEST_WRITTEN = 100_000

T = TypeVar("T")


def read_each(
    written: Iterable[T], read: Callable[[T], Entry], name: Callable[[T], tuple[str, str]]
) -> tuple[tuple[Entry, ...], tuple[LeftOut, ...]]:
    """Make an entry of each of `written` with `read`; those it raises on are left out, and told.

    `name` gives the guid and the title of one, "" where it has none; it must not raise. `MemoryError` escapes: it says
    nothing about one entry.
    """
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    for position, one in enumerate(written):
        try:
            entries.append(read(one))
        except MemoryError:
            raise
        # The border: what is odd enough to trip us is the publisher's matter, and costs the others nothing.
        except Exception as error:  # noqa: BLE001 - see above
            left_out.append(_left_out(position, one, *name(one), error))
    return tuple(entries), tuple(left_out)


def _left_out(position: int, one: object, guid: str, title: str, error: Exception) -> LeftOut:
    # What an entry with this guid is stored under, so that it can be told when it has become an article after all.
    # Without guid and title only the place is left to tell it by.
    key = identity_of(guid, None, title or f"place {position}", None, None)
    reason = f"it cannot be read: {type(error).__name__}: {error}"
    shown = [line_of(text, _LONGEST_SHOWN) for text in (guid, title, reason)]
    return LeftOut(key, shown[0] or None, shown[1], shown[2], _written(one))


def _written(one: object) -> str:
    try:
        return json.dumps(one, default=str)[:_LONGEST_WRITTEN]
    except (ValueError, TypeError, RecursionError):
        return json.dumps("nested too deeply to be kept")
