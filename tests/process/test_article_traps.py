"""Pages that are no articles, pages that want to be left alone, and pages that would hurt, each met by a real process;
and what `digestd articles` tells of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kept import Database, Kept
from support.newsroom import Newsroom, Story, open_newsroom, redirect, respond
from support.process import run, write_settings

pytestmark = pytest.mark.slow

HOSTILE = "\x9d0;owned\u202e and turned"
PDF = {"Content-Type": "application/pdf"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
MANY = 60 * 2**20
WALL = b"<html><body><article><h1>Our archive</h1>%b</article></body></html>" % (
    b"<p>Everything that we wrote in the last ten years stands in the archive for those who pay for it.</p>"
    * 4
)
SCRIPTS = b"<html><head><title>Daily</title></head><body><div id=app></div><script src=/app.js></script></body></html>"
WHOLE = "<p>" + "A sentence of the article that the feed carries in full. " * 36 + "</p>"


@dataclass(frozen=True)
class Trapped:
    """What one `--once` made of a newsroom full of traps. `guids` names each trap's entry."""

    newsroom: Newsroom
    database: Database
    file: Path
    guids: dict[str, str]
    summary: str

    def kept(self, trap: str) -> Kept:
        return self.database.by_guid()[self.guids[trap]]

    def outcome(self, trap: str) -> tuple[str, int, str | None]:
        """What became of the entry of `trap`: its state, its failures, and why."""
        article = self.kept(trap)
        return article.extraction, article.failures, article.error

    def articles(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `digestd articles`."""
        return run(["articles", *arguments, "-c", str(self.file)], self.database.folder)


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trapped]:
    """All traps, each looked into once."""
    folder = tmp_path_factory.mktemp("traps")
    with open_newsroom() as newsroom:
        guids = set_traps(newsroom)
        file = settings_for(newsroom, folder)
        done = run(["--once", "-c", str(file)], folder)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)
        yield Trapped(newsroom, Database(folder), file, guids, done.stdout)


def set_traps(newsroom: Newsroom) -> dict[str, str]:
    """Announce them, and give the guid of each one's entry."""
    secret = Story("robots", 0)
    traps = {
        "good": ("/good/1.html", respond(Story("good", 1).page())),
        "disallowed": ("/private/1.html", respond(secret.page())),
        "to disallowed": ("/open.html", redirect("/private/2.html")),
        "noindex": ("/noindex.html", respond(secret.page(), {"X-Robots-Tag": "noindex"})),
        "pdf": ("/report.pdf", newsroom.trickle(2 * 2**30, PDF, b"%PDF-1.7\n")),
        "unnamed pdf": ("/download", newsroom.trickle(2**20, {}, b"%PDF-1.7\n")),
        "login": ("/members.html", redirect("/login?next=/members.html")),
        "missing": ("/missing.html", None),
        "large": ("/large.html", newsroom.trickle(MANY, HTML, b"<html>")),
        "endless": ("/endless.html", newsroom.pour(MANY, HTML)),
        "drip": ("/drip.html", newsroom.trickle(2**20, HTML, b"<html>")),
        "scripts": ("/app.html", respond(SCRIPTS)),
    }
    newsroom.serve("/private/2.html", respond(secret.page()))
    newsroom.serve("/login", respond(b"<html><body><p>Log in</p></body></html>"))
    guids = {
        name: newsroom.announce(f"page {name}".replace(" ", "-"), path, answer)
        for name, (path, answer) in traps.items()
    }
    for number in range(3):
        path = f"/wall/{number}.html"
        guids[f"wall {number}"] = newsroom.announce("wall", path, respond(WALL))
    complete = respond(Story("complete", 0).page())
    guids["complete"] = newsroom.announce("complete", "/complete.html", complete, content=WHOLE)
    guids["from feed"] = newsroom.announce("from-feed", "/from-feed.html", complete)
    guids["hostile title"] = newsroom.announce("hostile", "/hostile.html", None, title=HOSTILE)
    return guids


def settings_for(newsroom: Newsroom, folder: Path) -> Path:
    file = write_settings(
        folder,
        newsroom.sources(),
        worker={"interval_seconds": 300},
        fetch={"per_host_concurrency": 20, "timeout_seconds": 5},
    )
    settings = yaml.safe_load(file.read_text())
    for source in settings["sources"]:
        if source["name"] == "from-feed":
            source["options"] = {"content": "feed"}
    file.write_text(yaml.safe_dump(settings))
    return file


def test_an_article_is_kept_with_its_own_text(trapped: Trapped) -> None:
    assert trapped.outcome("good") == ("done", 0, None)
    assert trapped.kept("good").text == Story("good", 1).text


@pytest.mark.parametrize(
    ("trap", "path", "reason"),
    [
        ("disallowed", "/private/1.html", "robots.txt does not allow digestd to fetch this page"),
        ("to disallowed", "/private/2.html", "robots.txt does not allow digestd to fetch this page"),
        ("noindex", None, "the publisher does not want its text kept (X-Robots-Tag: noindex)"),
    ],
)
def test_what_the_publisher_does_not_want_is_skipped(
    trapped: Trapped, trap: str, path: str | None, reason: str
) -> None:
    assert trapped.outcome(trap) == ("skipped", 0, f"robots: {reason}")
    assert trapped.kept(trap).text is None
    if path is not None:
        assert trapped.newsroom.requests[path] == 0


def test_robots_txt_is_asked_for_once(trapped: Trapped) -> None:
    assert trapped.newsroom.requests["/robots.txt"] == 1


@pytest.mark.parametrize(
    ("trap", "path", "how"),
    [("pdf", "/report.pdf", "as the server says"), ("unnamed pdf", "/download", "by its first bytes")],
)
def test_a_pdf_is_skipped_and_not_read(trapped: Trapped, trap: str, path: str, how: str) -> None:
    reason = f"media_type: the document is of type application/pdf, {how}, and was not read"
    assert trapped.outcome(trap) == ("skipped", 0, reason)
    assert trapped.newsroom.requests[path] == 1
    assert trapped.newsroom.sent[path] < 50 * 1024


@pytest.mark.parametrize(
    ("trap", "reason"),
    [
        ("login", "no_article: redirected to a login page"),
        (
            "missing",
            "http_status: the server answered 404 Not Found: there is nothing at this address; check the URL",
        ),
        ("large", f"too_large: the body has {MANY} bytes, more than 5000000 (the most of a page)"),
        ("endless", "too_large: the body is larger than 5000000 bytes (the most of a page)"),
        ("drip", "timeout: no complete answer within 5 s (fetch.timeout_seconds)"),
        ("scripts", "no_article: the page is empty without its scripts"),
    ],
)
def test_what_is_no_page_of_text_waits_for_another_attempt(trapped: Trapped, trap: str, reason: str) -> None:
    assert trapped.outcome(trap) == ("pending", 1, reason)
    article = trapped.kept(trap)
    assert article.text is None
    assert article.next_at is not None
    assert article.summary == f"What {article.guid} is about."


def test_of_sixty_megabytes_no_more_than_the_cap_is_read(trapped: Trapped) -> None:
    assert trapped.newsroom.sent["/large.html"] < 2**20
    assert 5_000_000 <= trapped.newsroom.sent["/endless.html"] < 16 * 2**20


def test_pages_that_say_the_same_are_marked_and_keep_the_feed_s_text(trapped: Trapped) -> None:
    reason = "3 pages of this source give the same text: a login wall, or what shows without scripts"
    for number in range(3):
        assert trapped.outcome(f"wall {number}") == ("failed", 0, reason)
        article = trapped.kept(f"wall {number}")
        assert (article.text, article.summary) == (None, f"What {article.guid} is about.")


def test_what_the_feed_carries_is_not_asked_for(trapped: Trapped) -> None:
    assert trapped.outcome("complete") == ("skipped", 0, "the feed carries the whole article")
    assert len(trapped.kept("complete").content or "") > 2000
    assert trapped.outcome("from feed") == ("skipped", 0, "the source says content: feed")
    for path in ("/complete.html", "/from-feed.html"):
        assert trapped.newsroom.requests[path] == 0


def test_the_summary_counts_them(trapped: Trapped) -> None:
    skipped_at_the_feed = 2
    kept = Counter(article.extraction for article in trapped.database.articles())
    assert f"      skipped      {kept['skipped'] - skipped_at_the_feed}\n" in trapped.summary
    assert f"      pending      {kept['pending']}, the oldest known for " in trapped.summary


def test_the_table_lists_them_with_their_reasons_and_no_control_character(trapped: Trapped) -> None:
    listed = trapped.articles()
    assert (listed.returncode, listed.stderr) == (0, "")
    lines = listed.stdout.strip().splitlines()
    assert lines[0].split() == ["id", "first", "seen", "source", "title", "page", "why"]
    assert lines[-1] == f"{len(trapped.guids)} articles"
    (hostile,) = [line for line in lines if "and turned" in line]
    assert re.fullmatch(
        r" *\d+ +\d+ s ago +hostile +0;owned and turned +pending +http_status: .*", hostile.rstrip()
    )
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", listed.stdout) == []


def chosen(trapped: Trapped, *arguments: str) -> list[dict[str, Any]]:
    listed = trapped.articles(*arguments, "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    records: list[dict[str, Any]] = json.loads(listed.stdout)
    return records


def test_as_json_each_article_is_a_record(trapped: Trapped) -> None:
    records = chosen(trapped)
    assert len(records) == len(trapped.guids)
    (good,) = [record for record in records if record["source"] == "page-good"]
    assert {name: good[name] for name in good if name not in ("id", "fetched_at", "published_at")} == {
        "source": "page-good",
        "title": "The page at /good/1.html",
        "url": f"{trapped.newsroom.url}/good/1.html",
        "canonical_url": f"{trapped.newsroom.url}/good/1.html",
        "author": None,
        "language": "en",
        "published_from": "entry",
        "updated_at": None,
        "extraction": "done",
        "extraction_attempts": 1,
        "extraction_error": None,
        "next_extraction_at": None,
        "characters": len(Story("good", 1).text),
        "revision": None,
    }
    assert good["published_at"] == "2026-03-03T00:00:00+00:00"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", good["fetched_at"])


def test_options_choose(trapped: Trapped) -> None:
    assert {record["source"] for record in chosen(trapped, "--failed")} == {"wall"}
    assert {record["extraction"] for record in chosen(trapped, "--pending")} == {"pending"}
    assert len(chosen(trapped, "--skipped")) == 7
    assert len(chosen(trapped, "--source", "wall", "--since", "1h", "--limit", "2")) == 2
    assert chosen(trapped, "--since", "2931-01-01") == []


def test_show_gives_the_whole_text(trapped: Trapped) -> None:
    good = trapped.kept("good")
    shown = trapped.articles("show", str(good.id))
    assert (shown.returncode, shown.stderr) == (0, "")
    head, _, text = shown.stdout.partition("-- text of the page\n\n")
    assert text.split() == Story("good", 1).text.split()
    assert "page        done, attempts: 1\n" in head
    (record,) = [json.loads(trapped.articles("show", "--json", str(good.id)).stdout)]
    assert (record["text"], record["guid"]) == (good.text, good.guid)
    assert record["summary"] == f"What {good.guid} is about."


def test_show_of_what_failed_gives_the_feed_s_text_and_the_reason(trapped: Trapped) -> None:
    missing = trapped.kept("missing")
    shown = trapped.articles("show", str(missing.id)).stdout
    assert f"\n-- text of the feed\n\n{missing.summary}\n" in shown
    assert re.search(r"\npage +pending: http_status: .* \(next attempt in \d h\), attempts: 1\n", shown)


def test_an_unknown_id_exits_with_1(trapped: Trapped) -> None:
    shown = trapped.articles("show", "4711")
    assert shown.returncode == 1
    assert "there is no article 4711; `digestd articles` lists them\n" in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "yesterday"], "--since: 'yesterday' is neither an age (90min, 6h, 2d, 1w) nor a date"),
        (["--pending", "--failed"], "--pending, --failed and --skipped exclude each other"),
        (["retry"], "name articles by ID, or choose them: --failed, --skipped, --pending, --source, --since"),
    ],
)
def test_wrong_usage_exits_with_2(trapped: Trapped, arguments: list[str], message: str) -> None:
    done = trapped.articles(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_retry_puts_back_what_is_not_done(trapped: Trapped) -> None:
    """The last test: it changes what the others look at."""
    missing, good = trapped.kept("missing"), trapped.kept("good")
    retried = trapped.articles("retry", str(missing.id), str(good.id), "4711")
    assert retried.returncode == 0
    assert retried.stdout.startswith("1 article")
    assert trapped.outcome("missing") == ("pending", 0, None)
    assert trapped.kept("missing").next_at is None
    assert trapped.outcome("good") == ("done", 0, None)
    trapped.newsroom.serve("/missing.html", respond(Story("late", 0).page()))
    assert run(["--once", "-c", str(trapped.file)], trapped.database.folder).returncode == 0
    assert trapped.kept("missing").text == Story("late", 0).text
    assert trapped.newsroom.requests["/missing.html"] == 2
