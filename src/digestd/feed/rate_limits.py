"""What an API says of how often it may be asked, each in its own unit: seconds left, seconds since 1970, or a moment.

Reddit counts down (`x-ratelimit-reset: 512.0`), X and GitHub name a second since 1970 (`x-rate-limit-reset`,
`x-ratelimit-reset`), Mastodon a moment (`X-RateLimit-Reset: 2026-11-23T08:05:00.000000Z`). What is one of these is none
of the others: 512 as a second since 1970 is long past. So a kind says which of them it reads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, TypeAlias

from digestd.feed.dates import parse_date

Unit: TypeAlias = Literal["seconds_left", "epoch", "moment"]

LONGEST_SECONDS = 86_400.0
"""No reset is believed to be further away: limits are of minutes, or of a day."""

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_LONGEST_FIELD = 64


def reset_seconds(headers: Mapping[str, str], name: str, unit: Unit, *, now: datetime) -> float | None:
    """In how many seconds, from 0 to a day, the limit that the field `name` of `headers` (lower-case names) speaks of
    is over; None where it says nothing that can be understood.

    A moment is counted from the answer's own `Date` where it has one, so that a wrong clock on either side does no
    harm; else from `now`. Never raises.
    """
    written = headers.get(name, "").strip()
    if not written or len(written) > _LONGEST_FIELD:
        return None
    if unit == "seconds_left":
        left = _number(written)
    else:
        moment = _number(written) if unit == "epoch" else _seconds_of(parse_date(written))
        left = None if moment is None else moment - _sent_at(headers, now)
    return None if left is None else min(max(left, 0.0), LONGEST_SECONDS)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """For how many seconds, at most a day, the field `Retry-After` of `headers` (lower-case names) wants us away,
    whether it counts them or names a moment (RFC 9110, 10.2.3); None where it says nothing, or nothing to wait for.
    Never raises."""
    units: tuple[Unit, ...] = ("seconds_left", "moment")
    told = (reset_seconds(headers, "retry-after", unit, now=now) for unit in units)
    return next(filter(None, told), None)


def remaining(headers: Mapping[str, str], name: str) -> float | None:
    """How many requests the field `name` of `headers` says are left; None where it says none that can be understood.
    Reddit writes fractions. Never raises."""
    return _number(headers.get(name, "").strip()[:_LONGEST_FIELD])


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _sent_at(headers: Mapping[str, str], now: datetime) -> float:
    written = headers.get("date", "")
    try:
        sent = parsedate_to_datetime(written) if 0 < len(written) <= _LONGEST_FIELD else None
        sent = sent.replace(tzinfo=UTC) if sent is not None and sent.tzinfo is None else sent
        seconds = _seconds_of(sent)
    except (ValueError, TypeError, IndexError, OverflowError):
        seconds = None
    return now.timestamp() if seconds is None else seconds


def _seconds_of(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    seconds = moment.timestamp()
    return seconds if math.isfinite(seconds) else None
