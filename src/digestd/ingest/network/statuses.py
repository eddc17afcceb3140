"""What an HTTP status means to the operator, and how long a server wants to be left alone. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus as KnownStatus

_MAX_RETRY_AFTER_SECONDS = 7 * 86_400.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
# The longest form that people write has 37 characters; reading 60 KB takes 40 ms.
_LONGEST_DATE = 64

_ADVICE = {
    204: "there is no document in it",
    205: "there is no document in it",
    206: "it is only a part of the document",
    226: "it is only a part of the document",
    304: "it was not asked whether the document changed",
    401: "it wants a user name and a password; check those of the source",
    403: "it refuses us; the address may not be public, or it blocks programs",
    404: "there is nothing at this address; check the URL",
    407: "the proxy wants a user name and a password; check fetch.proxy",
    410: "it is gone for good; look for its new address or remove the source",
    429: "it was asked too often, and is left alone for a while",
    451: "it may not be shown here, for legal reasons",
}
_ADVICE_SERVER_ERROR = "it has trouble of its own; nothing needs to be done here"


def sentence(status: int, url: str | None = None) -> str:
    """Tell the operator that the server answered `status`, what it means, and what to do where that is known.

    `url`, already masked, is named where redirects led to it.
    """
    where = f" at {url}" if url else ""
    advice = _ADVICE.get(status) or (_ADVICE_SERVER_ERROR if status >= 500 else None)
    return f"the server answered {_title(status)}{where}" + (f": {advice}" if advice else "")


def _title(status: int) -> str:
    # The phrase that came with the answer is the server's text, and not to be trusted.
    try:
        return f"{status} {KnownStatus(status).phrase}"
    except ValueError:
        return str(status)


def retry_after_seconds(value: str | None, *, now: datetime, date: str | None = None) -> float | None:
    """How many seconds a `Retry-After` field asks for: from 0 to 7 days, None when it cannot be understood.

    A point in time is counted from the answer's own `Date` field, given as `date`, so that a wrong clock on
    either side does no harm; without one, from `now`. Source: RFC 9110, 10.2.3.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), _MAX_RETRY_AFTER_SECONDS)
    moment = _http_date(text)
    if moment is None:
        return None
    sent = (_http_date(date) if date else None) or now
    return min(max((moment - sent).total_seconds(), 0.0), _MAX_RETRY_AFTER_SECONDS)


def _http_date(text: str) -> datetime | None:
    if len(text) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
