"""What NVD's CVE API 2.0 says (https://nvd.nist.gov/developers/vulnerabilities): a page of CVEs, each an article.

Since April 2026 most CVEs stay without a score, weaknesses and products of NVD's own: none of these is needed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, NamedTuple

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.api import api_entry, headline
from digestd.feed.border import read_each
from digestd.feed.dates import parse_date
from digestd.feed.entry import Prose
from digestd.feed.json_values import Object, load, object_of, objects_of, text_of
from digestd.feed.link import absolute_link
from digestd.feed.text import line_of
from digestd.model import Document, Entry

MOST_RESULTS = 2_000
"""So many CVEs an answer has at most."""

_LONGEST_LINE = 500
_LONGEST_TEXT = 20_000
_LONGEST_DATE = 64
_LONGEST_URL = 2_000
_MOST_LISTED = 100
_MOST_METRICS = 100

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.ASCII)
_CWE = re.compile(r"CWE-[0-9]{1,6}", re.ASCII)
# A sentence ends before a blank and a capital: "before 9.1.4 allows" goes on.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_UNESCAPED_COLON = re.compile(r"(?<!\\):")
_ESCAPED = re.compile(r"\\(.)")
# The newest version of CVSS that a CVE has a score of is the one that is told.
_VERSIONS = (
    ("cvssMetricV40", "4.0"),
    ("cvssMetricV31", "3.1"),
    ("cvssMetricV30", "3.0"),
    ("cvssMetricV2", "2.0"),
)


class _Score(NamedTuple):
    value: float
    severity: str
    version: str
    whose: str
    vector: str

    @property
    def words(self) -> str:
        told = ", ".join(filter(None, (f"CVSS {self.version}", self.whose, self.vector)))
        return " ".join(filter(None, (self.severity, f"{self.value:.1f}", f"({told})")))


def read_cves(body: bytes, url: str, at: int) -> Document:
    """Read the answer to a question for the CVEs from the place `at` on. Pure.

    Its `facts`: `total`, how many it says there are in all; `keys`, of each that it has the CVE, "" where that cannot
    be read; `stamp`, when it was made by NVD's clock (ISO, UTC), None where it does not say. Raises
    :class:`~digestd.errors.NotAFeed` for what is no such answer, or another page than was asked for;
    :class:`~digestd.errors.ParserFailed` for one with more CVEs than there can be, or nested too deeply.
    """
    said = load(body.decode("utf-8-sig", "replace"))
    listed, total, begins = said.get("vulnerabilities"), said.get("totalResults"), said.get("startIndex")
    if not isinstance(listed, list) or type(total) is not int or total < 0:
        raise NotAFeed(
            "JSON came, and not what the CVE API answers: it has no vulnerabilities or no totalResults"
        )
    if len(listed) > MOST_RESULTS:
        raise ParserFailed(f"the answer has {len(listed):,} CVEs; {MOST_RESULTS:,} are the most there can be")
    if type(begins) is int and begins != at:
        raise NotAFeed(f"the answer begins at CVE {begins:,}, and those from {at:,} on were asked for")
    if not listed and total > at:
        raise NotAFeed(f"the answer says that there are {total:,} CVEs, and has none from {at:,} on")
    entries, left_out = read_each(list(_once(listed)), _entry, _name)
    stamp = parse_date(text_of(said, "timestamp")[:_LONGEST_DATE])
    facts = {
        "total": total,
        "keys": [_key(_cve(item)) or "" for item in listed],
        "stamp": stamp and stamp.isoformat(),
    }
    return Document(url, "nvd", entries=entries, left_out=left_out, whole=False, facts=facts)


def _entry(item: Any) -> Entry:
    cve = _cve(item)
    key = _key(cve)
    if key is None:
        raise ValueError("it has no CVE as its id")
    page = f"https://nvd.nist.gov/vuln/detail/{key}"
    description = _description(cve)
    told = "rejected" if _is_rejected(cve) else headline(_SENTENCE_END.split(description, maxsplit=1)[0])
    return api_entry(
        key=key,
        link=page,
        title=f"{key}: {told}" if told else key,
        content=Prose("".join(_paragraphs(cve, description)), True, page),
        dates=[text_of(cve, "published")[:_LONGEST_DATE]],
        language="en",
        complete=True,
        facts=_facts(cve),
    )


def _facts(cve: Object) -> dict[str, object]:
    score = _score(cve)
    scored = (
        {}
        if score is None
        else {"score": score.value, "cvss": score.version, "severity": score.severity.upper()}
    )
    return {
        **scored,
        "status": _line(cve, "vulnStatus"),
        "exploited": _line(cve, "cisaExploitAdd"),
        "due": _line(cve, "cisaActionDue"),
    }


def _paragraphs(cve: Object, description: str) -> Iterator[str]:
    if _is_rejected(cve):
        yield "<p><strong>This CVE was rejected.</strong></p>"
    if description:
        yield f"<p>{escape(description)}</p>"
    facts = [
        ("Severity", score.words if (score := _score(cve)) else ""),
        ("Weaknesses", ", ".join(_weaknesses(cve))),
        ("Products", ", ".join(_products(cve))),
        ("Tags", ", ".join(_tags(cve))),
        ("Reported by", _line(cve, "sourceIdentifier")),
        ("Known to be exploited, by CISA, as", _line(cve, "cisaVulnerabilityName")),
        ("Known to be exploited since", _line(cve, "cisaExploitAdd")),
        ("Due, by CISA", _line(cve, "cisaActionDue")),
        ("Required action", _line(cve, "cisaRequiredAction")),
    ]
    if points := "".join(f"<li>{name}: {escape(value)}</li>" for name, value in facts if value):
        yield f"<ul>{points}</ul>"
    if links := "".join(_references(cve)):
        yield f"<p>References:</p><ul>{links}</ul>"


def _score(cve: Object) -> _Score | None:
    """The highest score in the newest version of CVSS that `cve` has one in, and whose it is."""
    metrics = object_of(cve, "metrics")
    for name, version in _VERSIONS:
        scores = [_scored(one, version) for one in objects_of(metrics, name)[:_MOST_METRICS]]
        if sound := [score for score in scores if score is not None]:
            # The same one whatever the order: lists of the same scores are no news.
            return max(sound, key=lambda score: (score.value, score.whose, score.vector))
    return None


def _scored(metric: Object, version: str) -> _Score | None:
    data = object_of(metric, "cvssData")
    value = data.get("baseScore")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10:
        return None
    # Version 2 has its word outside.
    word = _line(data, "baseSeverity") or _line(metric, "baseSeverity")
    return _Score(float(value), word, version, _line(metric, "source"), _line(data, "vectorString"))


def _weaknesses(cve: Object) -> list[str]:
    said = (each for one in objects_of(cve, "weaknesses") for each in objects_of(one, "description"))
    return _distinct(value for each in said if _CWE.fullmatch(value := _line(each, "value")))


def _products(cve: Object) -> list[str]:
    """Makers and products of the CPE names that are vulnerable."""
    matches = (
        match
        for configuration in objects_of(cve, "configurations")
        for node in objects_of(configuration, "nodes")
        for match in objects_of(node, "cpeMatch")
    )
    return _distinct(
        _product(_line(match, "criteria")) for match in matches if match.get("vulnerable") is True
    )


def _product(criteria: str) -> str:
    parts = _UNESCAPED_COLON.split(criteria)
    if parts[:2] != ["cpe", "2.3"] or len(parts) < 5:
        return ""
    return " ".join(_ESCAPED.sub(r"\1", part).replace("_", " ") for part in parts[3:5])


def _tags(cve: Object) -> list[str]:
    lists = (one.get("tags") for one in objects_of(cve, "cveTags"))
    return _distinct(_short(tag) for tags in lists if isinstance(tags, list) for tag in tags[:_MOST_LISTED])


def _references(cve: Object) -> Iterator[str]:
    seen: set[str] = set()
    for one in objects_of(cve, "references")[:_MOST_LISTED]:
        written = text_of(one, "url").strip()
        link = absolute_link("", written) if 0 < len(written) <= _LONGEST_URL else None
        if link is None or link in seen:
            continue
        seen.add(link)
        tags = one.get("tags")
        told = ", ".join(filter(None, map(_short, tags[:_MOST_LISTED]))) if isinstance(tags, list) else ""
        yield f'<li><a href="{escape(link)}">{escape(link)}</a>{f" ({escape(told)})" if told else ""}</li>'


def _description(cve: Object) -> str:
    said = objects_of(cve, "descriptions")
    english = [one for one in said if _line(one, "lang").lower().split("-")[0] == "en"]
    return next(filter(None, (_text(one, "value") for one in (*english, *said[:1]))), "")


def _is_rejected(cve: Object) -> bool:
    return _line(cve, "vulnStatus").lower() == "rejected"


def _distinct(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, lines)))[:_MOST_LISTED]


def _once(listed: Iterable[Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for item in listed:
        key = _key(_cve(item))
        if key is None or key not in seen:
            yield item
        if key is not None:
            seen.add(key)


def _cve(item: Any) -> Object:
    return object_of(item, "cve") if isinstance(item, dict) else {}


def _key(cve: Object) -> str | None:
    written = _line(cve, "id").upper()
    return written if _CVE.fullmatch(written) else None


def _name(item: Any) -> tuple[str, str]:
    return _line(_cve(item), "id"), ""


def _line(holder: Object, name: str) -> str:
    return line_of(text_of(holder, name), _LONGEST_LINE)


def _text(holder: Object, name: str) -> str:
    return line_of(text_of(holder, name), _LONGEST_TEXT)


def _short(value: object) -> str:
    return line_of(value, _LONGEST_LINE) if isinstance(value, str) else ""
