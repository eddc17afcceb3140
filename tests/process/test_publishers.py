"""A real daemon and publishers of many manners, for real seconds: what they find in their access logs."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path

import pytest

from support.kept import Database
from support.process import Digestd, run, write_settings
from support.publishers import Answer, Manner, Publisher, Request, open_publishers

SECONDS = 22.0
ODD_ETAG = 'W/"' + "x" * 2_000 + ' y"'
BEFORE_TIME = "Thu, 01 Jan 1970 00:00:00 GMT"
LOGIN = b"<!doctype html><html><title>Log in</title><form><input type=password></form></html>"


def feed(said: str = "", first: int = 0) -> bytes:
    items = "".join(
        f"<item><guid>{number}</guid><title>{number}</title></item>" for number in range(first, first + 3)
    )
    return f"<rss version='2.0'><channel><title>t</title>{said}{items}</channel></rss>".encode()


def plain(said: str = "", status: int = 200, **fields: str) -> Manner:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return lambda request, number: Answer(status, feed(said) if status == 200 else b"", headers)


def odd_validators(request: Request, number: int) -> Answer:
    validators = {"ETag": ODD_ETAG, "Last-Modified": BEFORE_TIME}
    return Answer(304, b"", validators) if number else Answer(200, feed(), validators)


def cached(request: Request, number: int) -> Answer:
    """A hint that comes with 304 alone counts, too."""
    return (
        Answer(304, b"", {"Cache-Control": "max-age=4"}) if number else Answer(200, feed(), {"ETag": '"1"'})
    )


def throttled_once(request: Request, number: int) -> Answer:
    return Answer(200, feed()) if number else Answer(429, b"", {"Retry-After": "3"})


def down_until(request: Request, number: int) -> Answer:
    return Answer(503, b"", {"Retry-After": formatdate(time.time() + 5, usegmt=True)})


def portal(request: Request, number: int) -> Answer:
    """A login page is in the way for a while, as in a captive portal."""
    if request.path == "/login":
        return Answer(200, LOGIN, {"Content-Type": "text/html"})
    return Answer(302, b"", {"Location": "/login"}) if 2 <= number < 8 else Answer(200, feed())


def moved(request: Request, number: int) -> Answer:
    return Answer(200, feed()) if request.path == "/new" else Answer(301, b"", {"Location": "/new"})


def delta(request: Request, number: int) -> Answer:
    """Whoever says what he has gets what is new alone (RFC 3229)."""
    knows = (
        request.headers.get("a-im") == "feed" and request.headers.get("if-none-match") == f'"{number - 1}"'
    )
    return Answer(226 if knows else 200, feed(first=3 * number), {"ETag": f'"{number}"', "IM": "feed"})


def torrent(request: Request, number: int) -> Answer:
    """Nothing of what was there the last time is there any more."""
    return Answer(200, feed(first=3 * number))


MANNERS: Mapping[str, Manner] = {
    "odd validators": odd_validators,
    "cached": cached,
    "ttl": plain("<ttl>0.1</ttl>"),
    "ignored": plain(cache_control="max-age=3600"),
    "throttled once": throttled_once,
    "throttled": plain(status=429),
    "down until": down_until,
    "portal": portal,
    "moved": moved,
    "gone": plain(status=410),
    "delta": delta,
    "torrent": torrent,
}


@pytest.mark.slow
def test_publishers_are_asked_as_they_want_to_be(tmp_path: Path) -> None:
    with open_publishers(MANNERS) as publishers:
        urls = {name: publisher.url for name, publisher in publishers.items()}
        file = write_settings(
            tmp_path,
            urls,
            worker={"interval_seconds": 1, "jitter_seconds": 0, "max_sources": 20},
            extract={"enabled": False},
        )
        text = file.read_text().replace("name: ignored\n", "name: ignored\n  options: {hints: false}\n")
        file.write_text(text)
        with Digestd(["-c", str(file)], tmp_path, {}) as process:
            time.sleep(SECONDS)
            process.send(signal.SIGTERM)
            assert process.end() == 0
        assert "Traceback" not in process.stderr
        overflowed = [line for line in process.stderr.splitlines() if "worker.fetch.overflow" in line]
        # It is told of a feed that was replaced, and not of one that sends what is new alone.
        assert overflowed
        assert all('"torrent"' in line for line in overflowed)
        expect_asked_as_wanted(publishers)
    adopted = Database(tmp_path).query("SELECT name FROM sources WHERE effective_url IS NOT NULL")
    assert adopted == []
    kept = Database(tmp_path).query(
        "SELECT count(*), max(consecutive_failures) FROM articles JOIN sources ON source_id = sources.id "
        "WHERE name = 'delta'"
    )
    assert kept[0][1] == 0
    # The last answer may have come too late.
    assert kept[0][0] in {3 * len(publishers["delta"].log) - late for late in (0, 3)}
    expect_told(tmp_path, file)


def expect_asked_as_wanted(publishers: Mapping[str, Publisher]) -> None:
    assert all(publisher.log for publisher in publishers.values())
    first, *others = publishers["odd validators"].log
    assert "if-none-match" not in first.headers
    assert len(others) > 10
    assert {request.headers["if-none-match"] for request in others} == {ODD_ETAG}
    assert {request.headers["if-modified-since"] for request in others} == {BEFORE_TIME}

    assert min(publishers["cached"].gaps[1:]) >= 4
    assert min(publishers["ttl"].gaps) >= 6
    assert len(publishers["cached"].log) >= 4
    assert len(publishers["ttl"].log) >= 3
    assert len(publishers["ignored"].log) > 10

    # Once it answers again it is asked twice a minute until it has answered three times.
    assert len(publishers["throttled once"].log) == 2
    assert publishers["throttled once"].gaps[0] >= 3
    assert len(publishers["throttled"].log) == 1
    assert min(publishers["down until"].gaps) >= 4
    # The second failure in a row waits two minutes.
    assert len(publishers["gone"].log) == 2

    first, *others = publishers["delta"].log
    assert len(others) > 10
    assert [request.headers.get("if-none-match") for request in others] == [
        f'"{number}"' for number in range(len(others))
    ]

    assert set(publishers["portal"].paths()) == {"/feed", "/login"}
    assert publishers["moved"].paths()[:4] == ["/feed", "/new"] * 2


def expect_told(folder: Path, file: Path) -> None:
    def show(name: str) -> str:
        done = run(["sources", "show", name, "-c", str(file)], folder)
        assert done.returncode == 0
        return done.stdout

    assert "what the server says of caching (Cache-Control, Expires)" in show("cached")
    assert "what the feed says of its updates (ttl, sy:updatePeriod)" in show("ttl")
    assert "it failed 2 times in a row" in show("gone")
    assert "its interval" in show("odd validators")
