"""CISA's catalogue of known exploited vulnerabilities (KEV): one JSON document, of which each entry is an article.

Format: https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities_schema.json. What was in the
catalogue is remembered, so that what CISA takes out of it is noticed: see :func:`read_catalogue`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Any

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.api import api_entry
from digestd.feed.border import read_each
from digestd.feed.dates import parse_date
from digestd.feed.entry import Prose
from digestd.feed.json_values import Object, load, text_of
from digestd.feed.text import line_of
from digestd.model import Document, Entry

MOST_ENTRIES = 50_000
"""A catalogue with more is none of CISA's: it had 1,404 entries in August 2025."""

_LONGEST_LINE = 500
_LONGEST_TEXT = 20_000
_LONGEST_WRITTEN_DATE = 64
_MOST_WEAKNESSES = 50
_MOST_YEARS = 10_000

_CVE = re.compile(r"CVE-([0-9]{4})-([0-9]{4,19})", re.ASCII)
_VERSION = re.compile(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}(?:\.[0-9]{1,6})?", re.ASCII)
# What stands behind a link in the notes is not part of it: " ; ", "; ", a stray quotation mark.
_LINK = re.compile(r"https?://[^\s;\"<>]{1,2000}", re.ASCII)

# A clock that is wrong at CISA's must not make every later catalogue an outdated one.
_LONGEST_FUTURE = timedelta(days=1)


def read_catalogue(body: bytes, url: str, memory: Mapping[str, Any], now: datetime) -> Document:
    """Read a catalogue served from `url`, after those that `memory` tells of (empty for none). Pure: the answer depends
    on the arguments alone.

    The entries of the document are those of the catalogue, by their CVE, and one for each that has gone since, which
    says so in its place. Its `facts`: `memory`, to be handed in the next time, of JSON's types; `outdated`, whether the
    catalogue is an older one than `memory` tells of, as caches and mirrors serve them (it then has no entries, and
    `memory` is what it was); `version`, the `catalogVersion`, "" without one. The document is `whole` where it proves
    that what it does not list has gone: not where it is empty, or lists another number of entries than it says, or
    entries without a CVE.

    Raises :class:`~digestd.errors.NotAFeed` for what is no such catalogue, :class:`~digestd.errors.ParserFailed` for
    one with more than 50,000 entries or nested too deeply.
    """
    said = load(body.decode("utf-8-sig", "replace"))
    listed = said.get("vulnerabilities")
    if not isinstance(listed, list):
        raise NotAFeed("JSON came, and not the KEV catalogue: it has no list called vulnerabilities")
    if len(listed) > MOST_ENTRIES:
        raise ParserFailed(
            f"the catalogue lists {len(listed):,} entries; more than {MOST_ENTRIES:,} are not read"
        )
    version, released = line_of(text_of(said, "catalogVersion"), _LONGEST_LINE), _released(said, now)
    title = line_of(text_of(said, "title"), _LONGEST_LINE) or None
    if _is_outdated(version, released, memory):
        facts = {"memory": dict(memory), "outdated": True, "version": version}
        return Document(url, "kev", title=title, whole=False, facts=facts)
    items = list(_once(listed))
    entries, left_out = read_each(items, _entry, _name)
    known, present = _remembered(memory), {cve for one in items if (cve := _cve(one))}
    whole = bool(present) and not left_out and _count(said, len(listed)) == len(listed)
    gone = sorted(known - present, key=_order) if whole else []
    kept = {
        "version": version or memory.get("version", ""),
        "released": released.isoformat() if released else memory.get("released"),
        "listed": _packed(present if whole else known | present),
    }
    return Document(
        url,
        "kev",
        title=title,
        entries=(*entries, *(_removed(cve, version, released or now) for cve in gone)),
        left_out=left_out,
        whole=whole,
        facts={"memory": kept, "outdated": False, "version": version},
    )


def _entry(item: Any) -> Entry:
    cve = _cve(item)
    if cve is None:
        raise ValueError("it has no CVE as its cveID")
    name = _line(item, "vulnerabilityName") or " ".join(
        filter(None, (_line(item, "vendorProject"), _line(item, "product")))
    )
    return api_entry(
        key=cve,
        link=_page_of(cve),
        title=f"{cve}: {name}" if name else cve,
        content=Prose("".join(_paragraphs(item)), True, _page_of(cve)),
        dates=[_line(item, "dateAdded")[:_LONGEST_WRITTEN_DATE]],
        complete=True,
        facts={"ransomware": _line(item, "knownRansomwareCampaignUse"), "due": _line(item, "dueDate")},
    )


def _paragraphs(item: Object) -> Iterator[str]:
    if description := _text(item, "shortDescription"):
        yield f"<p>{escape(description)}</p>"
    if action := _text(item, "requiredAction"):
        yield f"<p><strong>Required action:</strong> {escape(action)}</p>"
    facts = [
        ("Vendor or project", _line(item, "vendorProject")),
        ("Product", _line(item, "product")),
        ("Added", _line(item, "dateAdded")),
        ("Due", _line(item, "dueDate")),
        ("Known use in ransomware campaigns", _line(item, "knownRansomwareCampaignUse")),
        ("Weaknesses", ", ".join(_weaknesses(item))),
    ]
    if points := "".join(f"<li>{name}: {escape(value)}</li>" for name, value in facts if value):
        yield f"<ul>{points}</ul>"
    if notes := _text(item, "notes"):
        yield f"<p>Notes: {_linked(notes)}</p>"


def _linked(notes: str) -> str:
    """`notes` as HTML, with links where it has addresses."""
    parts, position = [], 0
    for match in _LINK.finditer(notes):
        link = match[0].rstrip(".,)")
        parts.append(escape(notes[position : match.start()]))
        parts.append(f'<a href="{escape(link)}">{escape(link)}</a>')
        position = match.start() + len(link)
    return "".join((*parts, escape(notes[position:])))


def _weaknesses(item: Object) -> list[str]:
    written = item.get("cwes")
    named = written[:_MOST_WEAKNESSES] if isinstance(written, list) else [written]
    return [line for one in named if isinstance(one, str) and (line := line_of(one, _LONGEST_LINE))]


def _removed(cve: str, version: str, moment: datetime) -> Entry:
    """What the article about `cve` says from now on; without a date, so that it keeps its own."""
    day = moment.date().isoformat()
    since = f"version {version} of {day}" if version else f"the one of {day}"
    words = (
        f"CISA's catalogue of known exploited vulnerabilities ({since}) no longer lists {cve}. What it said of it is "
        "kept as an earlier version of this article."
    )
    return api_entry(
        key=cve,
        link=_page_of(cve),
        title=f"{cve}: removed from the KEV catalogue",
        content=Prose(f"<p>{escape(words)}</p>", True, _page_of(cve)),
        complete=True,
        facts={"removed": day},
    )


def _page_of(cve: str) -> str:
    return f"https://nvd.nist.gov/vuln/detail/{cve}"


def _once(listed: Iterable[Any]) -> Iterator[Any]:
    """`listed`, of entries with the same CVE the first: they are one article."""
    seen: set[str] = set()
    for item in listed:
        cve = _cve(item)
        if cve is None or cve not in seen:
            yield item
        if cve is not None:
            seen.add(cve)


def _cve(item: Any) -> str | None:
    written = item.get("cveID") if isinstance(item, dict) else None
    if not isinstance(written, str) or len(written) > _LONGEST_LINE:
        return None
    match = _CVE.fullmatch(written.strip().upper())
    return match and match[0]


def _name(item: Any) -> tuple[str, str]:
    return (_line(item, "cveID"), _line(item, "vulnerabilityName")) if isinstance(item, dict) else ("", "")


def _line(item: Object, name: str) -> str:
    return line_of(text_of(item, name), _LONGEST_LINE)


def _text(item: Object, name: str) -> str:
    return line_of(text_of(item, name), _LONGEST_TEXT)


def _count(said: Object, otherwise: int) -> int:
    count = said.get("count")
    return count if type(count) is int else otherwise


def _released(said: Object, now: datetime) -> datetime | None:
    released = _moment(text_of(said, "dateReleased")[:_LONGEST_WRITTEN_DATE])
    return released if released is not None and released <= now + _LONGEST_FUTURE else None


def _moment(written: object) -> datetime | None:
    return parse_date(written) if isinstance(written, str) and written else None


def _is_outdated(version: str, released: datetime | None, memory: Mapping[str, Any]) -> bool:
    before = _moment(memory.get("released"))
    if released is not None and before is not None:
        return released < before
    known = memory.get("version")
    if not isinstance(known, str) or not _VERSION.fullmatch(known) or not _VERSION.fullmatch(version):
        return False
    return [int(part) for part in version.split(".")] < [int(part) for part in known.split(".")]


def _order(cve: str) -> tuple[int, int]:
    _, year, number = cve.split("-")
    return int(year), int(number)


def _packed(cves: Iterable[str]) -> dict[str, str]:
    """`cves` by their years: a third of the room that they take written out."""
    years: dict[str, list[str]] = {}
    for cve in sorted(cves, key=_order):
        _, year, number = cve.split("-")
        years.setdefault(year, []).append(number)
    return {year: " ".join(numbers) for year, numbers in years.items()}


def _remembered(memory: Mapping[str, Any]) -> set[str]:
    """The CVEs that `memory` lists; of a damaged row what is sound."""
    listed = memory.get("listed")
    years = list(listed.items())[:_MOST_YEARS] if isinstance(listed, Mapping) else []
    written = (f"CVE-{year}-{one}" for year, many in years if isinstance(many, str) for one in many.split())
    return {cve for cve in written if _CVE.fullmatch(cve)}
