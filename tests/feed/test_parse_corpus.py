"""Feeds that nobody here wrote: as many entries as the reference finds, and only the two promised errors."""

from __future__ import annotations

import calendar
import csv
import io
import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import feedparser
import pytest

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.dates import parse_date
from digestd.feed.identity import Assignment, StoredArticle, assign
from digestd.feed.parse import parse_feed
from digestd.model import Document, Entry
from support.corpus import corpus_path

# Feeds that hold exact repeats, with the number of entries that are left of them.
REPEATS = {
    # Three articles, each four times with the same guid, link, title, date and text.
    "fastfeedparser__al_monitor.com_rss.xml": 11,
    # One article twice.
    "feedreader__Rss20LeFigaro.xml": 49,
    # An empty <item/> inside each of the ten items; nothing in them tells one from another.
    "node-feedparser__illegally-nested.xml": 11,
}

_SMALL_BYTES = 16_000


def _manifest(root: Path) -> list[dict[str, str]]:
    with (root / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _read(root: Path, row: dict[str, str]) -> Document:
    url = row["origin_url"] or "https://example.org/feed"
    return parse_feed((root / row["file"]).read_bytes(), url, None)


def _check(root: Path, row: dict[str, str]) -> None:
    document = _read(root, row)
    expected = int(row["entries_json"] or row["entries_feedparser_6.0.14"])
    assert len(document.entries) == expected, row["file"]
    first = assign(document.entries, [])
    assert len({given.entry_key for given in first}) == REPEATS.get(row["file"], expected), row["file"]
    again = assign(_read(root, row).entries[::-1], _stored(first))
    assert [given for given in again if given.article_id is None or given.changed] == [], row["file"]


def _stored(assignments: Sequence[Assignment]) -> list[StoredArticle]:
    return [
        StoredArticle(number, given.entry_key, entry.identity, entry.link, entry.title, entry.content_hash)
        for number, given in enumerate(assignments, 1)
        for entry in [given.entry]
    ]


def test_small_real_feeds_have_all_their_entries() -> None:
    root = corpus_path("feeds-real")
    rows = [row for row in _manifest(root) if int(row["bytes"]) < _SMALL_BYTES]
    assert len(rows) >= 20
    for row in rows:
        _check(root, row)


@pytest.mark.slow
def test_every_real_feed_has_all_its_entries() -> None:
    root = corpus_path("feeds-real")
    for row in _manifest(root):
        _check(root, row)


@pytest.mark.slow
def test_a_real_feed_that_grows_loses_and_doubles_nothing() -> None:
    root = corpus_path("feeds-real")
    for row in _manifest(root):
        entries = _read(root, row).entries
        stored: list[StoredArticle] = []
        for begin in range(len(entries) - 1, -1, -max(1, len(entries) // 5)):
            stored = _ingest(entries[begin:], stored)
        stored = _ingest(entries, stored)
        assert len(stored) == len(assign(entries, [])), row["file"]


def _ingest(entries: Sequence[Entry], stored: list[StoredArticle]) -> list[StoredArticle]:
    assignments = assign(entries, stored)
    assert [given for given in assignments if given.changed] == []
    new = [given for given in assignments if given.article_id is None]
    return stored + [
        StoredArticle(len(stored) + number, *_columns(given)) for number, given in enumerate(new, 1)
    ]


def _columns(given: Assignment) -> tuple[str, str, str | None, str, str]:
    entry = given.entry
    return given.entry_key, entry.identity, entry.link, entry.title, entry.content_hash


@pytest.mark.slow
def test_dates_of_real_feeds_are_what_feedparser_reads() -> None:
    """Where it reads them at all, and reads them without guessing."""
    root = corpus_path("feeds-real")
    compared = 0
    for row in _manifest(root):
        for raw, parsed in _dates_of_feedparser((root / row["file"]).read_bytes()):
            compared += 1
            assert parse_date(raw) == parsed, (row["file"], raw)
    assert compared > 4_000


def _dates_of_feedparser(body: bytes) -> Iterator[tuple[str, datetime]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        result = feedparser.parse(io.BytesIO(body.lstrip()))
    for entry in result.entries:
        for name in ("published", "updated"):
            raw, parsed = dict.get(entry, name), dict.get(entry, f"{name}_parsed")
            if isinstance(raw, str) and parsed:
                yield raw, datetime.fromtimestamp(calendar.timegm(parsed), UTC)


def _documents_and_refusals(folder: str) -> tuple[int, int]:
    root = corpus_path(folder)
    documents = refusals = 0
    for file in sorted(path for path in root.rglob("*") if path.is_file() and path.name != "MANIFEST.tsv"):
        begin = time.perf_counter()
        try:
            parse_feed(file.read_bytes(), "https://example.org/feed", None)
            documents += 1
        except (NotAFeed, ParserFailed):
            refusals += 1
        assert time.perf_counter() - begin < 20, file
    return documents, refusals


@pytest.mark.slow
def test_every_conformance_case_is_a_document_or_a_refusal() -> None:
    documents, refusals = _documents_and_refusals("feeds-conformance")
    assert documents + refusals == 2_248
    assert refusals < 60


@pytest.mark.slow
def test_every_hostile_file_is_a_document_or_a_refusal() -> None:
    documents, refusals = _documents_and_refusals("feeds-hostile")
    assert documents + refusals == 144
    assert refusals >= 30


@pytest.mark.slow
def test_no_page_passes_for_a_feed() -> None:
    for file in sorted((corpus_path("feeds-hostile") / "not-a-feed").iterdir()):
        if file.name.endswith("__muhasebetr.html"):
            continue  # an RSS feed, whatever it is called
        with pytest.raises(NotAFeed, match=r"^an HTML page .*came instead of a feed$"):
            parse_feed(file.read_bytes(), "https://example.org/", "text/html")
