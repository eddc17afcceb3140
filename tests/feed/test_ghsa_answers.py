"""Answers of GitHub with advisories, and which page comes next."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.ghsa import read_advisories, words_of
from digestd.feed.ghsa_rounds import began, cursor_after, onward, round_in
from digestd.model import Document, Entry
from support.ghsa_site import advisory

URL = "https://api.github.com/advisories"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def read(*items: Any) -> Document:
    return read_advisories(json.dumps(items).encode(), URL)


def entry(**changes: object) -> Entry:
    (one,) = read(advisory(1, NOW, **changes)).entries
    return one


def test_an_advisory_and_all_that_it_can_say() -> None:
    one = entry(
        cve_id="CVE-2021-44228",
        description="# Impact\r\nIt is <bad>.\r\n\r\n## Patches\r\nUse 2.15.0.\n\n\n",
        severity="critical",
        references=["https://example.com/a?x=1&y=2", "https://example.com/a?x=1&y=2", "javascript:x", 5],
        vulnerabilities=[
            {
                "package": {"ecosystem": "maven", "name": "com.example:lib"},
                "vulnerable_version_range": ">= 2.0, < 2.15.0",
                "first_patched_version": "2.15.0",
            },
            {
                "package": {"ecosystem": "npm", "name": "lib"},
                "vulnerable_version_range": "<= 1.0",
                "first_patched_version": {"identifier": "1.1"},
            },
            {"package": {"ecosystem": "npm", "name": "other"}, "first_patched_version": None},
        ],
        cvss_severities={
            "cvss_v3": {"vector_string": "CVSS:3.1/AV:N", "score": 10.0},
            "cvss_v4": {"vector_string": None, "score": 0.0},
        },
        cwes=[{"cwe_id": "CWE-502", "name": "Deserialization of Untrusted Data"}],
    )
    assert (one.guid, one.link, one.complete, one.published_at) == (
        "GHSA-0001-aaaa-bbbb",
        "https://github.com/advisories/GHSA-0001-aaaa-bbbb",
        True,
        datetime(2026, 11, 20, 9, tzinfo=UTC),
    )
    assert one.title == "GHSA-0001-aaaa-bbbb: Bug number 1"
    assert one.content == (
        "<p># Impact<br>It is &lt;bad&gt;.</p><p>## Patches<br>Use 2.15.0.</p>"
        "<ul><li>CVE: CVE-2021-44228</li><li>Severity: critical 10.0 (CVSS:3.1/AV:N)</li>"
        "<li>Weaknesses: CWE-502 Deserialization of Untrusted Data</li>"
        "<li>Package: maven com.example:lib &gt;= 2.0, &lt; 2.15.0 (fixed in 2.15.0)</li>"
        "<li>Package: npm lib &lt;= 1.0 (fixed in 1.1)</li><li>Package: npm other (no fix)</li></ul>"
        '<p>References:</p><ul><li><a href="https://example.com/a?x=1&amp;y=2" rel="noopener noreferrer">'
        "https://example.com/a?x=1&amp;y=2</a></li></ul>"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"cvss_severities": {"cvss_v4": {"vector_string": "CVSS:4.0/x", "score": 9}}},
            "high 9.0 (CVSS:4.0/x)",
        ),
        ({"cvss": {"vector_string": "CVSS:3.0/x", "score": 5.5}}, "high 5.5 (CVSS:3.0/x)"),
        ({"cvss": {"vector_string": "x", "score": True}}, "high"),
        ({"cvss": {"vector_string": None, "score": 0.0}}, "high"),
    ],
)
def test_a_score_is_told_where_there_is_one(changes: dict[str, object], words: str) -> None:
    assert f"<li>Severity: {words}</li>" in (entry(**changes).content or "")


def test_one_without_a_severity_or_anything_else() -> None:
    one = entry(severity="unknown", description=None, html_url="javascript:x", summary=None)
    assert (one.title, one.content) == ("GHSA-0001-aaaa-bbbb", None)
    assert one.link == "https://github.com/advisories/GHSA-0001-aaaa-bbbb"


def test_a_withdrawn_one_and_malware_say_so() -> None:
    one = entry(withdrawn_at="2026-11-22T00:00:00Z", type="malware")
    assert one.title == "GHSA-0001-aaaa-bbbb: withdrawn: Bug number 1"
    assert one.content == (
        "<p><strong>This advisory was withdrawn</strong> (2026-11-22T00:00:00Z).</p><p>It is bug number 1.</p>"
        "<ul><li>Kind: malware</li><li>Severity: high</li></ul>"
    )


def test_a_bad_one_costs_the_others_nothing() -> None:
    odd: list[Any] = [None, [], {}, "x", {"ghsa_id": {}}, {"ghsa_id": "GHSA-1"}]
    document = read(
        *odd, advisory(1, NOW, references={}, vulnerabilities=["x"], cwes=5, published_at=[], type=[])
    )
    assert [one.guid for one in document.entries] == ["GHSA-0001-aaaa-bbbb"]
    assert {one.reason for one in document.left_out} == {
        "it cannot be read: ValueError: it has no GHSA as its ghsa_id"
    }
    assert len(document.left_out) == len(odd)


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(NotAFeed, match=r"^JSON came, and not a list of advisories$"):
        read_advisories(b"{}", URL)
    with pytest.raises(NotAFeed, match=r"^JSON that cannot be read came instead of a feed"):
        read_advisories(b"<html>", URL)
    with pytest.raises(ParserFailed, match=r"^the JSON is nested too deeply to be read$"):
        read_advisories(b"[" * 200_000, URL)
    with pytest.raises(ParserFailed, match=r"^the answer has 101 advisories; 100 were asked for$"):
        read(*[{}] * 101)


def test_huge_texts_are_cut() -> None:
    huge = "word\n\n" * 400_000
    one = entry(
        summary=huge,
        description=huge,
        references=["https://a/" + huge, *["https://a/b"] * 500],
        cwes=[{"name": huge}],
    )
    assert len(one.title) <= 600
    assert len(one.content or "") <= 400_000


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"message": []}', b"[" * 200_000])
def test_errors_that_say_nothing(body: bytes) -> None:
    assert words_of(body) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("2026-11-01T00:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*advisory(1, NOW), "package", "score", "vector_string", "cvss", "name"])
            | st.text(),
            inner,
            max_size=8,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=60)
@given(
    items=st.lists(
        JSON | st.fixed_dictionaries({"ghsa_id": st.just("GHSA-aaaa-bbbb-cccc"), "cwes": JSON}), max_size=5
    ),
    one=st.dictionaries(st.sampled_from(["since", "began", "after", "pages"]), JSON),
    reached=JSON,
    link=st.text() | st.just('<?after=x>; rel="next"'),
    date=st.text() | st.just("Mon, 23 Nov 2026 00:00:00 GMT"),
)
def test_no_json_trips_it(items: list[Any], one: dict[str, Any], reached: Any, link: str, date: str) -> None:
    read(*items)
    cursor = {"round": one, "reached": reached}
    round_ = began(round_in(cursor, NOW, 2), {"date": date}, NOW)
    try:
        left = onward(round_, {"link": link}, URL)
    except NotAFeed:
        return
    kept = cursor_after(cursor, round_, left)
    assert json.loads(json.dumps(kept, allow_nan=False, default=str)) is not None
    assert round_in(kept, NOW, 2).since
