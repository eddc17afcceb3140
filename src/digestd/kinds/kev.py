"""The kind `kev`: CISA's catalogue of known exploited vulnerabilities, with its official mirror for where CISA refuses
to answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from digestd.config.kind_options import BaseURL, KindOptions
from digestd.errors import HTTPStatus, NotAFeed, SourceError
from digestd.feed import asking, hints, shape
from digestd.feed.kev import read_catalogue
from digestd.kinds import Http, Tools, options_of
from digestd.masking import mask_url
from digestd.model import Document, PollState, Response, Source, Step

SPACING_SECONDS = 1.0
"""How far apart requests are at the catalogue's host. No limit is documented: one document an hour is asked for there,
and one answer 304 costs nobody anything."""

# Part of the stored body hash and of what validators belong to: raising it makes the catalogue be read again.
_READER_VERSION = "kev1"

_PATH = "/sites/default/files/feeds/known_exploited_vulnerabilities.json"
_MEMORY = "kev"


class KevOptions(KindOptions):
    """The options of a KEV catalogue. `base_url` is where CISA's site is, or a copy of it; `mirror_url` is the whole
    address of the document that is read where the first one says 403, null for none."""

    base_url: BaseURL = "https://www.cisa.gov"
    mirror_url: BaseURL | None = (
        "https://raw.githubusercontent.com/cisagov/kev-data/develop/known_exploited_vulnerabilities.json"
    )

    def place(self, url: str | None) -> str:
        place = f"{self.base_url}{_PATH}"
        if url not in (None, place):
            raise ValueError(
                "leave it out: the catalogue has one address, and base_url tells of another site"
            )
        return place


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the catalogue is asked for, with which memory of it, when; `remark` is what to tell of that place."""

    url: str
    memory: Mapping[str, Any]
    now: datetime
    remark: str | None = None


class KevKind:
    """One catalogue a step: asked for with its validators, and read whole where it is another than last time."""

    options = KevOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now

    def spacing_seconds(self, source: Source) -> float:
        """How far apart requests at the catalogue's host are, in seconds."""
        return SPACING_SECONDS

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`. From some networks CISA answers 403 (its bot protection does): then the
        official mirror is asked in the same step, without the credentials of the source."""
        options = options_of(KevOptions, source)
        memory = (state.cursor or {}).get(_MEMORY)
        place = _Place(source.url, memory if isinstance(memory, Mapping) else {}, self._now())
        try:
            return await self._ask(source, state, http, place)
        except HTTPStatus as error:
            if error.status != 403 or options.mirror_url is None:
                raise
            refusal = error
        mirror = mask_url(options.mirror_url)
        remark = f"{mask_url(source.url)} says 403: the mirror {mirror} is read instead, which may be late"
        try:
            return await self._ask(source, state, http, replace(place, url=options.mirror_url, remark=remark))
        except SourceError as error:
            if error.cause in {"paused", "busy"}:
                raise
            words = f"{refusal}; and of the mirror {mirror}: {error}"
            retry_after = refusal.retry_after or error.retry_after
            raise HTTPStatus(words, status=refusal.status, retry_after=retry_after) from error

    async def _ask(self, source: Source, state: PollState, http: Http, place: _Place) -> Step:
        asked = asking.asked_as(place.url, http.mark, _READER_VERSION)
        question = asking.question(state, asked, place.now)
        # Of an answer with the changes alone (RFC 3229) we could not tell what has gone.
        conditions = {name: value for name, value in question.headers.items() if name != "A-IM"}
        response = await http.get(place.url, headers={"Accept": "application/json", **conditions})
        before = _remembering(question.state, place.memory)
        if response.not_modified:
            return _unchanged(asking.after_304(before, response.headers), response, place)
        body_hash = f"{_READER_VERSION}:{hashlib.sha256(response.body).hexdigest()}"
        reached = asking.after_document(before, response.headers, body_hash, None, asked, place.now)
        if body_hash == before.body_hash:
            return _unchanged(reached, response, place)
        return _taken(await self._catalogue(source, response, place), reached, response, place)

    async def _catalogue(self, source: Source, response: Response, place: _Place) -> Document:
        try:
            return await self._read(
                read_catalogue,
                response.body,
                response.url,
                dict(place.memory),
                place.now,
                source_url=source.spec.url,
            )
        except NotAFeed as error:
            explained = shape.explain(str(error), response.body, response.url, response.headers)
            raise NotAFeed(explained) from error


def _taken(document: Document, reached: PollState, response: Response, place: _Place) -> Step:
    if document.facts["outdated"]:
        # Its validators are kept all the same: as long as it is the same one, it need not be sent again.
        served, known = (
            document.facts["version"] or "an older one",
            place.memory.get("version") or "a newer one",
        )
        late = f"the catalogue that is served ({served}) is older than one read before ({known}): it waits for the next"
        return _ended(reached, response, place, "; ".join(filter(None, (place.remark, late))))
    hinted = hints.of_document(document, place.now)
    state = _remembering(reached, document.facts["memory"])
    state = replace(state, cursor={**(state.cursor or {}), **hints.to_cursor(hinted)})
    step = _ended(state, response, place, place.remark or _remark(document))
    return replace(step, documents=(document,), unchanged=False, whole=document.whole)


def _unchanged(state: PollState, response: Response, place: _Place) -> Step:
    # It is remembered with the validators: what was told of the same document at the same place is still true.
    return _ended(state, response, place, shape.remembered(state) or place.remark)


def _ended(state: PollState, response: Response, place: _Place, remark: str | None) -> Step:
    state = hints.caching(shape.remarking(state, remark), response, place.now)
    remembered = hints.remembered(state.cursor)
    return Step(next_state=state, unchanged=True, body_bytes=len(response.body), hints=remembered)


def _remark(document: Document) -> str | None:
    if document.left_out and not document.entries:
        return f"none of the {len(document.left_out)} entries of the catalogue can be read"
    return None if document.entries else "the catalogue has no entries"


def _remembering(state: PollState, memory: Mapping[str, Any]) -> PollState:
    return replace(state, cursor={**(state.cursor or {}), _MEMORY: dict(memory)}) if memory else state
