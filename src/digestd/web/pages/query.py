"""What is asked for in the address of the first page, and addresses that ask for something else. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args
from urllib.parse import urlencode

from digestd.feed.text import collapse, strip_controls
from digestd.model import State
from digestd.store.overview import SortKey, SourceQuery, Standing

STANDINGS: tuple[Standing, ...] = ("active", "degraded", "gone", "duplicate", "disabled")
SORTS: tuple[SortKey, ...] = get_args(SortKey)
LONGEST_SEARCH = 100
_LONGEST_WORD = 200
_PAGE = re.compile(r"[1-9][0-9]{0,5}")

assert {*get_args(State), "disabled"} == {*STANDINGS, "removed"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which sources, and which page of them, counted from 1."""

    query: SourceQuery = field(default_factory=SourceQuery)
    page: int = 1

    @property
    def filtered(self) -> bool:
        """Whether some sources are left out."""
        query = self.query
        return bool(query.search or query.standing or query.category or query.kind or query.failing)

    def sorted_by(self, sort: SortKey) -> str:
        """The address of the same list by `sort`; in the other direction if it is sorted so already."""
        turned = self.query.sort == sort and not self.query.descending
        return address(Asked(replace(self.query, sort=sort, descending=turned)))

    def at(self, page: int) -> str:
        """The address of another page of the same list."""
        return address(replace(self, page=page))


def asked(parameters: Mapping[str, str]) -> Asked:
    """What `parameters` ask for; one that cannot be meant (a typing error, a link of an older version) asks for
    nothing."""
    query = SourceQuery(
        search=_line(parameters.get("q", ""), LONGEST_SEARCH),
        standing=_one_of(STANDINGS, parameters.get("state")),
        category=_word(parameters.get("category")),
        kind=_word(parameters.get("kind")),
        failing=parameters.get("failing") == "1",
        sort=_one_of(SORTS, parameters.get("sort")) or "trouble",
        descending=parameters.get("order") == "down",
    )
    page = parameters.get("page", "")
    return Asked(query, int(page) if _PAGE.fullmatch(page) else 1)


def address(asked: Asked) -> str:
    """The address that asks for `asked`, as :func:`asked` reads it."""
    query = asked.query
    values = {
        "q": query.search,
        "state": query.standing,
        "category": query.category,
        "kind": query.kind,
        "failing": "1" if query.failing else None,
        "sort": None if query.sort == "trouble" else query.sort,
        "order": "down" if query.descending else None,
        "page": str(asked.page) if asked.page > 1 else None,
    }
    said = {name: value for name, value in values.items() if value}
    return f"/?{urlencode(said, errors='replace')}" if said else "/"


def _one_of(words: tuple[Any, ...], word: str | None) -> Any:
    return word if word in words else None


def _line(text: str, longest: int) -> str:
    return collapse(strip_controls(text))[:longest].rstrip()


def _word(text: str | None) -> str | None:
    """A name as it is kept: what is longer is no name that was offered."""
    return text if text and len(text) <= _LONGEST_WORD else None
