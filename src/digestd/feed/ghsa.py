"""Advisories as GitHub's API has them (https://docs.github.com/en/rest/security-advisories/global-advisories)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any, NamedTuple

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.api import api_entry
from digestd.feed.border import read_each
from digestd.feed.entry import Prose
from digestd.feed.json_values import Object, load, load_list, object_of, objects_of, text_of
from digestd.feed.link import absolute_link
from digestd.feed.text import line_of, strip_controls
from digestd.model import Document, Entry

MOST_ADVISORIES = 100
"""So many advisories an answer has at most."""

_LONGEST_LINE = 500
_LONGEST_TEXT = 100_000
_LONGEST_DATE = 64
_LONGEST_URL = 2_000
_MOST_LISTED = 100

_GHSA = re.compile(r"GHSA(?:-[0-9A-Za-z]{4}){3}", re.ASCII)
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.ASCII)
_CVSS = re.compile(r"CVSS:([0-9]\.[0-9])/", re.ASCII)
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")


class _Package(NamedTuple):
    name: str
    affected: str
    fixed: str

    @property
    def words(self) -> str:
        named = " ".join(filter(None, (self.name, self.affected)))
        return f"{named} ({f'fixed in {self.fixed}' if self.fixed else 'no fix'})"


def read_advisories(body: bytes, url: str) -> Document:
    """Read the answer to a question for advisories. Pure.

    Raises :class:`~digestd.errors.NotAFeed` for what is no such answer, :class:`~digestd.errors.ParserFailed` for one
    with more advisories than there can be, or nested too deeply.
    """
    listed = load_list(body.decode("utf-8-sig", "replace"))
    if listed is None:
        raise NotAFeed("JSON came, and not a list of advisories")
    if len(listed) > MOST_ADVISORIES:
        raise ParserFailed(f"the answer has {len(listed):,} advisories; {MOST_ADVISORIES} were asked for")
    entries, left_out = read_each(listed, _entry, _name)
    return Document(url, "ghsa", entries=entries, left_out=left_out, whole=False)


def words_of(body: bytes) -> str:
    """What an error says, in its own words: `{"message": …}`; "" where it says nothing. Never raises."""
    try:
        said = load(body.decode("utf-8-sig", "replace"))
    # Whatever an error is made of, its status was understood.
    except Exception:  # noqa: BLE001 - see above
        return ""
    return strip_controls(_line(said, "message")).rstrip(".")


def _entry(item: Any) -> Entry:
    key = _line(item, "ghsa_id") if isinstance(item, dict) else ""
    if not _GHSA.fullmatch(key):
        raise ValueError("it has no GHSA as its ghsa_id")
    page = f"https://github.com/advisories/{key}"
    words = ["withdrawn"] if _line(item, "withdrawn_at") else []
    title = ": ".join(filter(None, (key, *words, _line(item, "summary"))))
    return api_entry(
        key=key,
        link=_link(text_of(item, "html_url")) or page,
        title=title,
        content=Prose("".join(_paragraphs(item)), True, page),
        dates=[text_of(item, "published_at")[:_LONGEST_DATE]],
        language="en",
        complete=True,
        facts=_facts(item),
    )


def _facts(item: Object) -> dict[str, object]:
    score, vector = _score(item) or (None, "")
    version = _CVSS.match(vector)
    return {
        "severity": _severity(item).upper(),
        "score": score,
        "cvss": version and version[1],
        "withdrawn": _line(item, "withdrawn_at"),
        "fixed": [f"{package.name} {package.fixed}".strip() for package in _packages(item) if package.fixed],
    }


def _paragraphs(item: Object) -> Iterator[str]:
    if withdrawn := _line(item, "withdrawn_at"):
        yield f"<p><strong>This advisory was withdrawn</strong> ({escape(withdrawn)}).</p>"
    # It is Markdown, which is made to be read as it is.
    for paragraph in _PARAGRAPHS.split(
        text_of(item, "description")[:_LONGEST_TEXT].replace("\r\n", "\n").strip()
    ):
        if paragraph:
            yield "<p>{}</p>".format(escape(paragraph).replace("\n", "<br>"))
    cve = _line(item, "cve_id")
    facts = [
        ("CVE", cve if _CVE.fullmatch(cve) else ""),
        ("Kind", "malware" if _line(item, "type") == "malware" else ""),
        ("Severity", " ".join(_severity_told(item))),
        ("Weaknesses", ", ".join(_weaknesses(item))),
        *(("Package", package.words) for package in _packages(item)),
    ]
    if points := "".join(f"<li>{name}: {escape(value)}</li>" for name, value in facts if value):
        yield f"<ul>{points}</ul>"
    if links := "".join(_references(item)):
        yield f"<p>References:</p><ul>{links}</ul>"


def _severity(item: Object) -> str:
    word = _line(item, "severity")
    return word if word != "unknown" else ""


def _severity_told(item: Object) -> Iterator[str]:
    if word := _severity(item):
        yield word
    if score := _score(item):
        yield f"{score[0]:.1f} ({score[1]})"


def _score(item: Object) -> tuple[float, str] | None:
    """The score in the newest version of CVSS that it has one in, and its vector."""
    scores = object_of(item, "cvss_severities")
    said = (object_of(scores, name) for name in ("cvss_v4", "cvss_v3"))
    for one in (*said, object_of(item, "cvss")):
        score, vector = one.get("score"), _line(one, "vector_string")
        is_score = isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 10
        # A score of 0 without a vector says that there is none.
        if is_score and vector:
            return float(score or 0), vector
    return None


def _weaknesses(item: Object) -> list[str]:
    said = (f"{_line(one, 'cwe_id')} {_line(one, 'name')}".strip() for one in objects_of(item, "cwes"))
    return list(dict.fromkeys(filter(None, said)))[:_MOST_LISTED]


def _packages(item: Object) -> list[_Package]:
    found = (_package(one) for one in objects_of(item, "vulnerabilities")[:_MOST_LISTED])
    return [package for package in dict.fromkeys(found) if package.name or package.affected]


def _package(one: Object) -> _Package:
    package = object_of(one, "package")
    name = " ".join(filter(None, (_line(package, "ecosystem"), _line(package, "name"))))
    # The first version with the fix is a text, and was an object in older answers.
    fixed = _line(one, "first_patched_version") or _line(
        object_of(one, "first_patched_version"), "identifier"
    )
    return _Package(name, _line(one, "vulnerable_version_range"), fixed)


def _references(item: Object) -> Iterator[str]:
    written = item.get("references")
    links = (
        [_link(one) for one in written[:_MOST_LISTED] if isinstance(one, str)]
        if isinstance(written, list)
        else []
    )
    for link in dict.fromkeys(filter(None, links)):
        yield f'<li><a href="{escape(link)}">{escape(link)}</a></li>'


def _link(written: str) -> str | None:
    written = written.strip()
    return absolute_link("", written) if 0 < len(written) <= _LONGEST_URL else None


def _name(item: Any) -> tuple[str, str]:
    return (_line(item, "ghsa_id"), _line(item, "summary")) if isinstance(item, dict) else ("", "")


def _line(holder: Object, name: str) -> str:
    return line_of(text_of(holder, name), _LONGEST_LINE)
