"""What is printed of a trial: all of it, each thing on one line, and nothing that steers a terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from digestd.cli.trial_words import facts, found_line, rows, trial_record, tried_lines
from digestd.feed.text import strip_controls
from digestd.ingest.discovery import Discovery, Find, Tried
from digestd.ingest.trial import Trial
from digestd.model import Document, Entry, Failure, LeftOut, SourceSpec
from digestd.store.looking import key_of

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SPEC = SourceSpec("one", "feed", "https://me:pw@one.example/feed?key=hunter2")


def entry(number: int = 1, **changes: Any) -> Entry:
    made = Entry(
        identity=f"i{number}",
        content_hash=f"h{number}",
        guid=f"https://one.example/{number}?token=hunter2",
        link=f"https://one.example/{number}?token=hunter2&id=7",
        title=f"Advisory {number}",
        published_at=NOW - timedelta(hours=number),
    )
    return replace(made, **changes)


def trial(*entries: Entry, title: str | None = "The lab", **changes: Any) -> Trial:
    document = Document("https://one.example/feed?key=hunter2", "rss20", title=title, entries=entries)
    made = Trial(
        spec=SPEC,
        outcome="fetched",
        seconds=1.234,
        steps=1,
        body_bytes=1_234,
        documents=(document,),
        entries=entries,
        schedule_reason="interval",
        next_delay_seconds=1_800.4,
    )
    return replace(made, **changes)


def test_what_came_of_it_is_told() -> None:
    assert list(facts(trial(entry()), "advertised by the page https://one.example/")) == [
        "kind         feed",
        "url          https://***@one.example/feed?key=***",
        "found        advertised by the page https://one.example/",
        "answered by  https://one.example/feed?key=***",
        "outcome      fetched in 1.23 s, 1 step, 1,234 bytes",
        "document     RSS 2.0, 'The lab'",
        "entries      1 would be kept",
        "next poll    in 1,800 s: its interval",
    ]


def test_what_is_wrong_is_told() -> None:
    failure = Failure("http_status", "the server answered 503", 503)
    told = list(
        facts(trial(outcome="failed", failure=failure, documents=(), state="degraded", steps=2), None)
    )
    assert "error        http_status: the server answered 503" in told
    assert "state        degraded" in told
    assert "outcome      failed in 1.23 s, 2 steps, 1,234 bytes" in told
    assert not [line for line in told if line.startswith(("entries", "document", "found"))]
    paused = Trial(SPEC, None, Failure("paused", "the host wants to be left alone"))
    assert list(facts(paused, None))[2:] == [
        "outcome      not polled",
        "error        paused: the host wants to be left alone",
    ]


def test_what_is_left_and_set_aside_is_told() -> None:
    bad = LeftOut("k", "g?token=hunter2", "Bad", "it cannot be read", "{}")
    told = list(facts(trial(entry(), left_out=(bad,), unfinished=True, words="shape: odd"), None))
    assert "entries      1 would be kept; there are more, which the poll itself asks for (--steps)" in told
    assert "set aside    1" in told
    assert "remark       shape: odd" in told


def test_entries_are_rows() -> None:
    entries = (
        entry(1),
        entry(2, complete=True, published_at=None),
        entry(3, link=None, title=""),
        # Tomorrow's tomorrow is a mistake, as to the store.
        entry(4, published_at=NOW + timedelta(days=2)),
    )
    standings: dict[str, Any] = {key_of(entries[0]): "known", key_of(entries[1]): "changed"}
    link = "https://one.example/{}?token=***&id=7"
    assert list(rows(trial(*entries), standings, 4, NOW)) == [
        ("known", "2026-11-29 11:00", "page", "Advisory 1", link.format(1)),
        ("changed", "no date", "in the feed", "Advisory 2", link.format(2)),
        ("new", "2026-11-29 09:00", "no link", "(no title)", ""),
        ("new", "no date", "page", "Advisory 4", link.format(4)),
    ]
    assert len(list(rows(trial(*entries), None, 2, NOW))) == 2
    feed_only = trial(entry(), skip_pages="the source says content: feed")
    assert next(rows(feed_only, None, 1, NOW))[2] == "feed only"


def test_a_find_is_one_sentence() -> None:
    find = Find(trial(entry(1), entry(2)), "a feed", "advertised by the page https://one.example/")
    assert found_line(find, NOW) == (
        "a feed (RSS 2.0) 'The lab', 2 entries, the newest 1 h ago, advertised by the page https://one.example/"
    )
    spec = SourceSpec("one", "reddit", "https://www.reddit.com/r/netsec")
    other = Find(
        trial(entry(1, published_at=None), title=None, spec=spec, unfinished=True), "r/netsec on Reddit"
    )
    assert found_line(other, NOW) == "r/netsec on Reddit (kind reddit), 1 entry so far"


HOSTILE = st.text(st.sampled_from("a \x1b\x07\n\r\t\x85\u202e\u200b\u2028'\"\\é"), max_size=30)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_from_outside_steers_a_terminal_or_makes_a_line(one: str, two: str, three: str) -> None:
    bad = LeftOut("k", one, two, three, "{}")
    tried = trial(
        entry(title=one, link=f"https://one.example/{two}", guid=three),
        title=two,
        failure=Failure("not_a_feed", three),
        left_out=(bad,),
        words=one,
    )
    discovery = Discovery(tried=[Tried(one, two)])
    told = [
        *facts(tried, one),
        *facts(replace(tried, failure=None), two),
        *tried_lines(discovery),
        found_line(Find(tried, one, two), NOW),
        *(cell for row in rows(tried, None, 9, NOW) for cell in row),
    ]
    for line in told:
        assert line == strip_controls(line)
        assert len(line.splitlines()) <= 1
    record = trial_record(tried, one, None, 9, NOW)
    assert record["title"] is None or record["title"] == strip_controls(record["title"])
    assert record["entries"][0]["title"] == strip_controls(record["entries"][0]["title"])


def test_records_show_no_secrets() -> None:
    bad = LeftOut("k", "https://one.example/?token=hunter2", "Bad", "it cannot be read", "{}")
    assert "hunter2" not in repr(trial_record(trial(entry(), left_out=(bad,)), None, None, 9, NOW))
