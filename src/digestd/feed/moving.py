"""Where a source has moved to: when permanent redirects are believed, and when they are not any more.

What is remembered stands in the cursor of a :class:`~digestd.model.PollState`: `moved_to`, a mark of where the last
answer was led to, and `moved_since`, from when on every answer was; `moved_failures`, how many polls in a row failed as
what has gone does; and two marks that the store sets and that go along: `moved_shared` of a source that leads to where
another one is, which was paused for it, and `duplicate_wanted` of one that a person wants polled all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlsplit, urlunsplit

from digestd.model import Failure, PollState, Source

AGREED_AFTER = timedelta(days=7)
"""For so long every answer has to lead to the same place."""
FALLS_BACK_AFTER = 3
"""After so many polls in a row that failed as what has gone does, the URL that was configured is asked again."""

SHARED, WANTED = "moved_shared", "duplicate_wanted"
_TO, _SINCE, _FAILURES = "moved_to", "moved_since", "moved_failures"
_OURS = frozenset({_TO, _SINCE, _FAILURES, SHARED, WANTED})

_GONE_CAUSES = frozenset({"dns", "connect", "tls"})
_GONE_STATUSES = frozenset({404, 410})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Moved:
    """What to remember, and the URL to ask from now on: None for the same, empty for the one that was configured."""

    state: PollState
    effective_url: str | None = None


def url_of(source: Source, own: str) -> str:
    """The URL to ask `source` at; `own` is the mark of its credentials, empty where it has none.

    Where it was given some after it had moved to another origin, that is the configured URL: nothing else gets them.
    """
    adopted = source.effective_url
    if adopted is None or (own and _origin(adopted) != _origin(source.spec.url)):
        return source.spec.url
    return adopted


def after_answer(
    source: Source, own: str, moved_to: str | None, before: PollState, reached: PollState, now: datetime
) -> Moved:
    """What an answer that was led to `moved_to` (None: that of no permanent redirect) makes of `source`.

    `before` is what the poll began with, `reached` what it would leave. A target is believed once it was the same for
    :data:`AGREED_AFTER`, or at once where it is the same place over https; it is told again only after as long, so that
    a target which the store does not take is no question at every poll. A redirect is kept to itself that leads to
    nowhere else, away from credentials, or from https to http.
    """
    kept = {WANTED: True} if (before.cursor or {}).get(WANTED) else {}
    if url_of(source, own) != source.url:
        return Moved(_remembering(reached, kept), "")
    remembered = before.cursor or {}
    shared = bool(remembered.get(SHARED))
    if moved_to is None or not _may_move(source, own, moved_to):
        return Moved(_remembering(reached, kept), "" if shared else None)
    if remembered.get(_TO) != _mark(moved_to):
        told = "" if shared else moved_to if _is_same_over_tls(source.url, moved_to) else None
        return Moved(_remembering(reached, kept | _seen(moved_to, now)), told)
    kept |= {SHARED: True} if shared else {}
    since = _moment(remembered.get(_SINCE))
    # A clock that was set back, or a damaged row: nothing is known to be a week old.
    begun = since if since is not None and since <= now else now
    if now - begun < AGREED_AFTER:
        return Moved(_remembering(reached, kept | _seen(moved_to, begun)))
    is_home = normalised(moved_to) == normalised(source.spec.url)
    return Moved(_remembering(reached, kept | _seen(moved_to, now)), "" if is_home else moved_to)


def carried(before: PollState, reached: PollState) -> PollState:
    """`reached` with what `before` remembers of where the source leads."""
    return _remembering(
        reached, {name: value for name, value in (before.cursor or {}).items() if name in _OURS}
    )


def after_failure(state: PollState, failure: Failure, *, adopted: bool) -> Moved:
    """What a failure that counts makes of a source which asks an `adopted` URL, or leads to another source's.

    Such URLs die with a captive portal or a delivery network; the one that was configured may live.
    """
    cursor = state.cursor or {}
    if not adopted and not cursor.get(SHARED):
        return Moved(state)
    others = {name: value for name, value in cursor.items() if name in _OURS and name != _FAILURES}
    if failure.cause not in _GONE_CAUSES and failure.status not in _GONE_STATUSES:
        return Moved(_remembering(state, others))
    before = cursor.get(_FAILURES)
    count = before + 1 if isinstance(before, int) else 1
    if count < FALLS_BACK_AFTER:
        return Moved(_remembering(state, others | {_FAILURES: count}))
    wanted = {WANTED: True} if cursor.get(WANTED) else {}
    return Moved(_remembering(state, wanted), "")


def normalised(url: str) -> str | None:
    """`url` as others are compared with it: scheme and host in lower case and ASCII, no default port, no fragment, and
    `/` for no path; None for what cannot be read. User info stays: what is asked with it may be another document."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    authority = f"[{host}]" if ":" in host else _in_ascii(host)
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme):
        authority = f"{authority}:{port}"
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, user + at + authority, parts.path or "/", parts.query, ""))


def _may_move(source: Source, own: str, target: str) -> bool:
    asked, wanted = normalised(source.url), normalised(target)
    if asked is None or wanted is None or asked == wanted:
        return False
    configured = urlsplit(source.spec.url)
    if configured.username is not None or configured.password is not None:
        # What redirects lead to has no user info, not even at the same origin.
        return False
    if own and _origin(target) != _origin(source.spec.url):
        return False
    return not (asked.startswith("https:") and not wanted.startswith("https:"))


def _is_same_over_tls(asked: str, target: str) -> bool:
    """Whether only TLS, the port, or a slash at the end of the path tells `target` from `asked`. Another path of a host
    may be another feed, which a mistake of an hour redirects to."""
    before, after = urlsplit(normalised(asked) or ""), urlsplit(normalised(target) or "")
    return (before.scheme, after.scheme) == ("http", "https") and _place(before) == _place(after)


def _place(parts: SplitResult) -> tuple[str | None, str, str]:
    return parts.hostname, parts.path.rstrip("/"), parts.query


def _origin(url: str) -> tuple[str, str] | None:
    """Scheme, host and port of `url` (RFC 6454, 4)."""
    plain = normalised(url)
    if plain is None:
        return None
    parts: SplitResult = urlsplit(plain)
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _in_ascii(host: str) -> str:
    # No longer than a name can be: the codec's time grows with the square.
    if host.isascii() or len(host) > _LONGEST_NAME:
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def _seen(target: str, since: datetime) -> dict[str, object]:
    return {_TO: _mark(target), _SINCE: since.isoformat(timespec="seconds")}


def _mark(target: str) -> str:
    # Not the URL itself: it may be long, and a server may write into it what nothing else may keep.
    return hashlib.sha256(target.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _remembering(state: PollState, ours: Mapping[str, object]) -> PollState:
    others = {name: value for name, value in (state.cursor or {}).items() if name not in _OURS}
    cursor = {**others, **ours}
    return state if cursor == (state.cursor or {}) else replace(state, cursor=cursor or None)


def _moment(value: object) -> datetime | None:
    """The moment that `value` of a row names; None for what is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
