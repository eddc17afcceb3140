"""The search of Hacker News as Algolia has it: filters, the newest first, and no more hits than an answer may have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio

from digestd.errors import HTTPStatus
from digestd.model import Response
from support.api_reader import clock
from support.asking import GetsOnly

API = "https://hn.algolia.com"
_FILTER = re.compile(r"(created_at_i|points)(>=|<=|>|<|=)(\d+)")
_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
    "=": lambda one, other: one == other,
}


def hit(number: int, created: int, **changes: object) -> dict[str, Any]:
    """A hit as the search has them."""
    return {
        "objectID": str(number),
        "title": f"CVE number {number}",
        "url": f"https://example.com/{number}",
        "author": "someone",
        "points": 10,
        "num_comments": 4,
        "created_at_i": created,
        "story_text": None,
        "_tags": ["story", "author_someone", f"story_{number}"],
    } | changes


@dataclass
class HackerNewsSite(GetsOnly):
    """Answers from `hits`, at most `most` of them at one time, and says that there are `skew` more than there are.
    `trouble` is called with the number of each request, and may raise."""

    hits: dict[int, dict[str, Any]] = field(default_factory=dict)
    most: int = 1_000
    skew: int = 0
    asked: list[str] = field(default_factory=list)
    trouble: Callable[[int], None] = lambda number: None
    mark: str = ""

    def publish(self, *, ago: float = 0, **changes: object) -> int:
        """Have a story posted so many seconds ago; returns its number."""
        number = 46_000_000 + len(self.hits)
        self.hits[number] = hit(number, int(clock().timestamp() - ago), **changes)
        return number

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        # As far apart as requests are.
        await trio.sleep(1)
        self.asked.append(url)
        self.trouble(len(self.asked))
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{API}/api/v1/search_by_date"
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        found = sorted(self._found(asked), key=lambda one: -one["created_at_i"])
        size, page = min(int(asked["hitsPerPage"]), self.most), int(asked["page"])
        answer = {
            "hits": found[: self.most][page * size : (page + 1) * size],
            "nbHits": len(found) + self.skew,
            "page": page,
            "hitsPerPage": size,
        }
        return Response(url, 200, {"content-type": "application/json"}, json.dumps(answer).encode())

    def _found(self, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        filters = []
        for written in asked["numericFilters"].split(","):
            match = _FILTER.fullmatch(written)
            if match is None:
                raise HTTPStatus(f"the server answered 400: invalid filter {written}", status=400)
            filters.append((match[1], _COMPARE[match[2]], int(match[3])))
        words = asked.get("query", "").lower().split()
        for one in self.hits.values():
            if all(compare(one[name] or 0, value) for name, compare, value in filters):
                tagged = set(asked["tags"].split(",")) <= set(one["_tags"])
                if tagged and all(word in str(one["title"]).lower() for word in words):
                    yield one
