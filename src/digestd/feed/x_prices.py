"""What X asks for what it gives: so much for each post and each user, of which a page may bring more than were asked
for (https://docs.x.com/x-api/getting-started/pricing). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from digestd.feed.budget import MICROS, Exhausted, Expense, Limits


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a post and of a user, in millionths of a dollar, and how many posts and users each post of a page
    brings at most."""

    post: int
    user: int
    posts_each: int = 1
    users_each: int = 0

    def page(self, size: int) -> Expense:
        """The most that a page of `size` posts can cost."""
        return self.came(size * self.posts_each, size * self.users_each)

    def came(self, posts: int, users: int) -> Expense:
        """What so many posts and users cost. X charges what it gives twice on one day once; here it counts twice."""
        return Expense(posts, posts * self.post + users * self.user)

    def affordable(self, left: Limits) -> int | None:
        """How many posts a page may have at most with what is `left`; None for any number."""
        sizes: list[int] = []
        if left.reads is not None:
            sizes.append(left.reads // self.posts_each)
        one = self.page(1).micros
        if left.micros is not None and one:
            sizes.append(left.micros // one)
        return min(sizes, default=None)


def limits_of(posts: int | None, dollars: float | None) -> Limits:
    """The limits that the operator names."""
    return Limits(posts, None if dollars is None else micros_of(dollars))


def micros_of(dollars: float) -> int:
    """`dollars` in millionths."""
    return round(dollars * MICROS)


def dollars(micros: int) -> str:
    """An amount for people."""
    return f"${micros / MICROS:,.2f}"


def exhausted_words(answer: Exhausted, limits: Limits) -> str:
    """What to tell the operator of `answer`, which let nobody ask."""
    if answer.because is not None:
        return f"nothing is asked with this token until midnight UTC: {answer.because}"
    named = []
    if limits.reads is not None:
        named.append(f"{limits.reads:,} posts")
    if limits.micros is not None:
        named.append(dollars(limits.micros))
    spent = f"{answer.spent.reads:,} posts and {dollars(answer.spent.micros)}"
    return (
        f"the daily budget ({' and '.join(named)}) does not suffice for another request: {spent} since midnight UTC, "
        "by all sources with this token; it goes on at the next midnight UTC"
    )
