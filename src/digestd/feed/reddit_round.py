"""Which subreddits are asked for together, and which are left out. Pure.

A poll is a round: mostly one group, all subreddits in one request. One that cannot be read makes the request fail for
all of them; then the group is halved, and each half is asked for by itself, until those that fail stand alone. They are
left out, and tried again, apart from the others, after a day. How far a round has come stands in the cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from digestd.feed.reddit_errors import is_reason, named
from digestd.feed.reddit_reading import is_fullname

AGAIN_AFTER_SECONDS = 86_400
"""When a subreddit that was left out is tried again."""
MOST_PAGES = 10
"""A listing goes back 1,000 posts, and no further."""

OURS = ("groups", "out", "seen")
"""What stands in the cursor: the groups that are still to be asked for; which subreddits are left `out`, each with the
reason and when it is tried again; whether a round was ever completed."""


class Group(NamedTuple):
    """Subreddits by their `names`, which are read `after` a post so many `pages` down, or from the newest one on."""

    names: tuple[str, ...]
    after: str = ""
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """How far a round has come, see :data:`OURS`; it is over when there are no `groups` left."""

    groups: tuple[Group, ...]
    out: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    seen: bool = False

    def read(self) -> Round:
        """The first group was read as far as is needed: what was left out of it is there again."""
        out = {name: said for name, said in self.out.items() if name not in self.groups[0].names}
        return self._onward(self.groups[1:], out)

    def older(self, after: str) -> Round:
        """The first group goes on behind the post `after`."""
        group, *rest = self.groups
        return replace(self, groups=(Group(group.names, after, group.pages + 1), *rest))

    def refused(self, reason: str, now: int) -> Round:
        """The first group was refused for `reason`, `now` in seconds since 1970."""
        group, *rest = self.groups
        if len(group.names) == 1:
            left_out = {group.names[0]: (reason, now + AGAIN_AFTER_SECONDS)}
            return self._onward(tuple(rest), {**self.out, **left_out})
        half = len(group.names) // 2
        # Each half goes on where the whole was: what stands above is known by now, and would end the walk back.
        halves = (group._replace(names=names) for names in (group.names[:half], group.names[half:]))
        return replace(self, groups=(*halves, *rest))

    def words(self) -> str | None:
        """Who is left out, and why; None where nobody is."""
        reasons = {name: reason for name, (reason, _) in self.out.items()}
        return (
            f"left out: {named(reasons)}; remove what is gone for good from the source" if reasons else None
        )

    def cursor(self) -> dict[str, object]:
        """What :func:`round_in` makes this of."""
        kept = {
            "groups": [[list(group.names), group.after, group.pages] for group in self.groups],
            "out": {name: list(said) for name, said in sorted(self.out.items())},
            "seen": self.seen,
        }
        return {name: value for name, value in kept.items() if value}

    def _onward(self, groups: tuple[Group, ...], out: Mapping[str, tuple[str, int]]) -> Round:
        return Round(groups, out, self.seen or not groups)


def round_in(cursor: Mapping[str, Any], names: tuple[str, ...], now: int) -> Round:
    """The round of the subreddits `names` that `cursor` is in the middle of, else a new one. Of a damaged row what is
    sound. Never raises."""
    out = {name: said for name, said in _left_out(cursor.get("out")) if name in names}
    seen = cursor.get("seen") is True
    if groups := _groups(cursor.get("groups"), names):
        return Round(groups, out, seen)
    good = tuple(name for name in names if name not in out)
    # A clock that was set back must not leave anybody out for longer.
    again = tuple(name for name, (_, at) in sorted(out.items()) if not now < at <= now + AGAIN_AFTER_SECONDS)
    new = tuple(Group(some) for some in (good, again) if some)
    return Round(new, out, seen) if new else Round((Group(names),), {}, seen)


def _groups(kept: object, names: tuple[str, ...]) -> tuple[Group, ...]:
    """The groups that were `kept`; none of them where one of them is damaged, or not of the subreddits `names`."""
    found = [_group(one, names) for one in kept] if isinstance(kept, list) else []
    groups = tuple(group for group in found if group is not None)
    every = [name for group in groups for name in group.names]
    return groups if len(groups) == len(found) and len(set(every)) == len(every) else ()


def _group(kept: object, names: tuple[str, ...]) -> Group | None:
    match kept:
        case [[_, *_] as some, str(after), int(pages)] if all(name in names for name in some):
            goes_on = is_fullname(after) and 0 < pages < MOST_PAGES
            group = Group(tuple(str(name) for name in some))
            return group._replace(after=after, pages=pages) if goes_on else group
        case _:
            return None


def _left_out(kept: object) -> Iterator[tuple[str, tuple[str, int]]]:
    for name, said in kept.items() if isinstance(kept, dict) else ():
        match said:
            case [str(reason), int(at)] if is_reason(reason):
                yield name, (reason, at)
