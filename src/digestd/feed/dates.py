"""Dates as feeds write them, read without a clock or a time zone of our own.

feedparser's dates are not used: what it makes of `2020/1/10`, `2020.01.10`, `--01` or `20` depends on today
and on the machine's time zone, it takes `2020-13-10` for January 2021, and it forgets `PM`. What is read
here: RFC 822 and its kin (RFC 5322, asctime, `date(1)`, months named in several languages), W3C-DTF and the
ISO 8601 forms with a year, and numeric dates whose order is beyond doubt.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from digestd.feed.date_words import month_of, zone_hours
from digestd.feed.text import collapse

LONGEST_DATE = 200
"""What has more characters is no date; those that feeds write have fewer than 100."""

# The two forms that nine of ten dates have (RFC 822 and RFC 3339), without anything that is in doubt.
_INTERNET = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) "
    r"(?:GMT|UTC|([+-])(0\d|1[0-3])(\d{2}))",
    re.ASCII,
)
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:Z|([+-])(0\d|1[0-3]):(\d{2}))", re.ASCII
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name: str(number) for number, name in enumerate(_MONTHS, 1)}

_COMMENT = re.compile(r"\([^()]*\)")
_COMPACT = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})[tT ]?(\d{2})(\d{2})(\d{2})?(?![\d:])")
# Not behind a sign: that is an offset, as in the XML Schema date 2020-01-10+02:00.
_CLOCK = re.compile(r"(?<![\d:+−-])(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?")
_OFFSET = re.compile(r"(?:GMT|UTC)?([+−-])(\d{1,2}):?(\d{2})?", re.IGNORECASE)
_DATE_WITH_ZONE = re.compile(r"(\d{4}-\d{2}-\d{2})(Z|[+−-]\d{2}:\d{2})", re.IGNORECASE)

_WEEKDAY = re.compile(r"[^\W\d]+\.?,?\s+(?=\d+[-/.]\d)")
_YEAR_FIRST = re.compile(r"(\d{4})(?:([-/.])(\d{1,2})(?:\2(\d{1,2}))?)?")
_YEAR_FIRST_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_ORDINAL = re.compile(r"(\d{4})-?(\d{3})")
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_MONTH_FIRST = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_EAST_ASIAN = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]")
_HALF_OF_DAY = {"am": 0, "오전": 0, "午前": 0, "上午": 0, "pm": 12, "오후": 12, "午後": 12, "下午": 12}

_SEPARATOR = re.compile(r"(?<=\d)\s?[tT]$")
_WORDS = re.compile(r"[\s,./_-]+")
_NUMBER = re.compile(r"(\d{1,5})(?:st|nd|rd|th|er)?", re.IGNORECASE)
_FILLERS = frozenset({"at", "of", "de", "del", "the", "t"})


class _Day(NamedTuple):
    year: int
    month: int
    day: int


class _Rest(NamedTuple):
    """What stands behind the clock."""

    year: int | None
    half: int | None
    ahead: timedelta


def parse_date(raw: str) -> datetime | None:
    """Read one date of a feed.

    Returns it as an aware datetime in UTC, to the second. A date without a zone, or with one nobody knows,
    is UTC (RFC 5322, 4.3); a missing time is midnight, a missing day or month the first. None where there
    is no year, where the order of day and month is in doubt, outside the years 1 to 9999, or where `raw` is
    longer than :data:`LONGEST_DATE`. Never raises, and the answer depends on `raw` alone.
    """
    if len(raw) > LONGEST_DATE:
        return None
    return _plain(raw) or _any(raw)


def _plain(raw: str) -> datetime | None:
    """What :func:`_any` gives, at a tenth of its cost; None for whatever is not plain."""
    if match := _TIMESTAMP.fullmatch(raw):
        year, month, day, *rest = match.groups()
    elif match := _INTERNET.fullmatch(raw):
        day, name, year, *rest = match.groups()
        month = _MONTH_NUMBERS.get(name, "0")
    else:
        return None
    hour, minute, second, sign, hours, minutes = rest
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
        if sign is None:
            return local
        ahead = timedelta(hours=int(hours), minutes=int(minutes))
        return local - ahead if sign == "+" else local + ahead
    # The leap second for one: what is not plain after all.
    except (ValueError, OverflowError):
        return None


def _any(raw: str) -> datetime | None:
    text = collapse(_COMMENT.sub(" ", unicodedata.normalize("NFC", raw)))
    text = _COMPACT.sub(_spread, text, count=1) if _COMPACT.match(text) else text
    clock = _CLOCK.search(text)
    before, after = (text[: clock.start()], text[clock.end() :]) if clock else _split_zone(text)
    before, half = _split_half(before)
    rest = _rest(after, half)
    day = _numeric_day(before, rest) or _worded_day(before, rest)
    return _moment(day, clock, rest) if day else None


def _spread(match: re.Match[str]) -> str:
    year, month, day, hour, minute, second = match.groups(default="00")
    return f"{year}-{month}-{day} {hour}:{minute}:{second}"


def _split_zone(text: str) -> tuple[str, str]:
    match = _DATE_WITH_ZONE.fullmatch(text)
    return (match[1], match[2]) if match else (text, "")


def _split_half(before: str) -> tuple[str, int | None]:
    """Take the half of the day off the end, where East Asian dates have it."""
    before = before.strip(" ,_")
    for word, hours in _HALF_OF_DAY.items():
        if before.endswith(word):
            return before.removesuffix(word).strip(), hours
    return _SEPARATOR.sub("", before), None


def _rest(after: str, half: int | None) -> _Rest:
    year: int | None = None
    ahead: timedelta | None = None
    for word in after.replace("a.m.", "am").replace("p.m.", "pm").split():
        if word.casefold() in _HALF_OF_DAY:
            half = _HALF_OF_DAY[word.casefold()]
        elif year is None and len(word) == 4 and word.isdecimal():
            year = int(word)
        elif ahead is None:
            ahead = _ahead(word)
    return _Rest(year, half, ahead or timedelta())


def _ahead(word: str) -> timedelta:
    offset = _OFFSET.fullmatch(word)
    if not offset:
        return timedelta(hours=zone_hours(word) or 0)
    hours, minutes = int(offset[2]), int(offset[3] or 0)
    # Nothing on Earth is further ahead: such an offset says nothing.
    size = timedelta(hours=hours, minutes=minutes) if hours <= 14 else timedelta()
    return size if offset[1] == "+" else -size


def _numeric_day(before: str, rest: _Rest) -> _Day | None:
    text = _WEEKDAY.sub("", before, count=1)
    if match := _YEAR_FIRST.fullmatch(text):
        return _Day(int(match[1]), int(match[3] or 1), int(match[4] or 1))
    if match := _YEAR_FIRST_COMPACT.fullmatch(text) or _EAST_ASIAN.fullmatch(text):
        return _Day(int(match[1]), int(match[2]), int(match[3]))
    if match := _ORDINAL.fullmatch(text):
        return _nth_day(int(match[1]), int(match[2]))
    if match := _DAY_FIRST.fullmatch(text):
        return _Day(int(match[3]), int(match[2]), int(match[1]))
    # Only the twelve-hour clock says that this is the American order.
    if rest.half is not None and (match := _MONTH_FIRST.fullmatch(text)):
        return _Day(int(match[3]), int(match[1]), int(match[2]))
    return None


def _nth_day(year: int, ordinal: int) -> _Day | None:
    try:
        found = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=ordinal - 1)
    except (ValueError, OverflowError):
        return None
    return _Day(found.year, found.month, found.day) if found.year == year else None


def _worded_day(before: str, rest: _Rest) -> _Day | None:
    words = [word for word in _WORDS.split(before) if word and word.casefold() not in _FILLERS]
    if words and month_of(words[0]) is None and words[0].isalpha():
        words = words[1:]  # the day of the week, in any language, right or wrong
    months = [month for word in words if (month := month_of(word))]
    numbers = [match[1] for word in words if (match := _NUMBER.fullmatch(word))]
    if len(months) != 1 or len(months) + len(numbers) != len(words):
        return None
    return _arranged(months[0], numbers, rest.year)


def _arranged(month: int, numbers: list[str], year_behind: int | None) -> _Day | None:
    match numbers:
        case [day, year] if len(day) <= 2 and len(year) >= 2:
            return _Day(_whole_year(year), month, int(day))
        case [year, day] if len(year) == 4 and len(day) <= 2:
            return _Day(int(year), month, int(day))
        case [day] if len(day) <= 2 and year_behind is not None:
            return _Day(year_behind, month, int(day))
        case [year] if len(year) == 4:
            return _Day(int(year), month, 1)
    return None


def _whole_year(year: str) -> int:
    """Two and three digits count as RFC 5322, 4.3 says."""
    number = int(year)
    if len(year) == 2:
        return number + (2000 if number < 50 else 1900)
    return number + 1900 if len(year) == 3 else number


def _moment(day: _Day, clock: re.Match[str] | None, rest: _Rest) -> datetime | None:
    hour, minute, second = (int(part) for part in clock.groups(default="0")) if clock else (0, 0, 0)
    if rest.half is not None and hour <= 12:
        hour = hour % 12 + rest.half
    # The midnight that ends a day (ISO 8601) and the leap second are the moments that follow.
    past = timedelta(days=hour == 24 and minute == second == 0, seconds=second == 60)
    try:
        local = datetime(*day, 0 if past.days else hour, minute, 59 if past.seconds else second, tzinfo=UTC)
        return local + past - rest.ahead
    except (ValueError, OverflowError):
        return None
