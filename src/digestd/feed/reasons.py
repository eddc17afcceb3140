"""Why a source is polled when it is, in words. Pure."""

from __future__ import annotations

_WORDS = {
    "interval": "its interval",
    "adaptive": "adaptive: how often it brings entries",
    "cache_control": "what the server says of caching (Cache-Control, Expires)",
    "ttl": "what the feed says of its updates (ttl, sy:updatePeriod)",
    "skip_hours": "the feed names hours to leave out (skipHours)",
    "skip_days": "the feed names days to leave out (skipDays)",
    "retry_after": "the server said when to come back (Retry-After)",
    "backoff": "it failed {} times in a row",
    "unfinished_claims": "{} polls in a row never ended: it may be crashing digestd",
    "put_off": "the last poll was put off",
    "offline": "our own network was away",
    "gone": "the server says that it is gone (410): looked at once a week",
    "overflow": "more came than the document holds: polled more often",
    "paging": "older pages of the feed are still to be read",
}
_CAPPED = ", but no longer than allowed"


def explained(reason: str) -> str:
    """The schedule reason `reason` (`backoff:3`, `ttl:capped`) as a person says it; as it is where it is not known."""
    word, _, detail = reason.partition(":")
    words = _WORDS.get(word)
    if words is None or ("{}" in words and not detail):
        return reason
    return words.format(detail) + (_CAPPED if detail == "capped" else "")
