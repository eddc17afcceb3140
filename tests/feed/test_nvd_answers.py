"""Answers of NVD's CVE API, and which window and page come next."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.nvd import read_cves
from digestd.feed.nvd_windows import LONGEST_WINDOW, Window, cursor_after, onward, reached_in, window_in
from digestd.model import Document, Entry
from support.corpus import corpus_path
from support.nvd_site import answer, cve

URL = "https://services.nvd.nist.gov/rest/json/cves/2.0"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def read(*cves: Any, at: int = 0, total: int | None = None) -> Document:
    return read_cves(answer(list(cves), at, len(cves) if total is None else total, NOW), URL, at)


def entry(**changes: object) -> Entry:
    (one,) = read(cve(1, NOW, **changes)).entries
    return one


def metric(score: object, source: str = "nvd@nist.gov", **data: object) -> dict[str, object]:
    return {"source": source, "type": "Primary", "cvssData": {"baseScore": score, **data}}


def test_a_cve_and_all_that_it_can_say() -> None:
    one = entry(
        published="2026-11-20T10:15:00.000",
        cisaExploitAdd="2026-11-21",
        cisaActionDue="2026-12-12",
        cisaRequiredAction="Apply mitigations.",
        cisaVulnerabilityName="Example Gateway Command Injection",
        cveTags=[{"sourceIdentifier": "psirt@example.com", "tags": ["disputed"]}],
        descriptions=[
            {"lang": "es", "value": "Inyección."},
            {"lang": "en", "value": "Injection in Example <Gateway> before 9.1.4 is there. It is bad."},
        ],
        metrics={
            "cvssMetricV40": [
                metric(8.8, "psirt@example.com", baseSeverity="HIGH"),
                metric(9.3, "cna@example.org", baseSeverity="CRITICAL", vectorString="CVSS:4.0/AV:N"),
            ],
            "cvssMetricV31": [metric(9.8, baseSeverity="CRITICAL")],
        },
        weaknesses=[
            {"description": [{"lang": "en", "value": "CWE-77"}]},
            {"description": [{"lang": "en", "value": "NVD-CWE-noinfo"}, {"lang": "en", "value": "CWE-77"}]},
        ],
        configurations=[
            {
                "nodes": [
                    {
                        "cpeMatch": [
                            {
                                "vulnerable": True,
                                "criteria": r"cpe:2.3:a:example:big_gate\:way:*:*:*:*:*:*:*:*",
                            },
                            {"vulnerable": False, "criteria": "cpe:2.3:o:example:system:*:*:*:*:*:*:*:*"},
                        ]
                    }
                ]
            }
        ],
        references=[
            {"url": "https://example.com/psirt?a=1&b=2", "tags": ["Vendor Advisory", "Patch"]},
            {"url": "https://example.com/psirt?a=1&b=2"},
            {"url": "javascript:alert(1)"},
            {"url": "https://example.org/"},
        ],
    )
    assert (one.guid, one.link, one.complete, one.language) == (
        "CVE-2026-00001",
        "https://nvd.nist.gov/vuln/detail/CVE-2026-00001",
        True,
        "en",
    )
    assert one.title == "CVE-2026-00001: Injection in Example <Gateway> before 9.1.4 is there."
    assert one.published_at == datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
    assert one.content == (
        "<p>Injection in Example &lt;Gateway&gt; before 9.1.4 is there. It is bad.</p>"
        "<ul><li>Severity: CRITICAL 9.3 (CVSS 4.0, cna@example.org, CVSS:4.0/AV:N)</li><li>Weaknesses: CWE-77</li>"
        "<li>Products: example big gate:way</li><li>Tags: disputed</li><li>Reported by: psirt@example.com</li>"
        "<li>Known to be exploited, by CISA, as: Example Gateway Command Injection</li>"
        "<li>Known to be exploited since: 2026-11-21</li><li>Due, by CISA: 2026-12-12</li>"
        "<li>Required action: Apply mitigations.</li></ul>"
        '<p>References:</p><ul><li><a href="https://example.com/psirt?a=1&amp;b=2" rel="noopener noreferrer">'
        "https://example.com/psirt?a=1&amp;b=2</a> (Vendor Advisory, Patch)</li>"
        '<li><a href="https://example.org/" rel="noopener noreferrer">https://example.org/</a></li></ul>'
    )


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"cvssMetricV2": [{**metric(10), "baseSeverity": "HIGH"}]}, "HIGH 10.0 (CVSS 2.0, nvd@nist.gov)"),
        (
            {"cvssMetricV30": [metric(0.0)], "cvssMetricV2": [metric(7.5)]},
            "0.0 (CVSS 3.0, nvd@nist.gov)",
        ),
        (
            {"cvssMetricV40": [metric("9"), metric(True), metric(11), "x"], "cvssMetricV31": [metric(5, "")]},
            "5.0 (CVSS 3.1)",
        ),
    ],
)
def test_the_newest_cvss_with_a_score_is_told(metrics: object, words: str) -> None:
    assert f"<li>Severity: {words}</li>" in (entry(metrics=metrics).content or "")


@pytest.mark.parametrize("missing", ["metrics", "weaknesses", "configurations", "references", "cveTags"])
def test_neither_scores_nor_products_are_needed(missing: str) -> None:
    bare = {
        name: value for name, value in cve(1, NOW).items() if name not in {missing, "metrics", "references"}
    }
    (one,) = read(bare).entries
    assert (one.title, one.content) == (
        "CVE-2026-00001: Bug number 1.",
        "<p>Bug number 1.</p><ul><li>Reported by: psirt@example.com</li></ul>",
    )


def test_a_rejected_one_says_so() -> None:
    words = [{"lang": "en", "value": "Rejected reason: DO NOT USE."}]
    one = entry(vulnStatus="Rejected", descriptions=words)
    assert one.title == "CVE-2026-00001: rejected"
    assert (one.content or "").startswith(
        "<p><strong>This CVE was rejected.</strong></p><p>Rejected reason: DO NOT USE.</p>"
    )


def test_what_changes_by_itself_changes_no_article() -> None:
    later = entry(lastModified="2026-12-01T00:00:00.000", vulnStatus="Deferred")
    assert replace(later, facts=None) == replace(entry(), facts=None)
    assert (entry().facts, later.facts) == ({"status": "Awaiting Analysis"}, {"status": "Deferred"})


def test_a_bad_one_costs_the_others_nothing() -> None:
    odd: list[Any] = [None, [], {}, {"id": {}}, {"id": "CVE-1"}, {"id": "CVE-2026-" + "1" * 30}]
    document = read(
        *odd, cve(7, NOW, descriptions="x", metrics=[1], references={}, published=[]), cve(7, NOW)
    )
    assert [one.title for one in document.entries] == ["CVE-2026-00007"]
    assert {one.reason for one in document.left_out} == {
        "it cannot be read: ValueError: it has no CVE as its id"
    }
    assert len(document.left_out) == len(odd)
    assert document.facts == {
        "total": 8,
        "keys": [""] * 6 + ["CVE-2026-00007"] * 2,
        "stamp": "2026-11-23T12:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("body", "at", "words"),
    [
        (
            b"[]",
            0,
            "JSON came, and not what the CVE API answers: it has no vulnerabilities or no totalResults",
        ),
        (answer([], 5, 5, NOW), 0, "the answer begins at CVE 5, and those from 0 on were asked for"),
        (
            answer([], 2_000, 3_000, NOW),
            2_000,
            "the answer says that there are 3,000 CVEs, and has none from 2,000 on",
        ),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, at: int, words: str) -> None:
    with pytest.raises(NotAFeed) as raised:
        read_cves(body, URL, at)
    assert str(raised.value) == words


def test_too_much_is_refused() -> None:
    with pytest.raises(ParserFailed, match=r"^the answer has 2,001 CVEs; 2,000 are the most there can be$"):
        read(*[{}] * 2_001)
    with pytest.raises(ParserFailed, match=r"^the JSON is nested too deeply to be read$"):
        read_cves(b'{"vulnerabilities":' + b"[" * 200_000, URL, 0)


def test_huge_texts_are_cut() -> None:
    huge = "word " * 400_000
    one = entry(
        descriptions=[{"lang": "en", "value": huge}],
        sourceIdentifier=huge,
        references=[
            {"url": "https://a/" + huge},
            *[{"url": f"https://a/{n}", "tags": [huge[:9_000]]} for n in range(500)],
        ],
    )
    assert len(one.title) <= 150
    assert len(one.content or "") <= 100_000


@pytest.mark.parametrize(
    "name", ["vunnel__single-entry.json", "vunnel__full-page.json", "vulnerablecode__nvd_test.json"]
)
def test_saved_answers(name: str) -> None:
    body = (corpus_path("json-apis") / "nvd" / name).read_bytes()
    document = read_cves(body, URL, 0)
    assert document.left_out == ()
    assert [one.guid for one in document.entries] == document.facts["keys"]
    assert all(one.published_at for one in document.entries)
    assert any("<li>Severity: " in (one.content or "") for one in document.entries)


def test_a_saved_answer_of_a_rejected_one() -> None:
    body = (corpus_path("json-apis") / "nvd" / "vulnerablecode__rejected_nvd.json").read_bytes()
    (one,) = read_cves(body, URL, 0).entries
    assert one.title == "CVE-2022-0094: rejected"


def test_a_list_that_goes_on_moving_is_gone_back_in_ten_times() -> None:
    facts = {"keys": [f"CVE-2026-{n:05}" for n in range(10, 20)], "total": 500, "stamp": None}
    places = []
    for returns in range(11):
        window = Window(NOW - timedelta(days=1), NOW, 10, 100, ("CVE-2026-00001",), returns)
        following = onward(window, facts, NOW)
        assert following is not None
        places.append(following.at)
    # A fifth of the page is read again.
    assert places == [90] * 10 + [108]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["CVE-2026-1234", "2026-11-01T00:00:00.000", 5]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*cve(1, NOW), "cvssMetricV31", "cvssData", "baseScore", "tags", "url"])
            | st.text(),
            inner,
            max_size=8,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=80)
@given(
    items=st.lists(JSON, max_size=5),
    total=st.integers(0, 30),
    stamp=JSON,
    window=st.dictionaries(st.sampled_from(["begin", "end", "at", "seen", "size", "returns", "stamp"]), JSON),
    reached=JSON,
)
def test_no_json_trips_it(
    items: list[Any], total: int, stamp: Any, window: dict[str, Any], reached: Any
) -> None:
    cursor = {"window": window, "reached": reached}
    one = window_in(cursor, NOW, 2, 100)
    assert one.begin < one.end <= one.begin + LONGEST_WINDOW
    body = json.dumps({"vulnerabilities": items, "totalResults": total, "timestamp": stamp}).encode()
    try:
        document = read_cves(body, URL, one.at)
    except NotAFeed:
        assert not items
        return
    left = onward(one, document.facts, NOW)
    kept = cursor_after(one, left, reached_in(cursor, NOW), document.facts, NOW, 100)
    assert json.loads(json.dumps(kept)) == kept
    assert window_in(kept, NOW, 2, 100).begin
