"""How a feed is asked for again: with the validators it gave, and once a day without.

What is remembered beside the validators stands in the cursor of its :class:`~digestd.model.PollState`: `asked`, what
they belong to; `full_at`, when the whole document was asked for last; `meaning`, see :mod:`digestd.feed.meaning`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from digestd.model import PollState

FULL_AFTER = timedelta(days=1)
"""A server that says 304 for so long is asked without conditions: some always say it."""

_ASKED, _FULL_AT, _MEANING = "asked", "full_at", "meaning"


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask a server with: `headers`, which hold conditions where it need not send what we have. `state` is what
    is still true of what we remembered, and what a poll that fails leaves."""

    state: PollState
    headers: Mapping[str, str]

    @property
    def is_conditional(self) -> bool:
        """Whether 304 may be the answer."""
        return bool(self.headers)


def question(state: PollState, asked: str, now: datetime) -> Question:
    """Ask as `asked` says (see :func:`asked_as`) after a poll that left `state`, now.

    Validators go back as they came, byte for byte (RFC 9110, 13.1). Those that were got by asking otherwise are
    forgotten, with everything else: they are another document's. With `If-None-Match` goes `A-IM: feed`: the server may
    send the new entries alone (RFC 3229, and "feed" as it registers it).
    """
    cursor = state.cursor or {}
    if cursor.get(_ASKED, asked) != asked:
        state = PollState()
    held = _conditions(state)
    if not held:
        return Question(state, {})
    full_at = _moment(cursor.get(_FULL_AT))
    if full_at is not None and full_at <= now < full_at + FULL_AFTER:
        return Question(state, held)
    # Noted before it is known how this poll ends: one a day, even where they fail.
    noted = _remembering(state, {_FULL_AT: now.isoformat(timespec="seconds")})
    # A database of an earlier version, or a clock that was set back: nothing is known to be a day old.
    return Question(noted, {} if full_at is not None and full_at <= now else held)


def asked_as(url: str, own: str, parser: str) -> str:
    """What validators belong to: the `url`, the source's `own` header fields (a mark of them), and the version of the
    `parser`: of what another one read a 304 would tell nothing."""
    mark = hashlib.sha256(f"{parser}:{url}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{mark}:{own}" if own else mark


def after_304(state: PollState, headers: Mapping[str, str]) -> PollState:
    """What 304 with `headers` leaves of `state`: its validators are the newer ones (RFC 9111, 4.3.4).

    Only where we named an entity tag, which the server has compared then: after a comparison of dates, the tag of a 304
    may be that of a document that we never saw.
    """
    if state.etag is None:
        return state
    etag = headers.get("etag", state.etag)
    last_modified = headers.get("last-modified", state.last_modified)
    if (etag, last_modified) == (state.etag, state.last_modified):
        return state
    return replace(state, etag=etag, last_modified=last_modified)


def after_document(
    before: PollState,
    headers: Mapping[str, str],
    body_hash: str,
    meaning: str | None,
    asked: str,
    now: datetime,
) -> PollState:
    """What is remembered of a whole document with these `headers`, beside what its entries say. What else the cursor of
    `before` holds stays."""
    state = PollState(headers.get("etag"), headers.get("last-modified"), body_hash, before.cursor)
    full_at = now.isoformat(timespec="seconds")
    return _remembering(state, {_ASKED: asked, _FULL_AT: full_at, _MEANING: meaning})


def after_delta(before: PollState, headers: Mapping[str, str]) -> PollState:
    """What is remembered of the new entries alone (226): the validators of what they make of the last document."""
    return replace(before, etag=headers.get("etag"), last_modified=headers.get("last-modified"))


def meaning_in(state: PollState) -> str | None:
    """What the last document meant, as :func:`after_document` was told; None where that is not known."""
    meaning = (state.cursor or {}).get(_MEANING)
    return meaning if isinstance(meaning, str) else None


def _conditions(state: PollState) -> dict[str, str]:
    headers = {}
    if state.etag is not None:
        headers["If-None-Match"] = state.etag
        headers["A-IM"] = "feed"
    if state.last_modified is not None:
        headers["If-Modified-Since"] = state.last_modified
    return headers


def _remembering(state: PollState, changes: Mapping[str, object]) -> PollState:
    cursor = {name: value for name, value in {**(state.cursor or {}), **changes}.items() if value is not None}
    return replace(state, cursor=cursor)


def _moment(value: object) -> datetime | None:
    """The moment that `value` of a row names; None for what is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
