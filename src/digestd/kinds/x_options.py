"""The options of the kind `x`, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from digestd.config.kind_options import BaseURL, KindOptions
from digestd.feed.budget import Expense
from digestd.feed.x_place import LONGEST_QUERY, Place, place_of, sent_query
from digestd.feed.x_prices import Prices, dollars, limits_of, micros_of

PAGE = 100
"""The most posts that X gives at once."""

_DEAREST = 1_000.0


class XOptions(KindOptions):
    """The options of a timeline or a search; prices and the budget of a day in dollars."""

    user: str | None = None
    query: str | None = None
    retweets: bool = False
    replies: bool = False
    quotes: bool = False
    authors: bool = False
    first: int = Field(default=PAGE, ge=10, le=3_200)
    daily_posts: int | None = Field(default=None, ge=1, le=100_000_000)
    daily_dollars: float | None = Field(default=None, gt=0, le=1_000_000, allow_inf_nan=False)
    post_dollars: float = Field(default=0.005, ge=0, le=_DEAREST, allow_inf_nan=False)
    user_dollars: float = Field(default=0.010, ge=0, le=_DEAREST, allow_inf_nan=False)
    base_url: BaseURL = "https://api.x.com"

    def place(self, url: str | None) -> str:
        """The address at the API that stands for the timeline or the search. Raises ValueError."""
        place = place_of(url, self.user, self.query, self.base_url)
        if place.user and self.authors:
            raise ValueError("the option authors goes with a query; who posts on a timeline is known")
        if place.query and self.replies:
            raise ValueError(
                "the option replies goes with a user; a query finds replies unless it says -is:reply"
            )
        if len(sent_query(place.query, retweets=self.retweets)) > LONGEST_QUERY:
            raise ValueError(f"query: X takes {LONGEST_QUERY} characters at most, -is:retweet among them")
        self._check_budget(place)
        return place.url

    def _check_budget(self, place: Place) -> None:
        prices, size = prices_of(self, place), smallest(place)
        least = prices.page(size)
        if not limits_of(self.daily_posts, None).allow(least):
            raise ValueError(
                f"daily_posts: the smallest page may bring {least.reads} posts; allow so many at least"
            )
        dearest = max(least.micros, prices.user if place.user else 0)
        if not limits_of(None, self.daily_dollars).allow(Expense(0, dearest)):
            raise ValueError(
                f"daily_dollars: one request may cost {dollars(dearest)}; allow so much at least"
            )


def has_token(options: Mapping[str, Any]) -> bool:
    """Whether the `options` of a source, as they are kept, name a token."""
    headers = options.get("headers")
    named = {str(name).lower() for name in headers} if isinstance(headers, Mapping) else set()
    return options.get("bearer_token") is not None or "authorization" in named


def smallest(place: Place) -> int:
    """The fewest posts that a page can be asked for."""
    return 5 if place.user else 10


def includes_posts(options: XOptions) -> bool:
    """Whether a page brings the posts along that its own refer to."""
    return options.quotes or options.retweets


def prices_of(options: XOptions, place: Place) -> Prices:
    """What is to be paid for what `place` gives."""
    # A post refers to one that it quotes or passes on, and to one that it replies to.
    referred = 0 if not includes_posts(options) else 1 if place.user and not options.replies else 2
    return Prices(
        post=micros_of(options.post_dollars),
        user=micros_of(options.user_dollars),
        posts_each=1 + referred,
        users_each=int(options.authors),
    )
