"""Pages, sitemaps and saved feeds, as an operator polls them: from settings to articles."""

from __future__ import annotations

import gzip
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from support.process import run
from support.publishers import Answer, Request, open_publishers


def article(name: str) -> str:
    """A page that says enough, and something else than the others."""
    told = "".join(
        f"<p>In part {number} of the {name} story somebody of {name} tells what happened in week {number * 7}.</p>"
        for number in range(12)
    )
    date = "<meta property='article:published_time' content='2026-11-20T08:00:00Z'>"
    title = f"The {name} story"
    head = f"<head><title>{title}</title>{date}</head>"
    return f"<html>{head}<body><article><h1>{title}</h1>{told}</article></body></html>"


SITEMAP = "<urlset><url><loc>{url}/news/three</loc></url><url><loc>{url}/news/four</loc></url></urlset>"


def manner(request: Request, number: int) -> Answer:
    url = "http://" + request.headers["host"]
    if request.path.endswith("/list"):
        links = "".join(f"<li><h2><a href='/news/{name}'>{name}</a></h2></li>" for name in ("one", "two"))
        feed = "<link rel=alternate type=application/rss+xml href=/rss>"
        return _html(f"<html><head>{feed}</head><body><ul>{links}</ul></body></html>")
    if request.path.endswith("/sitemap.xml"):
        part = f"<sitemapindex><sitemap><loc>{url}/part.xml.gz</loc></sitemap></sitemapindex>"
        return Answer(body=part.encode(), headers={"Content-Type": "application/xml"})
    if request.path == "/part.xml.gz":
        body = gzip.compress(SITEMAP.format(url=url).encode())
        return Answer(body=body, headers={"Content-Type": "application/x-gzip"})
    if request.path.startswith("/news/"):
        return _html(article(request.path.rpartition("/")[2]))
    return Answer(404)


def _html(text: str) -> Answer:
    return Answer(body=text.encode(), headers={"Content-Type": "text/html"})


def kept(folder: Path) -> list[tuple[str, ...]]:
    """Every article: its source, title, extraction, where its date is from."""
    with closing(sqlite3.connect(folder / "state" / "digestd.db")) as connection:
        return connection.execute(
            "SELECT s.name, a.title, a.extraction, a.published_from FROM articles a"
            " JOIN sources s ON s.id = a.source_id ORDER BY s.name, a.title"
        ).fetchall()


@pytest.mark.slow
def test_pages_sitemaps_and_saved_feeds_become_articles(tmp_path: Path) -> None:
    saved = tmp_path / "inbox"
    saved.mkdir()
    (saved / "old.xml").write_text(
        "<rss version='2.0'><channel><item><guid>g</guid><title>Saved</title></item></channel></rss>"
    )
    with open_publishers({"site": manner}) as publishers:
        site = publishers["site"].url
        base = site.removesuffix("/feed")
        file = tmp_path / "digestd.yaml"
        file.write_text(
            "fetch: {allow_private_networks: true}\nweb: {enabled: false}\nsources:\n"
            f"  - {{name: list, kind: page, url: '{base}/list'}}\n"
            f"  - {{name: map, kind: sitemap, url: '{base}/sitemap.xml', options: {{match: [/news/]}}}}\n"
            "  - {name: saved, kind: file, options: {path: inbox, done: inbox/done}}\n"
        )
        checked = run(["check", "-c", str(file)], tmp_path)
        assert (checked.returncode, checked.stderr) == (0, "")
        assert f"saved  file     file://{saved}\n".replace("     ", "  ") in checked.stdout.replace(
            "     ", "  "
        )
        for _ in range(2):
            done = run(["--once", "--all", "-c", str(file)], tmp_path)
            assert done.returncode == 0, done.stderr
            assert "Traceback" not in done.stderr
        shown = run(["sources", "-c", str(file)], tmp_path).stdout
    assert kept(tmp_path) == [
        ("list", "one", "done", "page"),
        ("list", "two", "done", "page"),
        ("map", "The four story", "done", "page"),
        ("map", "The three story", "done", "page"),
        ("saved", "Saved", "skipped", "first_seen"),
    ]
    assert "remark: the page advertises the feed" in shown
    assert [path.name for path in (saved / "done").iterdir()] == ["old.xml"]


def test_what_is_wrong_is_told_by_check(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text(
        "sources:\n"
        "  - {name: a, kind: page, url: 'https://a.example/', options: {selector: 'li a'}}\n"
        "  - {name: b, kind: sitemap, options: {match: ['(']}}\n"
        "  - {name: c, kind: feed, url: 'https://c.example/', options: {pages: 3}}\n"
    )
    done = run(["check", "-c", str(file)], tmp_path)
    assert done.returncode == os.EX_CONFIG
    for words in (
        "sources[0] (a): options: selector: unknown option; those of the kind 'page': links, match",
        "sources[1] (b): options.match.0: is no regular expression: missing ), unterminated subpattern at position 0",
        "sources[2] (c): options: pages: unknown option; those of the kind 'feed': paging",
    ):
        assert words in done.stderr


def test_nothing_that_reads_pages_is_imported_by_who_only_checks(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text(
        "sources:\n  - {name: a, kind: page, url: 'https://a.example/'}\n"
        "  - {name: b, kind: sitemap, url: 'https://a.example/sitemap.xml'}\n"
    )
    began = time.monotonic()
    done = run(["check", "-c", str(file)], tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "digestd.page.selector" in imported
    assert imported.isdisjoint({"lxml", "lxml.etree", "trafilatura", "feedparser", "digestd.kinds.file"})
    assert time.monotonic() - began < 30
