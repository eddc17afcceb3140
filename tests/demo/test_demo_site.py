"""The sample site as data: fresh dates, whole pages, feeds of the four formats."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import feedparser
import pytest

from digestd.demo.site import demo_sources, sample_site

BASE = "http://127.0.0.1:4567"
NOW = datetime(2026, 3, 1, 9, 5, 7, 654321, tzinfo=UTC)
SITE = sample_site(BASE, NOW)
PAGES = sorted(path for path, resource in SITE.items() if resource.content_type.startswith("text/html"))


def test_the_six_sources() -> None:
    sources = demo_sources(BASE)
    assert [(source.name, source.kind, source.url.removeprefix(BASE)) for source in sources] == [
        ("Harbour Linux Security Notices", "feed", "/harbour-linux/notices.rss"),
        ("Ternwick Labs Research", "feed", "/ternwick-labs/research.atom"),
        ("Northmoor CERT: exploited vulnerabilities", "feed", "/northmoor-cert/exploited.rdf"),
        ("Breach Ledger", "feed", "/breach-ledger/feed.json"),
        ("Gull Street Diary (malformed on purpose)", "feed", "/gull-street/diary.rss"),
        ("Brasslock PSIRT (answers 500 on purpose)", "feed", "/brasslock/psirt.rss"),
    ]
    assert [SITE[source.url.removeprefix(BASE)].status for source in sources] == [
        200,
        200,
        200,
        200,
        200,
        500,
    ]


@pytest.mark.parametrize(
    ("path", "version", "entries"),
    [
        ("/harbour-linux/notices.rss", "rss20", 6),
        ("/ternwick-labs/research.atom", "atom10", 6),
        ("/northmoor-cert/exploited.rdf", "rss10", 5),
    ],
)
def test_xml_feeds_are_well_formed(path: str, version: str, entries: int) -> None:
    body = SITE[path].body
    ElementTree.fromstring(body)
    feed = feedparser.parse(io.BytesIO(body))
    assert (feed.version, len(feed.entries)) == (version, entries)
    assert all(
        entry.link and entry.title and ("published" in entry or "updated" in entry) for entry in feed.entries
    )


def test_the_json_feed() -> None:
    feed = json.loads(SITE["/breach-ledger/feed.json"].body)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert len(feed["items"]) == 5
    assert all(
        {"id", "url", "title", "content_html", "date_published"} <= set(item) for item in feed["items"]
    )


def test_the_malformed_feed_is_malformed_and_readable() -> None:
    body = SITE["/gull-street/diary.rss"].body
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(body)
    feed = feedparser.parse(io.BytesIO(body))
    assert [entry.title for entry in feed.entries] == [
        "Patch day notes: relays & printers first",
        "Phish of the week: the parcel that weighs 0 kg",
        "Log the clock: why your timelines do not add up",
        "Backup drill < 4 hours, or it is not a drill",
        "Reading list for a rainy weekend",
    ]


def test_dates_are_reckoned_from_now_in_the_format_asked_for() -> None:
    rss = SITE["/harbour-linux/notices.rss"].body.decode()
    assert "<pubDate>Sun, 01 Mar 2026 08:23:07 +0000</pubDate>" in rss
    atom = SITE["/ternwick-labs/research.atom"].body.decode()
    assert "<published>2026-03-01T08:10:07+00:00</published>" in atom


def test_the_demo_looks_fresh() -> None:
    for path in ("/ternwick-labs/research.atom", "/northmoor-cert/exploited.rdf", "/breach-ledger/feed.json"):
        found = re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", SITE[path].body.decode())
        ages = [NOW - datetime.fromisoformat(moment) for moment in found]
        assert min(ages) < timedelta(hours=2), path
        assert timedelta(days=5) < max(ages) < timedelta(days=10), path


@pytest.mark.parametrize("path", sorted(SITE))
def test_no_placeholder_is_left(path: str) -> None:
    assert b"{{" not in SITE[path].body
    assert b"}}" not in SITE[path].body


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_whole(path: str) -> None:
    page = SITE[path].body.decode()
    heading = re.findall(r"<h1>(.+)</h1>", page)
    assert len(heading) == 1
    assert f"<title>{heading[0]}</title>" in page
    assert f'<link rel="canonical" href="{BASE}{path}">' in page
    assert f'<a href="{BASE}{path.rpartition("/")[0]}/">Home</a>' in page
    assert page.count("<article>") == page.count("</article>") == 1


def test_every_entry_has_its_page_and_every_page_its_entry() -> None:
    feeds = "".join(
        resource.body.decode()
        for path, resource in SITE.items()
        if path not in PAGES and resource.status == 200
    )
    linked = {path for path in re.findall(re.escape(BASE) + r"(/[^\"<\s?]*)", feeds) if path in PAGES}
    assert linked == set(PAGES)


def test_names_and_numbers_are_invented() -> None:
    text = "".join(resource.body.decode() for resource in SITE.values())
    assert set(re.findall(r"CVE-\d+-(\d)", text)) == {"9"}
    hosts = {host for host in re.findall(r"https?://([^/\"<\s]+)", text) if host != "127.0.0.1:4567"}
    assert hosts == {"www.w3.org", "purl.org", "jsonfeed.org"}  # namespaces and the format's own name
    assert set(re.findall(r"tag:([^,]+),", text)) == {
        "harbour-linux.example",
        "ternwick-labs.example",
        "breach-ledger.example",
    }


def test_validators_follow_the_bytes() -> None:
    later = sample_site(BASE, NOW + timedelta(minutes=1))
    path = "/harbour-linux/notices.rss"
    assert sample_site(BASE, NOW)[path].etag == SITE[path].etag != later[path].etag
    assert re.fullmatch(r'"[0-9a-f]{32}"', SITE[path].etag)
