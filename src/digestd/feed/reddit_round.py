"""Which subreddits are asked for together, and which are left out. Pure.

A poll is a round: mostly one group, all subreddits in one request. One that cannot be read makes the request fail for
all of them; then the group is halved, and each half is asked for by itself, until those that fail stand alone. They are
left out, and tried again, apart from the others, after a day. How far a round has come stands in the cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from digestd.feed.reddit_errors import is_reason, named
from digestd.feed.reddit_reading import is_fullname

AGAIN_AFTER_SECONDS = 86_400
"""When a subreddit that was left out is tried again."""
MOST_PAGES = 10
"""A listing goes back 1,000 posts, and no further."""

OURS = ("groups", "after", "pages", "out", "seen")
"""What stands in the cursor: the groups that are still to be asked for, the first of them going on `after` a post that
is so many `pages` down; which subreddits are left `out`, each with the reason and when it is tried again; whether a
round was ever completed."""

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """How far a round has come, see :data:`OURS`; it is over when there are no `groups` left."""

    groups: tuple[Group, ...]
    after: str = ""
    pages: int = 0
    out: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    seen: bool = False

    def read(self) -> Round:
        """The first group was read as far as is needed: what was left out of it is there again."""
        out = {name: said for name, said in self.out.items() if name not in self.groups[0]}
        return replace(self._next(), out=out)

    def older(self, after: str) -> Round:
        """The first group goes on behind the post `after`."""
        return replace(self, after=after, pages=self.pages + 1)

    def refused(self, reason: str, now: int) -> Round:
        """The first group was refused for `reason`, `now` in seconds since 1970."""
        group, *rest = self.groups
        if len(group) == 1:
            return replace(self._next(), out={**self.out, group[0]: (reason, now + AGAIN_AFTER_SECONDS)})
        half = len(group) // 2
        return replace(self, groups=(group[:half], group[half:], *rest), after="", pages=0)

    def words(self) -> str | None:
        """Who is left out, and why; None where nobody is."""
        reasons = {name: reason for name, (reason, _) in self.out.items()}
        return (
            f"left out: {named(reasons)}; remove what is gone for good from the source" if reasons else None
        )

    def cursor(self) -> dict[str, object]:
        """What :func:`round_in` makes this of."""
        kept = {
            "groups": [list(group) for group in self.groups],
            "after": self.after,
            "pages": self.pages,
            "out": {name: list(said) for name, said in sorted(self.out.items())},
            "seen": self.seen,
        }
        return {name: value for name, value in kept.items() if value}

    def _next(self) -> Round:
        return replace(self, groups=self.groups[1:], after="", pages=0)


def round_in(cursor: Mapping[str, Any], names: Group, now: int) -> Round:
    """The round of the subreddits `names` that `cursor` is in the middle of, else a new one. Of a damaged row what is
    sound. Never raises."""
    out = {name: said for name, said in _left_out(cursor.get("out")) if name in names}
    seen = cursor.get("seen") is True
    if groups := _groups(cursor.get("groups"), names):
        after, pages = cursor.get("after"), cursor.get("pages")
        if isinstance(after, str) and is_fullname(after) and isinstance(pages, int) and pages > 0:
            return Round(groups, after, pages, out, seen)
        return Round(groups, out=out, seen=seen)
    good = tuple(name for name in names if name not in out)
    # A clock that was set back must not leave anybody out for longer.
    again = tuple(name for name, (_, at) in sorted(out.items()) if not now < at <= now + AGAIN_AFTER_SECONDS)
    new = tuple(group for group in (good, again) if group)
    return Round(new, out=out, seen=seen) if new else Round((names,), seen=seen)


def _groups(kept: object, names: Group) -> tuple[Group, ...]:
    if not isinstance(kept, list) or not all(isinstance(group, list) and group for group in kept):
        return ()
    found = [name for group in kept for name in group]
    is_sound = all(name in names for name in found) and len(set(found)) == len(found)
    return tuple(tuple(group) for group in kept) if is_sound else ()


def _left_out(kept: object) -> Iterator[tuple[str, tuple[str, int]]]:
    for name, said in kept.items() if isinstance(kept, dict) else ():
        match said:
            case [str(reason), int(at)] if is_reason(reason):
                yield name, (reason, at)
