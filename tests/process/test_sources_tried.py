"""`digestd sources test`, as an operator runs it: what it shows, and that it leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from support.mastodon_instance import Instance
from support.process import Digestd, run, write_settings
from support.publishers import Answer, Manner, Request, open_publishers

pytestmark = pytest.mark.slow

XML = {"Content-Type": "application/rss+xml"}


def rss(count: int = 3, title: str = "Example PSIRT") -> bytes:
    items = "".join(
        f"<item><guid>g{number}</guid><title>Advisory {number}</title><link>https://psirt.example/{number}</link>"
        f"<pubDate>Mon, 23 Nov 2026 0{number % 10}:00:00 GMT</pubDate></item>"
        for number in range(count)
    )
    return f"<rss version='2.0'><channel><title>{title}</title>{items}</channel></rss>".encode()


def serving(**documents: bytes) -> Manner:
    """Serves `documents` by the last part of their paths, and the page `documents["page"]` for no other."""

    def manner(request: Request, number: int) -> Answer:
        name = request.path.partition("?")[0].rpartition("/")[2].partition(".")[0]
        body = documents.get(name)
        if body is None:
            return Answer(404)
        kind = "text/html" if body[:5] == b"<html" else "application/rss+xml"
        return Answer(body=body, headers={"Content-Type": kind})

    return manner


def settings(folder: Path, **sections: Any) -> str:
    return str(write_settings(folder, sections.pop("sources", {}), **sections))


def said(text: str) -> dict[str, str]:
    """The facts that are printed, by their names."""
    facts = {line[:13].strip(): line[13:] for line in text.splitlines() if line[:1].isalpha()}
    facts.pop("", None)
    return facts


def hashes(folder: Path) -> dict[str, str]:
    """Every file in `folder` that has something in it but for what SQLite's readers share, by its checksum."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file() and path.stat().st_size and not path.name.endswith("-shm")
    }


def test_a_place_is_found_out_and_nothing_is_stored(tmp_path: Path) -> None:
    head = "<link rel=alternate type=application/rss+xml href=/rss.xml title=News>"
    page = f"<html><head>{head}</head><body>Hello</body></html>".encode()
    with open_publishers({"site": serving(page=page, rss=rss(4))}) as publishers:
        url = publishers["site"].url.removesuffix("/feed")
        done = run(["sources", "test", f"{url}/page", "--limit", "2", "-c", settings(tmp_path)], tmp_path)
    assert (done.returncode, done.stderr) == (os.EX_OK, "")
    facts = said(done.stdout)
    assert facts["kind"] == "feed"
    assert facts["url"] == f"{url}/rss.xml"
    assert facts["found"] == f"advertised by the page {url}/page"
    assert facts["outcome"].startswith("fetched in ")
    assert facts["outcome"].endswith(f" s, 1 step, {len(rss(4)):,} bytes")
    assert facts["document"] == "RSS 2.0, 'Example PSIRT'"
    assert facts["entries"] == "4 would be kept"
    assert facts["next poll"] == "in 1 s: its interval"
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(" 2026-")]
    assert rows == [
        ["2026-11-23", f"0{number}:00", "page", "Advisory", str(number), f"https://psirt.example/{number}"]
        for number in range(2)
    ]
    assert done.stdout.endswith("2 more; --limit shows them\nNothing was stored.\n")
    assert not (tmp_path / "state").exists()


def test_a_source_is_tried_with_its_own_settings_and_compared_with_what_is_kept(tmp_path: Path) -> None:
    served = {"body": rss(2)}

    def manner(request: Request, number: int) -> Answer:
        if request.headers.get("x-key") != "hunter2-secret":
            return Answer(401, b"hunter2-secret")
        return Answer(body=served["body"], headers={**XML, "ETag": '"1"'})

    with open_publishers({"site": manner}) as publishers:
        site = publishers["site"]
        options = {"headers": {"X-Key": {"env": "PSIRT_KEY"}}}
        file = write_settings(tmp_path, {})
        file.write_text(
            file.read_text().replace("sources: []", "")
            + f"sources: {json.dumps([{'name': 'PSIRT', 'url': site.url, 'options': options}])}\n"
        )
        arguments = ["-c", str(file)]
        done = run(["--once", *arguments], tmp_path, PSIRT_KEY="hunter2-secret")
        assert done.returncode == os.EX_OK, done.stderr
        before = hashes(tmp_path / "state")
        served["body"] = rss(3).replace(b"Advisory 1<", b"Advisory 1, revised<")
        done = run(["sources", "test", "PSIRT", *arguments], tmp_path, PSIRT_KEY="hunter2-secret")
        assert done.returncode == os.EX_OK
        assert done.stderr == (
            "digestd: warning: source 'PSIRT': its secrets are sent without TLS, for everyone on the way to read\n"
        )
        assert said(done.stdout)["of these"] == "1 new, 1 changed, 1 known"
        rows = [line.split()[0] for line in done.stdout.splitlines() if "https://psirt.example/" in line]
        assert rows == ["known", "changed", "new"]
        # As if for the first time: a 304 would show nothing.
        assert "if-none-match" not in site.log[-1].headers
        done = run(["sources", "test", "PSIRT", *arguments], tmp_path, PSIRT_KEY="wrong-secret")
        assert done.returncode == 1
        assert said(done.stdout)["error"].startswith("http_status: the server answered 401")
        assert "-secret" not in done.stdout + done.stderr
        assert hashes(tmp_path / "state") == before
        done = run(["sources", "test", "PSIRT", "--kind", "page", *arguments], tmp_path, PSIRT_KEY="x")
        assert done.returncode == 2
        assert "'PSIRT' is a source, whose own kind and options are tried" in done.stderr


def test_an_answer_in_json_is_one_document(tmp_path: Path) -> None:
    with open_publishers({"site": serving(feed=rss(3))}) as publishers:
        url = publishers["site"].url
        done = run(["sources", "test", url, "--json", "--limit", "1", "-c", settings(tmp_path)], tmp_path)
    assert (done.returncode, done.stderr) == (os.EX_OK, "")
    record = json.loads(done.stdout)
    assert record.pop("duration_seconds") > 0
    assert record == {
        "kind": "feed",
        "url": url,
        "title": "Example PSIRT",
        "format": "rss20",
        "entries_total": 3,
        "via": None,
        "outcome": "fetched",
        "failure": None,
        "status": None,
        "steps": 1,
        "unfinished": False,
        "bytes": len(rss(3)),
        "state": "active",
        "remark": None,
        "effective_url": None,
        "schedule_reason": "interval",
        "next_delay_seconds": 1.0,
        "entries": [
            {
                "title": "Advisory 0",
                "url": "https://psirt.example/0",
                "guid": "g0",
                "published_at": "2026-11-23T00:00:00+00:00",
                "standing": None,
                "text_from": "page",
            }
        ],
        "set_aside": [],
        "set_aside_total": 0,
    }


def test_what_is_hostile_in_a_feed_steers_no_terminal(tmp_path: Path) -> None:
    title = "Evil &#x1b;]0;pwned&#7; &#x202e;gnp.exe &#x200b;"
    item = f"<item><title>{title}</title><link>https://a.example/?token=hunter2&amp;q=1</link></item>"
    body = f"<rss version='2.0'><channel><title>{title}</title>{item}</channel></rss>".encode()
    with open_publishers({"site": serving(feed=body)}) as publishers:
        for form in ([], ["--json"]):
            url = publishers["site"].url
            done = run(["sources", "test", url, *form, "-c", settings(tmp_path)], tmp_path)
            assert (done.returncode, done.stderr) == (os.EX_OK, "")
            assert not set(done.stdout) & set("\x1b\x07\u202e\u200b")
            assert "\\u202e" not in done.stdout
            assert "hunter2" not in done.stdout
            assert "token=***" in done.stdout


def test_addresses_that_are_not_allowed_are_refused_wherever_they_come_from(tmp_path: Path) -> None:
    def manner(request: Request, number: int) -> Answer:
        port = request.headers["host"].rpartition(":")[2]
        if request.path == "/moved":
            return Answer(302, headers={"Location": f"http://127.0.0.2:{port}/feed"})
        link = f"<link rel=alternate type=application/rss+xml href=http://127.0.0.2:{port}/feed>"
        return Answer(
            body=f"<html><head>{link}</head></html>".encode(), headers={"Content-Type": "text/html"}
        )

    with open_publishers({"site": manner}) as publishers:
        site = publishers["site"]
        url = site.url.removesuffix("/feed")
        file = settings(tmp_path, fetch={"allow_private_networks": ["127.0.0.1/32"]})
        done = run(["sources", "test", f"{url}/moved", "-c", file], tmp_path)
        assert done.returncode == 1
        assert f"  {url}/moved: address: " in done.stderr
        done = run(["sources", "test", f"{url}/page", "-c", file], tmp_path)
        assert done.returncode == 1
        assert "a feed: http://127.0.0.2:" in done.stderr
        assert done.stderr.count(": address: ") == 1
        # Not even the first address of all, as long as none is allowed.
        before = len(site.log)
        none = settings(tmp_path, fetch={"allow_private_networks": False})
        done = run(["sources", "test", site.url, "-c", none], tmp_path)
        assert done.returncode == 1
        assert ": address: " in done.stderr
        assert len(site.log) == before


def test_hostile_pages_end_within_bounds(tmp_path: Path) -> None:
    def manner(request: Request, number: int) -> Answer:
        if request.path == "/endless":
            time.sleep(8)
        if request.path == "/deep":
            return Answer(body=b"<html>" + b"<div>" * 60_000, headers={"Content-Type": "text/html"})
        if request.path == "/circle":
            return Answer(302, headers={"Location": "/circle"})
        return Answer(body=b"<html>" + b"x" * 3_000_000, headers={"Content-Type": "text/html"})

    with open_publishers({"site": manner}) as publishers:
        url = publishers["site"].url.removesuffix("/feed")
        file = settings(tmp_path, fetch={"max_body_bytes": 1_000_000, "timeout_seconds": 3})
        # The last one holds up the server, too.
        for path, cause in (
            ("huge", "too_large"),
            ("circle", "redirect"),
            ("deep", None),
            ("endless", "timeout"),
        ):
            done = run(["sources", "test", f"{url}/{path}", "-c", file], tmp_path)
            assert done.returncode == 1
            words = f"{url}/{path}: {cause}: " if cause else "the page is nested more than 256 elements deep"
            assert words in done.stderr
            assert "Traceback" not in done.stderr


def test_an_api_is_asked_no_more_than_a_few_times(tmp_path: Path) -> None:
    instance = Instance()
    for _ in range(3):
        instance.post("<p>A post about <a href='https://a.example/'>something</a></p>")

    def manner(request: Request, number: int) -> Answer:
        status, fields, body = instance.answer(request.path, request.headers)
        return Answer(status, body, fields)

    with open_publishers({"instance": manner}) as publishers:
        publisher = publishers["instance"]
        instance.base = publisher.url
        place = ["@someone@infosec.exchange", "--option", f"base_url={publisher.url}"]
        done = run(["sources", "test", *place, "-c", settings(tmp_path)], tmp_path)
        # Of another instance it is asked for by its whole name.
        assert publisher.paths()[0].endswith("/api/v1/accounts/lookup?acct=someone%40infosec.exchange")
        done = run(["sources", "test", f"{publisher.url}/@someone", "-c", settings(tmp_path)], tmp_path)
    assert (done.returncode, done.stderr) == (os.EX_OK, "")
    facts = said(done.stdout)
    assert facts["kind"] == "mastodon"
    assert "2 steps" in facts["outcome"]
    assert facts["entries"] == "3 would be kept"


def test_a_host_that_wants_to_be_left_alone_is_not_asked(tmp_path: Path) -> None:
    def manner(request: Request, number: int) -> Answer:
        return Answer(429, headers={"Retry-After": "3600"})

    with open_publishers({"site": manner}) as publishers:
        site = publishers["site"]
        file = settings(tmp_path, sources={"PSIRT": site.url})
        run(["--once", "-c", file, "--log-level", "CRITICAL"], tmp_path)
        asked = len(site.log)
        for place in ("PSIRT", f"{site.url}/other"):
            done = run(["sources", "test", place, "-c", file], tmp_path)
            assert done.returncode == 1
            assert "paused: " in done.stdout + done.stderr
        assert len(site.log) == asked == 1


def test_what_is_no_place_and_no_name_is_told(tmp_path: Path) -> None:
    file = settings(tmp_path)
    done = run(["sources", "test", "some words", "-c", file], tmp_path)
    database = tmp_path / "state" / "digestd.db"
    assert (done.returncode, done.stdout) == (os.EX_UNAVAILABLE, "")
    assert done.stderr == (
        f"digestd: there is no database {database} yet; and the settings have no source called 'some words'\n"
    )
    run(["--once", "-c", file], tmp_path)
    done = run(["sources", "test", "some words", "-c", file], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "digestd: no source is called 'some words', and 'some words' is no place that is known; write a URL, "
    )
    done = run(["sources", "test", "https://lab.example/", "--option", "lnks=a", "-c", file], tmp_path)
    assert done.returncode == os.EX_CONFIG


def test_an_interrupt_ends_it_without_a_traceback(tmp_path: Path) -> None:
    def manner(request: Request, number: int) -> Answer:
        time.sleep(30)
        return Answer(404)

    with (
        open_publishers({"site": manner}) as publishers,
        Digestd(
            ["sources", "test", publishers["site"].url, "-c", settings(tmp_path)], tmp_path, {}
        ) as digestd,
    ):
        deadline = time.monotonic() + 60
        while not publishers["site"].log and time.monotonic() < deadline:
            time.sleep(0.05)
        digestd.send(signal.SIGINT)
        began = time.monotonic()
        assert digestd.end() == os.EX_OK
        assert time.monotonic() - began < 20
        assert digestd.stderr == "interrupted: nothing was kept\n"
        assert digestd.stdout == ""
    assert not (tmp_path / "state").exists()
