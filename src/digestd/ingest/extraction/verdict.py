"""What one attempt at an article's page makes of the article: pure decisions over claims and failures."""

from __future__ import annotations

from digestd.errors import (
    AddressRefused,
    BadURL,
    Forbidden,
    HTTPStatus,
    NoArticle,
    ParserDied,
    ParserFailed,
    RedirectFailed,
    SourceError,
    TooLarge,
    UnwantedType,
)
from digestd.ingest.verdict import PUT_OFF, UNREACHED
from digestd.model import Page
from digestd.store import PageClaim, PageRecord

MOST_FAILURES = 5
"""After this many failures that time may mend, an article is `failed`."""
FEW_FAILURES = 2
"""After this many failures that time hardly mends, it is."""
MOST_DEATHS = 3
"""A page that kills its worker so often is not tried again."""

_DELAYS = (300.0, 1_800.0, 7_200.0, 28_800.0)
_FEW_DELAY = 21_600.0
_PUT_OFF_SECONDS = 60.0
_LONGEST_DELAY = 86_400.0
_LONGEST_MESSAGE = 500

# 4xx that say "not now" (RFC 9110, 15.5.9; RFC 8470, 5.2; RFC 6585, 4).
_PASSING = frozenset({408, 425, 429})
_SKIPPED = (Forbidden, UnwantedType)
_AT_ONCE = (AddressRefused, BadURL)
_HARDLY = (NoArticle, ParserFailed, RedirectFailed, TooLarge)


def done(claim: PageClaim, page: Page) -> PageRecord:
    """The page was read."""
    return PageRecord(claim.article_id, claim.attempt, "done", claim.failures, page=page)


def put_off(claim: PageClaim, seconds: float, error: str | None = None) -> PageRecord:
    """The attempt counts as none; the article is due again in `seconds`."""
    return PageRecord(
        claim.article_id, claim.attempt, "pending", claim.failures, error, next_delay_seconds=seconds
    )


def failed(claim: PageClaim, error: SourceError, *, chance: float, offline: bool) -> PageRecord:
    """The attempt ended with `error`: `chance` from [0, 1) draws the jitter, `offline` tells that our own network is
    away.

    What the publisher does not want (robots.txt, X-Robots-Tag) and what is no page of text is `skipped`. What says
    "not now" is put off. Everything else is tried again with growing delays, up to five failures; two where the answer
    is about the page itself (4xx but 408, 425 and 429, too large, no article in it); three where it killed its worker.
    """
    message = f"{error.cause}: {error}"[:_LONGEST_MESSAGE]
    if isinstance(error, _SKIPPED):
        return PageRecord(claim.article_id, claim.attempt, "skipped", claim.failures, message)
    if error.cause in PUT_OFF or (error.cause in UNREACHED and offline):
        seconds = min(error.retry_after or _PUT_OFF_SECONDS, _LONGEST_DELAY)
        return put_off(claim, seconds * (1 + 0.25 * chance), message)
    failures = claim.failures + 1
    limit, delay = _patience(error, failures)
    if failures >= limit:
        return PageRecord(claim.article_id, claim.attempt, "failed", failures, _last_words(error, failures))
    seconds = min(max(delay, error.retry_after or 0.0), _LONGEST_DELAY) * (1 + 0.25 * chance)
    return PageRecord(
        claim.article_id, claim.attempt, "pending", failures, message, next_delay_seconds=seconds
    )


def crashed(claim: PageClaim, bug: BaseException, *, chance: float) -> PageRecord:
    """A bug of ours came in the way: told as a failure of the parser, which is tried again as rarely."""
    while isinstance(bug, BaseExceptionGroup):
        bug = bug.exceptions[0]
    error = ParserFailed(f"a bug in digestd: {type(bug).__name__}: {bug}; see the log")
    return failed(claim, error, chance=chance, offline=False)


def outcome_of(claim: PageClaim, record: PageRecord) -> str:
    """What `record` makes of the attempt `claim`, in one word: `done`, `failed`, `skipped`, `retry` or `put_off`."""
    if record.extraction != "pending":
        return record.extraction
    return "retry" if record.failures > claim.failures else "put_off"


def _patience(error: SourceError, failures: int) -> tuple[int, float]:
    """After how many failures it is over, and the delay before the next attempt until then."""
    if isinstance(error, _AT_ONCE):
        return 1, 0.0
    if isinstance(error, ParserDied):
        return MOST_DEATHS, _DELAYS[min(failures, len(_DELAYS)) - 1]
    if isinstance(error, _HARDLY) or _is_final_answer(error):
        return FEW_FAILURES, _FEW_DELAY
    return MOST_FAILURES, _DELAYS[min(failures, len(_DELAYS)) - 1]


def _is_final_answer(error: SourceError) -> bool:
    return isinstance(error, HTTPStatus) and 400 <= error.status < 500 and error.status not in _PASSING


def _last_words(error: SourceError, failures: int) -> str:
    tried = f"tried {failures} times; last: " if failures > 1 else ""
    if isinstance(error, ParserDied):
        tried = f"it killed its worker, or broke its limits, {failures} times; last: "
    return f"{error.cause}: {tried}{error}"[:_LONGEST_MESSAGE]
