"""What stands in a list of sources that somebody made: the sources it names, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGEST_BYTES = 32 * 1024 * 1024
"""What is longer is no list of sources: 100,000 outlines take 20 MB."""


@dataclass(frozen=True, slots=True)
class Item:
    """A source as the list has it, on this line (from 1 on): the keys of an item of a settings file, unchecked."""

    line: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a thing on this line of a list, by its name (empty where it has none)."""

    line: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadList:
    """The sources of a list in its order, and what is told of things in it that are none."""

    items: tuple[Item, ...]
    others: tuple[Told, ...] = ()
