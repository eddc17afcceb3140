"""The catalogue KEV read: what an entry says, what has gone, and what is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.kev import MOST_ENTRIES, read_catalogue
from digestd.model import Document
from support.corpus import corpus_path
from support.kev_site import catalogue, vulnerability

URL = "https://www.cisa.gov/kev.json"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE, TWO, THREE = "CVE-2026-12345", "CVE-2026-0001", "CVE-2021-44228"


def read(body: bytes, before: Document | None = None) -> Document:
    return read_catalogue(body, URL, before.facts["memory"] if before else {}, NOW)


def guids(document: Document) -> list[str | None]:
    return [entry.guid for entry in document.entries]


def test_an_entry_says_all_that_the_catalogue_says() -> None:
    document = read(catalogue([vulnerability(ONE)]))
    (entry,) = document.entries
    assert (entry.guid, entry.title) == (ONE, f"{ONE}: Example Gateway Command Injection Vulnerability")
    assert (entry.link, entry.complete) == (f"https://nvd.nist.gov/vuln/detail/{ONE}", True)
    assert (entry.published_at, entry.published_raw) == (datetime(2026, 11, 21, tzinfo=UTC), "2026-11-21")
    link = '<a href="{0}" rel="noopener noreferrer">{0}</a>'
    assert entry.content == (
        "<p>Example Gateway contains &lt;a&gt; command injection vulnerability.</p>"
        "<p><strong>Required action:</strong> Apply mitigations per vendor instructions.</p>"
        "<ul><li>Vendor or project: Example</li><li>Product: Gateway</li><li>Added: 2026-11-21</li>"
        "<li>Due: 2026-12-12</li><li>Known use in ransomware campaigns: Unknown</li><li>Weaknesses: CWE-77</li></ul>"
        f"<p>Notes: {link.format('https://example.com/psirt/11')} ; "
        f"{link.format(f'https://nvd.nist.gov/vuln/detail/{ONE}')}</p>"
    )
    assert (document.title, document.whole) == ("CISA Catalog of Known Exploited Vulnerabilities", True)
    assert document.facts == {
        "memory": {
            "version": "2026.11.21",
            "released": "2026-11-21T15:00:12+00:00",
            "listed": {"2026": "12345"},
        },
        "outdated": False,
        "version": "2026.11.21",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"knownRansomwareCampaignUse": "Known"},
        {"dueDate": "2026-12-13"},
        {"shortDescription": "Another."},
        {"requiredAction": "Discontinue use."},
        {"notes": ""},
        {"cwes": []},
    ],
)
def test_whatever_changes_in_it_changes_the_article(changes: dict[str, object]) -> None:
    before = read(catalogue([vulnerability(ONE)]))
    after = read(catalogue([vulnerability(ONE, **changes)], version="2026.11.22"), before)
    assert after.entries[0].identity == before.entries[0].identity
    assert after.entries[0].content_hash != before.entries[0].content_hash


def test_blanks_at_the_ends_are_no_change() -> None:
    before = read(catalogue([vulnerability(ONE)]))
    blanks: dict[str, object] = {
        "vendorProject": "Example",
        "product": " Gateway  ",
        "dueDate": "2026-12-12 ",
    }
    after = read(catalogue([vulnerability(ONE, cveID=f" {ONE} ".lower(), **blanks)]), before)
    assert after.entries[0].content_hash == before.entries[0].content_hash


def test_what_has_gone_is_told_in_its_place() -> None:
    first = read(catalogue([vulnerability(ONE), vulnerability(TWO), vulnerability(THREE)]))
    body = catalogue([vulnerability(ONE)], version="2026.11.23", released="2026-11-23T08:00:00Z")
    second = read(body, first)
    assert guids(second) == [ONE, THREE, TWO]
    told = second.entries[1]
    # It is the article that there is, by its identity, and keeps its date.
    assert told.identity == first.entries[2].identity
    assert (told.link, told.published_at, told.complete) == (first.entries[2].link, None, True)
    assert told.title == f"{THREE}: removed from the KEV catalogue"
    assert told.content == (
        "<p>CISA's catalogue of known exploited vulnerabilities (version 2026.11.23 of 2026-11-23) no longer lists "
        "CVE-2021-44228. What it said of it is kept as an earlier version of this article.</p>"
    )
    assert told.facts == {"removed": "2026-11-23"}
    assert guids(read(body, second)) == [ONE]
    back = read(
        catalogue([vulnerability(ONE), vulnerability(TWO)], version="2026.11.24", released=""), second
    )
    assert back.entries[1] == first.entries[1]


def test_a_catalogue_without_a_version_is_told_by_its_day() -> None:
    first = read(catalogue([vulnerability(ONE), vulnerability(TWO)], version="", released=""))
    told = read(catalogue([vulnerability(ONE)], version="", released=""), first).entries[1]
    assert told.content == (
        "<p>CISA's catalogue of known exploited vulnerabilities (the one of 2026-11-23) no longer lists CVE-2026-0001. "
        "What it said of it is kept as an earlier version of this article.</p>"
    )


def test_the_facts_of_an_entry() -> None:
    flagged = vulnerability(TWO, knownRansomwareCampaignUse=" Known ", dueDate=None)
    document = read(catalogue([vulnerability(ONE), flagged]))
    assert [entry.facts for entry in document.entries] == [
        {"ransomware": "Unknown", "due": "2026-12-12"},
        {"ransomware": "Known"},
    ]


@pytest.mark.parametrize(
    "body",
    [
        catalogue([]),
        catalogue([vulnerability(ONE)], count=2),
        catalogue([vulnerability(ONE), vulnerability("CVE-none")]),
        catalogue([vulnerability(ONE), 7]),
    ],
    ids=["empty", "other count", "no CVE", "no object"],
)
def test_what_may_be_missing_by_mistake_has_not_gone(body: bytes) -> None:
    first = read(catalogue([vulnerability(ONE), vulnerability(TWO)]))
    second = read(body, first)
    assert not second.whole
    assert set(guids(second)) <= {ONE}
    third = read(catalogue([vulnerability(ONE)]), second)
    assert [(entry.guid, entry.facts) for entry in third.entries] == [
        (ONE, {"ransomware": "Unknown", "due": "2026-12-12"}),
        (TWO, {"removed": "2026-11-21"}),
    ]


def test_an_older_catalogue_is_told_and_not_read() -> None:
    first = read(catalogue([vulnerability(ONE), vulnerability(TWO)]))
    for other in (
        {"released": "2026-11-20T15:00:00Z"},
        {"version": "2026.11.20", "released": "soon"},
        {"version": "2025.12.31", "released": "2027-06-01T00:00:00Z"},
    ):
        second = read(catalogue([vulnerability(ONE)], **other), first)
        assert (second.entries, second.whole, second.facts["outdated"]) == ((), False, True)
        assert second.facts["memory"] == first.facts["memory"]
    for other in ({"version": "next", "released": "soon"}, {"version": "2026.11.21.1", "released": ""}, {}):
        assert len(read(catalogue([vulnerability(ONE)], **other), first).entries) == 2


def test_a_release_in_the_future_does_not_outdate_what_follows() -> None:
    body = catalogue([vulnerability(ONE)], released=(NOW + timedelta(days=30)).isoformat())
    first = read(body)
    assert first.facts["memory"]["released"] is None
    assert len(read(catalogue([vulnerability(ONE), vulnerability(TWO)]), first).entries) == 2


def test_an_entry_that_cannot_be_read_costs_the_others_nothing() -> None:
    odd: list[Any] = [None, [], {"vulnerabilityName": "no CVE"}, {"cveID": {"a": 1}}, {"cveID": "CVE-2026-1"}]
    document = read(
        catalogue([*odd, vulnerability(ONE), {"cveID": TWO, "cwes": 5, "notes": ["x"], "product": {}}])
    )
    assert guids(document) == [ONE, TWO]
    assert [one.reason for one in document.left_out] == [
        "it cannot be read: ValueError: it has no CVE as its cveID"
    ] * len(odd)
    assert document.entries[1].title == TWO


def test_a_cve_that_is_listed_twice_is_one_article() -> None:
    document = read(catalogue([vulnerability(ONE), vulnerability(ONE, dueDate="2030-01-01")]))
    assert (len(document.entries), document.whole) == (1, True)
    assert "2026-12-12" in (document.entries[0].content or "")


def test_what_is_no_catalogue_is_refused() -> None:
    with pytest.raises(
        NotAFeed, match=r"^JSON came, and not the KEV catalogue: it has no list called vulnera"
    ):
        read(b'{"vulnerabilities": {"a": 1}}')
    for text in (b"[]", b"7", b'"x"'):
        with pytest.raises(NotAFeed, match=r"^JSON came, and not the KEV catalogue"):
            read(text)
    for text in (b"", b"<html>Access Denied</html>", b'{"vulnerabilities": [{"cveID'):
        with pytest.raises(NotAFeed, match=r"^JSON that cannot be read came instead of a feed"):
            read(text)
    with pytest.raises(ParserFailed, match=r"^the JSON is nested too deeply to be read"):
        read(b'{"vulnerabilities": ' + b"[" * 200_000)
    with pytest.raises(
        ParserFailed, match=r"^the catalogue lists 50,001 entries; more than 50,000 are not read"
    ):
        read(b'{"vulnerabilities": [' + b"{}," * MOST_ENTRIES + b"{}]}")


def test_huge_texts_are_cut() -> None:
    huge: dict[str, object] = {
        name: "https://a.example/?x=" * 50_000 for name in vulnerability(ONE) if name not in ("cveID", "cwes")
    }
    document = read(
        catalogue([vulnerability(ONE, cwes=["CWE-1"] * 100_000, **huge), vulnerability("CVE-1" * 99_999)])
    )
    (entry,) = document.entries
    assert len(entry.content or "") < 300_000
    assert (len(entry.title), entry.published_at) == (516, None)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text()
    | st.sampled_from([ONE, TWO]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(sorted(vulnerability(ONE))) | st.text(), inner, max_size=8)
    ),
    max_leaves=20,
)


@settings(max_examples=100)
@given(items=st.lists(JSON, max_size=6), top=st.dictionaries(
    st.sampled_from(["catalogVersion", "dateReleased", "count", "title"]), JSON
), memory=st.dictionaries(st.sampled_from(["version", "released", "listed"]), JSON))  # fmt: skip
def test_no_json_trips_it(items: list[Any], top: dict[str, Any], memory: dict[str, Any]) -> None:
    body = json.dumps({"vulnerabilities": items, **top}).encode()
    document = read_catalogue(body, URL, memory, NOW)
    json.dumps(document.facts)
    again = read_catalogue(body, URL, document.facts["memory"], NOW)
    assert set(guids(again)) <= set(guids(document))


def test_real_catalogues_follow_each_other() -> None:
    folder = corpus_path("json-apis") / "kev"
    name = "kev-data__known_exploited_vulnerabilities"
    before: Document | None = None
    told: list[tuple[int, int, int]] = []
    for date in ("_2025.05.12", "_2025.07.02", "_2025.08.21", ""):
        document = read((folder / f"{name}{date}.json").read_bytes(), before)
        assert (document.whole, document.left_out) == (True, ())
        seen = before.entries if before else ()
        old = {entry.identity: entry.content_hash for entry in seen}
        new = [entry for entry in document.entries if entry.identity not in old]
        changed = [
            one for one in document.entries if old.get(one.identity, one.content_hash) != one.content_hash
        ]
        told.append((len(document.entries), len(new), len(changed)))
        assert all(entry.published_at and entry.content for entry in document.entries)
        before = document
    assert told == [(1336, 1336, 0), (1374, 38, 12), (1401, 27, 2), (1404, 3, 0)]
    outdated = read((folder / f"{name}_2025.05.12.json").read_bytes(), before)
    assert outdated.facts["outdated"]
    oldest = read((folder / "open-vulnerability-project__known_exploited_vulnerabilities.json").read_bytes())
    assert (len(oldest.entries), oldest.whole) == (922, True)
