"""Which CVEs NVD is asked for next: windows of the time of their last change, read page by page.

A page is named by the place of its first CVE in a list that changes while it is read: a CVE that is changed leaves the
window, and all behind it move up. So each page begins a little before the end of the last one, and has to hold one of
the CVEs that stood there; where it holds none, the page before it is asked for, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from digestd.feed.dates import parse_date

OVERLAP = timedelta(hours=10)
"""So far before the last complete look the next one begins: changes are dated before they can be asked for."""
LONGEST_WINDOW = timedelta(days=119)
"""NVD takes windows of 120 days at most."""
FEWEST_RESULTS = 10
"""No page is made smaller than this."""

_MOST_REPEATED = 50
_MOST_RETURNS = 10
# A window is behind the clock of NVD by more than this: another one follows at once.
_NEWS = timedelta(hours=1)
_LONGEST_AHEAD = timedelta(days=1)
_LONGEST_WRONG = timedelta(days=366)
_FIRST = datetime(1999, 1, 1, tzinfo=UTC)
_LARGEST_PLACE = 10_000_000
_LONGEST_KEY = 40

_REACHED, _WINDOW = "reached", "window"


@dataclass(frozen=True, slots=True)
class Window:
    """The CVEs that were changed between `begin` and `end`, of which those from the place `at` on are asked for, `size`
    at a time. `seen` are some that stood last on the page before; `returns` counts how often it was gone back, and
    `stamp` is the moment, by NVD's clock, of its first page."""

    begin: datetime
    end: datetime
    size: int
    at: int = 0
    seen: tuple[str, ...] = ()
    returns: int = 0
    stamp: datetime | None = None


def window_in(cursor: Mapping[str, Any], now: datetime, days: int, size: int) -> Window:
    """The window that goes on as `cursor` says, else a new one: from ten hours before the last complete look on, or,
    at first, from `days` before `now`. Of a damaged row only what is sound is heeded. Never raises."""
    kept = cursor.get(_WINDOW)
    window = _window(kept, now, size) if isinstance(kept, Mapping) else None
    return window or _opened(reached_in(cursor, now), now, now - timedelta(days=days), size)


def reached_in(cursor: Mapping[str, Any], now: datetime) -> datetime | None:
    """Until when everything is known, as `cursor` says."""
    return _moment(cursor.get(_REACHED), now)


def address(place: str, window: Window) -> str:
    """The URL that asks the API at `place` for the next page of `window`."""
    fields = {
        "lastModStartDate": _written(window.begin),
        "lastModEndDate": _written(window.end),
        "startIndex": str(window.at),
        "resultsPerPage": str(window.size),
    }
    return f"{place}?{urlencode(fields)}"


def onward(window: Window, facts: Mapping[str, Any], now: datetime) -> Window | None:
    """What is left of `window` after a page that had these `facts` (see :func:`digestd.feed.nvd.read_cves`); None for
    nothing."""
    keys, total = facts["keys"], facts["total"]
    window = replace(window, stamp=window.stamp or _moment(facts["stamp"], now, _LONGEST_WRONG))
    if _has_gap(window, keys):
        before = max(0, min(window.at, total) - window.size)
        return replace(window, at=before, returns=window.returns + 1)
    following = window.at + len(keys)
    if following >= total:
        return None
    # A fifth at most is read again, so that every page gets on.
    tail = keys[len(keys) - min(_MOST_REPEATED, len(keys) // 5) :]
    seen = tuple(key for key in tail if key)
    return replace(window, at=following - (len(tail) if seen else 0), seen=seen)


def cursor_after(
    window: Window,
    left: Window | None,
    reached: datetime | None,
    facts: Mapping[str, Any],
    now: datetime,
    size: int,
) -> dict[str, Any]:
    """What is remembered after a page of `window` where `left` is left of it, and everything until `reached` was known
    before. It has another window, of pages of `size`, where NVD's clock shows that there is more to be had."""
    if left is None:
        latest = _moment(facts["stamp"], now, _LONGEST_WRONG)
        known = _known_after(window, reached, latest)
        is_behind = latest is not None and latest - known > _NEWS and (reached is None or known > reached)
        reached, left = known, _opened(known, latest, known, size) if is_behind and latest else None
    kept: dict[str, Any] = {} if reached is None else {_REACHED: reached.isoformat()}
    return kept if left is None else kept | remembered(left)


def remembered(window: Window) -> dict[str, Any]:
    """`window` as the cursor has it."""
    written = {
        "begin": window.begin.isoformat(),
        "end": window.end.isoformat(),
        "size": window.size,
        "at": window.at,
        "seen": list(window.seen),
        "returns": window.returns,
        "stamp": window.stamp and window.stamp.isoformat(),
    }
    return {_WINDOW: written}


def goes_on(cursor: Mapping[str, Any]) -> bool:
    """Whether there is another page to be asked for."""
    return _WINDOW in cursor


def _has_gap(window: Window, keys: list[str]) -> bool:
    is_proven = window.at == 0 or not window.seen or not set(window.seen).isdisjoint(keys)
    return not is_proven and window.returns < _MOST_RETURNS


def _known_after(window: Window, reached: datetime | None, latest: datetime | None) -> datetime:
    """Until when everything is known once `window` has been read: to its end, but, as our clock may be ahead, not
    beyond the moment when NVD answered."""
    known = min(window.end, window.stamp or latest or window.end)
    return known if reached is None else max(known, reached)


def _opened(reached: datetime | None, now: datetime, first: datetime, size: int) -> Window:
    begin = first if reached is None else reached - OVERLAP
    end = min(begin + LONGEST_WINDOW, now if reached is None else max(now, reached))
    return Window(begin, end, size)


def _window(kept: Mapping[str, Any], now: datetime, size: int) -> Window | None:
    begin, end, stamp = (_moment(kept.get(name), now, _LONGEST_WRONG) for name in ("begin", "end", "stamp"))
    at, returns, kept_size = (kept.get(name) for name in ("at", "returns", "size"))
    if begin is None or end is None or not begin < end <= begin + LONGEST_WINDOW:
        return None
    if type(at) is not int or not 0 <= at <= _LARGEST_PLACE:
        return None
    seen = kept.get("seen")
    sound = (
        [key for key in seen if isinstance(key, str) and len(key) <= _LONGEST_KEY]
        if isinstance(seen, list)
        else []
    )
    return Window(
        begin,
        end,
        kept_size if type(kept_size) is int and FEWEST_RESULTS <= kept_size < size else size,
        at,
        tuple(sound[:_MOST_REPEATED]),
        returns if type(returns) is int and 0 <= returns <= _MOST_RETURNS else 0,
        stamp,
    )


def _moment(written: object, now: datetime, ahead: timedelta = _LONGEST_AHEAD) -> datetime | None:
    moment = parse_date(written) if isinstance(written, str) and written else None
    return moment if moment is not None and _FIRST <= moment <= now + ahead else None


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
