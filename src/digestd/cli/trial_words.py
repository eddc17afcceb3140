"""What came of trying a source, in words and as records. Everything in it is from outside: masked, and on one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from digestd.cli.tables import stamp
from digestd.digest.moments import distance
from digestd.feed.reasons import explained
from digestd.feed.text import collapse, line_of, strip_controls
from digestd.ingest.discovery import Discovery, Find
from digestd.ingest.trial import Trial
from digestd.masking import mask_guid, mask_link, mask_url
from digestd.model import Entry
from digestd.store.entries import publication
from digestd.store.looking import Standing, key_of

_FORMATS = {
    "rss": "RSS",
    "rss090": "RSS 0.90",
    "rss091n": "RSS 0.91",
    "rss091u": "RSS 0.91",
    "rss092": "RSS 0.92",
    "rss093": "RSS 0.93",
    "rss094": "RSS 0.94",
    "rss10": "RSS 1.0",
    "rss20": "RSS 2.0",
    "atom": "Atom",
    "atom01": "Atom 0.1",
    "atom02": "Atom 0.2",
    "atom03": "Atom 0.3",
    "atom10": "Atom 1.0",
    "cdf": "CDF",
    "json1": "JSON Feed 1.0",
    "json10": "JSON Feed 1.0",
    "json11": "JSON Feed 1.1",
    "rssjson": "RSS in JSON",
}
_LONGEST_TITLE = 200


def line(text: str, longest: int = 500) -> str:
    """`text` from outside, fit for one line of a terminal."""
    return collapse(strip_controls(line_of(text, longest)))


def title_of(trial: Trial) -> str | None:
    """What the source calls itself, None where it does not."""
    return next((line(one.title, _LONGEST_TITLE) for one in trial.documents if one.title), None)


def newest_of(trial: Trial, now: datetime) -> datetime | None:
    """When its newest entry was published, None where no entry tells."""
    return max((at for one in trial.entries if (at := publication(one, now)) is not None), default=None)


def found_line(find: Find, now: datetime) -> str:
    """A find in one sentence: what it is, how much is in it, how new that is, and where it was found."""
    trial, title = find.trial, title_of(find.trial)
    named = repr(title) if title else ""
    if find.spec.kind == "feed":
        form = trial.documents[0].format if trial.documents else ""
        what = f"a feed ({_FORMATS.get(form, form or 'unknown form')})"
    else:
        what = f"{line(find.what)} (kind {find.spec.kind})"
    count = len(trial.entries)
    newest = newest_of(trial, now)
    pieces = [
        " ".join(piece for piece in (what, named) if piece),
        f"{count} {'entry' if count == 1 else 'entries'}{' so far' if trial.unfinished else ''}",
        newest and f"the newest {distance(newest, now)}",
        find.via and line(find.via, 2_000),
    ]
    return ", ".join(piece for piece in pieces if piece)


def tried_lines(discovery: Discovery) -> Iterator[str]:
    """What was tried in vain, one to a line."""
    for one in discovery.tried:
        yield f"  {line(one.what)}: {line(one.why)}"


def facts(trial: Trial, via: str | None) -> Iterator[str]:
    """What there is to tell of a trial but for its entries, one to a line; `via` is how its source was found."""
    spec, title = trial.spec, title_of(trial)
    forms = list(dict.fromkeys(_FORMATS.get(one.format, one.format) for one in trial.documents))
    asked, answered = spec.url, next((one.url for one in trial.documents), None)
    is_elsewhere = (
        spec.kind in ("feed", "page") and answered is not None and mask_url(answered) != mask_url(asked)
    )
    told = {
        "kind": spec.kind,
        "url": mask_url(asked),
        "found": via,
        "answered by": mask_url(answered) if is_elsewhere and answered else None,
        "outcome": _outcome(trial),
        "error": trial.failure and f"{trial.failure.cause}: {trial.failure.message}",
        "document": ", ".join(filter(None, [", ".join(forms), title and repr(title)])),
        "entries": _entries(trial),
        "set aside": str(len(trial.left_out)) if trial.left_out else None,
        "moves to": trial.effective_url and mask_url(trial.effective_url),
        "state": trial.state if trial.state != "active" else None,
        "remark": trial.words if trial.failure is None else None,
        "next poll": _next(trial),
    }
    return (f"{name:<13}{line(value, 2_000)}" for name, value in told.items() if value)


def _outcome(trial: Trial) -> str:
    if trial.outcome is None:
        return "not polled"
    steps = f"{trial.steps} step{'' if trial.steps == 1 else 's'}"
    return f"{trial.outcome} in {trial.seconds:.2f} s, {steps}, {trial.body_bytes:,} bytes"


def _entries(trial: Trial) -> str | None:
    if trial.failure is not None and not trial.entries:
        return None
    more = "; there are more, which the poll itself asks for (--steps)" if trial.unfinished else ""
    return f"{len(trial.entries)} would be kept{more}"


def _next(trial: Trial) -> str | None:
    if not trial.schedule_reason:
        return None
    return f"in {trial.next_delay_seconds:,.0f} s: {explained(trial.schedule_reason)}"


def page_of(trial: Trial, entry: Entry) -> str:
    """Whether the page of `entry` would be fetched: `page`, else why not."""
    if trial.skip_pages:
        return "feed only"
    return "in the feed" if entry.complete else "page" if entry.link else "no link"


def rows(
    trial: Trial, standings: Mapping[str, Standing] | None, limit: int, now: datetime
) -> Iterator[tuple[str, ...]]:
    """The first `limit` entries, each as a row: what is known of it, when it was published, whence its text comes, its
    title and link."""
    for entry in trial.entries[:limit]:
        published = publication(entry, now)
        yield (
            "" if standings is None else standings.get(key_of(entry), "new"),
            published.strftime("%Y-%m-%d %H:%M") if published else "no date",
            page_of(trial, entry),
            line(entry.title, _LONGEST_TITLE) or "(no title)",
            line(mask_link(entry.link)) if entry.link else "",
        )


def trial_record(
    trial: Trial, via: str | None, standings: Mapping[str, Standing] | None, limit: int, now: datetime
) -> dict[str, Any]:
    """A trial as a record, with its first `limit` entries; `via` is how its source was found."""
    return {
        **_source_fields(trial),
        "via": via and line(via),
        "outcome": trial.outcome,
        "failure": trial.failure
        and {"cause": trial.failure.cause, "message": strip_controls(trial.failure.message)},
        "status": trial.failure.status if trial.failure else None,
        "duration_seconds": round(trial.seconds, 3),
        "steps": trial.steps,
        "unfinished": trial.unfinished,
        "bytes": trial.body_bytes,
        "state": trial.state,
        "remark": trial.words and line(trial.words).removeprefix("remark: "),
        "effective_url": trial.effective_url and mask_url(trial.effective_url),
        "schedule_reason": trial.schedule_reason,
        "next_delay_seconds": round(trial.next_delay_seconds, 3),
        "entries": [_entry_record(trial, entry, standings, now) for entry in trial.entries[:limit]],
        "set_aside": [
            {
                "guid": mask_guid(one.guid),
                "title": line(one.title, _LONGEST_TITLE),
                "reason": line(one.reason),
            }
            for one in trial.left_out[:limit]
        ],
        "set_aside_total": len(trial.left_out),
    }


def find_record(find: Find, now: datetime) -> dict[str, Any]:
    """A find as a record."""
    newest = newest_of(find.trial, now)
    return {
        **_source_fields(find.trial),
        "what": line(find.what),
        "via": find.via and line(find.via),
        "newest_at": stamp(newest),
    }


def tried_records(discovery: Discovery) -> Sequence[dict[str, str]]:
    """What was tried in vain."""
    return [{"what": line(one.what), "why": line(one.why)} for one in discovery.tried]


def _source_fields(trial: Trial) -> dict[str, Any]:
    return {
        "kind": trial.spec.kind,
        "url": mask_url(trial.spec.url),
        "title": title_of(trial),
        "format": trial.documents[0].format if trial.documents else None,
        "entries_total": len(trial.entries),
    }


def _entry_record(
    trial: Trial, entry: Entry, standings: Mapping[str, Standing] | None, now: datetime
) -> dict[str, Any]:
    return {
        "title": line(entry.title, _LONGEST_TITLE),
        "url": entry.link and mask_link(entry.link),
        "guid": mask_guid(entry.guid),
        "published_at": stamp(publication(entry, now)),
        "standing": None if standings is None else standings.get(key_of(entry), "new"),
        "text_from": page_of(trial, entry),
    }
