"""A source of the kind x, and the clock that it shares with X."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from digestd.feed.budget import Expense
from digestd.kinds.x import XKind
from digestd.model import Source, SourceSpec
from support.kind_runs import Run
from support.memory_budgets import MemoryBudgets
from support.x_site import API, BEGAN, Asking, XSite

USER = f"{API}/2/users/by/username/examplecert"
SEARCH = f"{API}/2/tweets/search/recent?query=CVE"
KEY = f"x {API} 0a1b"
DAY = "2026-11-23"
"""The day on which such clocks begin."""


class Reader(Run):
    """A source of the kind, by the clock of `site`; several share the count of what was spent."""

    def __init__(
        self,
        site: XSite,
        url: str = USER,
        *,
        http: Asking | None = None,
        budgets: MemoryBudgets | None = None,
        has_token: bool = True,
        **options: Any,
    ) -> None:
        self.site = site
        clock = site.now
        self.asking = http or Asking(site)
        self.budgets = budgets or MemoryBudgets(clock)
        token = {"bearer_token": {"env": "X_TOKEN"}} if has_token else {}
        spec = SourceSpec("one", "x", url, options={**options, **token})
        super().__init__(
            lambda tools: XKind(replace(tools, budgets=self.budgets, now=clock)),
            Source(1, spec),
            self.asking,
        )

    @property
    def queries(self) -> list[dict[str, str]]:
        """What was asked for since this was asked last, without what is always the same."""
        asked, self.site.asked = self.site.asked, []
        always = {"tweet.fields", "exclude", "query"}
        return [{name: value for name, value in query.items() if name not in always} for _, query in asked]

    @property
    def spent(self) -> Expense:
        return self.budgets.accounts[KEY].spent

    @property
    def cursor(self) -> dict[str, Any]:
        return dict(self.state.cursor or {})

    @property
    def guids(self) -> set[str]:
        return {entry.guid or "" for entry in self.entries.values()}


class Clock:
    """Where a site gets its time from."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


def site_at(clock: Clock, posts: int = 0, **more: Any) -> XSite:
    """A site with so many posts, a minute apart, the last one ten minutes old."""
    site = XSite(clock, **more)
    for number in range(posts, 0, -1):
        site.post(ago=540 + 60 * number)
    return site


def ids(site: XSite) -> set[str]:
    return {post["id"] for post in site.posts}
