"""What was revised, as an operator and a program are told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from digestd.cli.articles import _described, _described_version
from digestd.cli.records import article_record
from digestd.cli.revisions import print_revised, version_record
from digestd.cli.showing import as_item
from digestd.digest.render import render_digest
from digestd.model import Article, ArticleVersion
from store.builders import entry, polled, step, taken
from store.conftest import open_at
from support.process import run

NOW = datetime(2026, 11, 29, 8, tzinfo=UTC)
LINK = "https://u:hunter2@a.example/x?api_key=hunter2"
RAISED: dict[str, Any] = {"severity": ["MEDIUM", "CRITICAL"], "url": [LINK, None], "content": [3, 4]}


def article(changes: dict[str, Any] | None = RAISED, title: str = "A title") -> Article:
    before = NOW - timedelta(hours=3)
    return Article(
        7, "s", title, None, None, None, None, "<p>new</p>", before, "entry", before,
        updated_at=NOW, facts={"severity": "CRITICAL"}, changes=changes,
    )  # fmt: skip


def version(text: str = "", changes: dict[str, Any] | None = RAISED) -> ArticleVersion:
    before = NOW - timedelta(hours=3)
    facts = {"severity": "MEDIUM"}
    return ArticleVersion(
        1, before, NOW, f"Before{text}", LINK, f"Ada{text}", None, f"<p>old{text}</p>", facts, changes or {}
    )


def test_an_article_is_shown_with_what_was_revised() -> None:
    assert _described(article(), [version()]) == (
        "A title\n\n"
        "source      s\n"
        "published   2026-11-29T05:00:00+00:00 (from: entry)\n"
        "first seen  2026-11-29T05:00:00+00:00\n"
        "updated     2026-11-29T08:00:00+00:00\n"
        "page        pending, attempts: 0\n"
        "version 1   2026-11-29T05:00:00+00:00 to 2026-11-29T08:00:00+00:00, then severity MEDIUM -> CRITICAL\n\n"
        "-- text of the feed\n\nnew"
    )


def test_an_earlier_version_is_shown_with_its_text() -> None:
    assert _described_version(version()) == (
        "Before\n\n"
        "version 1   2026-11-29T05:00:00+00:00 to 2026-11-29T08:00:00+00:00, then severity MEDIUM -> CRITICAL\n"
        "link        https://***@a.example/x?api_key=***\n"
        "author      Ada\n\n"
        "-- text of the feed\n\nold"
    )


def test_programs_are_told_all_and_no_secret() -> None:
    masked = "https://***@a.example/x?api_key=***"
    assert version_record(version()) == {
        "number": 1,
        "said_at": "2026-11-29T05:00:00+00:00",
        "replaced_at": "2026-11-29T08:00:00+00:00",
        "title": "Before",
        "url": masked,
        "author": "Ada",
        "summary": None,
        "content": "<p>old</p>",
        "facts": {"severity": "MEDIUM"},
        "changes": {"severity": ["MEDIUM", "CRITICAL"], "url": [masked, None], "content": [3, 4]},
        "revision": "severity MEDIUM -> CRITICAL",
    }
    assert article_record(article())["revision"] == "severity MEDIUM -> CRITICAL"
    assert article_record(article(None))["revision"] is None


def test_a_list_of_what_was_revised(capsys: pytest.CaptureFixture[str]) -> None:
    print_revised([article(), article({"content": [3, 4]}, "[red]b\x1b[31m")], NOW + timedelta(hours=2))
    lines = [line.rstrip() for line in capsys.readouterr().out.strip().splitlines()]
    assert lines[0].split() == ["id", "revised", "source", "title", "what", "changed"]
    assert lines[2].split() == [
        "7",
        "2",
        "h",
        "ago",
        "s",
        "A",
        "title",
        "severity",
        "MEDIUM",
        "->",
        "CRITICAL",
    ]
    assert lines[3].split()[5:] == ["[red]b[31m", "edited:", "text"]


def test_a_digest_tells_what_was_revised_of_an_advisory_alone() -> None:
    shown = render_digest([as_item(article())], width=80, limit_per_source=1)
    assert shown.splitlines()[2:] == [
        "• A title",
        "  2026-11-29 05:00 UTC",
        "  revised 2026-11-29 08:00 UTC: severity MEDIUM -> CRITICAL",
        "  new",
    ]
    edited = render_digest([as_item(article({"title": ["a", "b"]}))], width=80, limit_per_source=1)
    assert "revised" not in edited
    long = render_digest([as_item(article({"due": ["a " * 99, "b"]}))], width=40, limit_per_source=1)
    assert len(long.splitlines()) == 7


_HOSTILE = st.text(alphabet="ab \n\t\r\x1b\x9b\x07\u202e\u2066\u2028\u200b\ufeff\U000e0041]8;;", max_size=40)


@given(_HOSTILE)
def test_no_version_steers_the_terminal_or_makes_a_fact(text: str) -> None:
    forged = f"{text}\nsource      forged"
    hostile = version(forged, {"due": [forged, forged], "title": [text, text], forged: [1, 2]})
    changed = article({"due": [forged, None]})
    for shown in (
        _described(changed, [hostile]),
        _described_version(hostile),
        render_digest([as_item(changed)], width=80, limit_per_source=1),
    ):
        assert not set(shown) & set("\r\x1b\x9b\x07\u202e\u2066\u2028\u200b\ufeff\U000e0041")
        facts = shown.partition("-- text")[0].splitlines()[1:]
        assert not [line for line in facts if line.endswith("  forged")]


async def fill(folder: Path) -> None:
    async with open_at(f"sqlite:///{folder / 'digestd.db'}") as store:
        before = entry("1", "Advisory", content="<p>medium</p>", facts={"severity": "MEDIUM"})
        after = entry("1", "Advisory", content="<p>critical</p>", facts={"severity": "CRITICAL"})
        ids = await polled(store, Example=[before, entry("2", "Another")])
        await store.record([step(await taken(store, ids["Example"], force=True), after)])


@pytest.mark.slow
def test_the_commands(tmp_path: Path) -> None:
    trio.run(fill, tmp_path)

    def say(*arguments: str) -> tuple[int, str, str]:
        done = run(["articles", *arguments], tmp_path, STATE_DIRECTORY=str(tmp_path))
        return done.returncode, done.stdout, done.stderr

    status, listed, _ = say("--revised", "--since", "1h")
    assert (status, "Another" in listed) == (0, False)
    assert "severity MEDIUM -> CRITICAL \n" in listed
    assert listed.endswith("1 articles\n")
    (found,) = json.loads(say("--revised", "--json")[1])
    number = str(found["id"])
    shown = json.loads(say("show", number, "--json")[1])
    assert (shown["facts"], shown["revision"]) == ({"severity": "CRITICAL"}, "severity MEDIUM -> CRITICAL")
    assert [one["changes"] for one in shown["versions"]] == [
        {"severity": ["MEDIUM", "CRITICAL"], "content": [13, 15]}
    ]
    status, earlier, _ = say("show", number, "--version", "1")
    assert (status, earlier.splitlines()[-1]) == (0, "medium")
    assert json.loads(say("show", number, "--version", "1", "--json")[1]) == shown["versions"][0]
    assert say("show", number, "--version", "2") == (
        1,
        "",
        f"digestd: there is no version 2 of article {number}; `digestd articles show {number}` lists them\n",
    )
    assert say("show", "4711", "--version", "1")[2] == (
        "digestd: there is no article 4711; `digestd articles` lists them\n"
    )
    assert "severity MEDIUM -> CRITICAL" in say("--revised", "--csv")[1]
