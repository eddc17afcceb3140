"""Hostile documents in real workers: entries or a refusal, in time, in little memory, and the worker goes on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import trio

from digestd.errors import NotAFeed, ParserBusy, ParserFailed
from digestd.ingest.workers.pool import Parser, open_parser
from digestd.model import Document
from support.corpus import corpus_path
from support.workers import children

URL = "https://example.org/feed"
MOST_SECONDS = 5.0
MOST_BYTES = 256_000_000
# The daemon's own share is a fifth of it.
MOST_BYTES_OF_THE_TREE = 700_000_000
# What one with a thousand sources has.
DAEMON_BYTES = 110_000_000


@dataclass
class Watch:
    """The most memory that workers had: one of them, and all of them with a daemon at one time. Of this process, which
    may have grown in other tests, counts what it grows by."""

    one: int = 0
    tree: int = 0
    before: int = field(default_factory=lambda: _memory("self")[1])

    async def look(self) -> None:
        while True:
            workers = [_memory(pid) for pid in children()]
            self.one = max([self.one, *(peak for peak, _ in workers)])
            grown = max(0, _memory("self")[1] - self.before)
            self.tree = max(self.tree, DAEMON_BYTES + grown + sum(now for _, now in workers))
            await trio.sleep(0.01)


def _memory(pid: int | str) -> tuple[int, int]:
    """The most and the present resident memory of a process, in bytes; nothing for one that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    values = [status.partition(f"{name}:")[2].split(maxsplit=1)[:1] for name in ("VmHWM", "VmRSS")]
    peak, now = (int(value[0]) * 1024 if value else 0 for value in values)
    return peak, now


@asynccontextmanager
async def watched(processes: int = 1) -> AsyncIterator[tuple[Parser, Watch]]:
    watch = Watch()
    async with open_parser(processes) as parse, trio.open_nursery() as nursery:
        nursery.start_soon(watch.look)
        yield parse, watch
        nursery.cancel_scope.cancel()


async def outcome(parse: Parser, body: bytes) -> Document | str:
    """The document, or the words of its refusal. Anything else escapes: that is a bug."""
    begin = time.perf_counter()
    try:
        result: Document | str = await parse(body, URL, None, source_url=URL)
    except (NotAFeed, ParserFailed) as refusal:
        result = str(refusal)
    assert time.perf_counter() - begin < MOST_SECONDS
    return result


async def all_are_read_or_refused(files: list[Path]) -> None:
    async with watched() as (parse, watch):
        for file in files:
            result = await outcome(parse, file.read_bytes())
            assert isinstance(result, Document) or result, file
    assert watch.one < MOST_BYTES


def _files(folder: str) -> list[Path]:
    return [
        file
        for file in sorted(corpus_path(folder).rglob("*"))
        if file.is_file() and file.name != "MANIFEST.tsv"
    ]


@pytest.mark.slow
async def test_every_hostile_file_is_read_or_refused() -> None:
    files = _files("feeds-hostile")
    assert len(files) >= 144
    await all_are_read_or_refused(files)


@pytest.mark.slow
async def test_every_conformance_case_is_read_or_refused() -> None:
    files = _files("feeds-conformance")
    assert len(files) > 2_000
    await all_are_read_or_refused(files)


def rss(inside: str, head: str = "") -> bytes:
    return f"{head}<rss version='2.0'><channel>{inside}</channel></rss>".encode()


def item(inside: str, head: str = "") -> bytes:
    return rss(f"<item><guid>1</guid>{inside}</item>", head)


def entities(first: str, width: int, levels: int) -> str:
    following = (f"<!ENTITY a{n} '{f'&a{n - 1};' * width}'>" for n in range(1, levels))
    return f"<!DOCTYPE rss [<!ENTITY a0 '{first}'>{''.join(following)}]>"


def html(markup: str) -> bytes:
    return item(f"<description><![CDATA[{markup}]]></description>")


def json_feed(items: str) -> bytes:
    return f'{{"version":"https://jsonfeed.org/version/1.1","items":{items}}}'.encode()


MEGABYTE = "x" * 2**20
TOO_MANY = "the feed has {} entries, more than the 50,000 that are read"

# What comes of each: how many entries, the words of the refusal, or None where it depends on the machine which limit
# is met first.
ATTACKS: dict[str, tuple[Callable[[], bytes], int | str | None]] = {
    "billion laughs": (lambda: item("<title>&a9;</title>", entities("lol", 10, 10)), 1),
    "laughs in attributes": (lambda: item("<link href='&a9;'/>", entities("lol", 10, 10)), 1),
    "quadratic entities": (lambda: item("<title>" + "&a0;" * 100_000, entities("x" * 100_000, 1, 1)), None),
    "circular entities": (lambda: item("<title>&a;</title>", "<!DOCTYPE rss [<!ENTITY a '&b;'><!ENTITY b '&a;'>]>"), 1),
    "100,000 elements deep": (lambda: item("<a>" * 100_000), None),
    "a million elements deep": (lambda: item("<a>" * 1_000_000), None),
    "100,000 items deep": (lambda: rss("<item>" * 100_000), TOO_MANY.format("100,000")),
    "xhtml 100,000 deep": (
        lambda: b"<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>1</id><content type='xhtml'>" + b"<b>" * 100_000,
        None,
    ),
    "a million items": (lambda: rss("<item/>" * 1_000_000), TOO_MANY.format("1,000,000")),
    "a million entries": (
        lambda: b"<feed xmlns='http://www.w3.org/2005/Atom'>" + b"<a:entry/>" * 1_000_000,
        TOO_MANY.format("1,000,000"),
    ),
    "one item too many": (lambda: rss("<item/>" * 50_001), TOO_MANY.format("50,001")),
    "an attribute of 8 MB": (lambda: item(f"<link href='{8 * MEGABYTE}'/>"), 1),
    "a million attributes": (lambda: rss("<item " + " ".join(f"a{n}=''" for n in range(1_000_000)) + "/>"), None),
    "200,000 namespaces": (lambda: rss("<item " + " ".join(f"xmlns:a{n}='b'" for n in range(200_000)) + "/>"), None),
    "nested namespaces": (lambda: rss("".join(f"<a xmlns='u{n}'>" for n in range(200_000))), None),
    "15 MB of CDATA": (lambda: html(15 * MEGABYTE), None),
    "a million CDATA": (lambda: item("<title>" + "<![CDATA[x]]>" * 1_000_000 + "</title>"), None),
    "HTML 100,000 deep": (lambda: html("<div>" * 100_000), 1),
    "HTML 100,000 deep, hidden": (lambda: html("<b></x>" * 100_000), 1),
    "2 million references": (lambda: html("&amp" * 2_000_000), 1),
    "100,000 attributes in HTML": (lambda: html("<img " + " ".join(f"a{n}=1" for n in range(100_000)) + ">"), 1),
    "formatting opened again": (
        lambda: html("<p>" + "".join(f"<font a={n}>" for n in range(4_000)) + "</p><p>x" * 1_000),
        1,
    ),
    "300,000 enclosures": (lambda: item("<enclosure url='http://a/b'/>" * 300_000), None),
    "500,000 categories": (lambda: item("".join(f"<category>{n}</category>" for n in range(500_000))), None),
    "400,000 authors": (lambda: item("<author>a@b.c (x)</author>" * 400_000), None),
    "a title of 15 MB": (lambda: item(f"<title>{15 * MEGABYTE}</title>"), None),
    "a guid of 15 MB": (lambda: rss(f"<item><guid>{15 * MEGABYTE}</guid></item>"), None),
    "a date of 10 MB": (lambda: item(f"<pubDate>{'1' * 10_000_000}</pubDate>"), 1),
    "a date of many words": (lambda: item(f"<pubDate>{'Mon, ' * 2_000_000}</pubDate>"), 1),
    "UTF-7": (lambda: item("<title>+ADw-script+AD4-</title>", "<?xml version='1.0' encoding='utf-7'?>"), 1),
    "UTF-16 that is none": (lambda: item("<title>x</title>", "<?xml version='1.0' encoding='utf-16'?>"), 1),
    "a slow codec": (lambda: item("a" * 5_000_000, "<?xml version='1.0' encoding='idna'?>"), 1),
    "control characters": (lambda: item(f"<title>{''.join(map(chr, range(1, 32)))}\x7f\x9b\u202e</title>"), 1),
    "16 MB of NUL": (lambda: bytes(16_000_000), None),
    "16 MB of blanks": (lambda: b" " * 16_000_000, None),
    "a long reference": (lambda: item(f"<title>&#{'1' * 10_000_000};</title>"), 1),
    "undefined entities": (lambda: item("<title>" + "&foo;" * 2_000_000), None),
    "open tags": (lambda: b"<rss><channel><item>" + b"<a " * 4_000_000, None),
    "open comments": (lambda: b"<rss><channel><item>" + b"<!--" * 3_000_000, None),
    "open declarations": (lambda: b"<!DOCTYPE rss [" + b"<!ENTITY a 'b' " * 1_000_000, None),
    "JSON 100,000 deep": (lambda: json_feed("[" * 100_000 + "]" * 100_000), "the JSON is nested too deeply to be read"),
    "JSON 16 million deep": (lambda: b"[" * 16_000_000, "the JSON is nested too deeply to be read"),
    "a JSON number of 8 MB": (lambda: json_feed('[{"id":' + "9" * 8_000_000 + "}]"), 1),
    "JSON numbers beyond floats": (lambda: json_feed('[{"id":1e400,"title":-1E400,"url":1e308,"summary":1e-999}]'), 1),
    "JSON that is none": (lambda: json_feed('[{"id":NaN,"title":Infinity,"date_published":-Infinity}]'), 1),
    "JSON keys twice": (lambda: json_feed('[],"items":[{"id":"1","id":"2"}]'), 1),
    "JSON keys a million times": (lambda: json_feed('[],"items":' * 1_000_000 + "[]"), 0),
    "a million JSON items": (lambda: json_feed(f"[{'{},' * 999_999}{{}}]"), TOO_MANY.format("1,000,000")),
    "lone surrogates in JSON": (lambda: json_feed(r'[{"id":"\ud800","title":"\udfff\u0000"}]'), 1),
}  # fmt: skip


@pytest.mark.slow
async def test_attacks_end_in_entries_or_words_in_time_and_in_little_memory() -> None:
    async with watched() as (parse, watch):
        for name, (make, expected) in ATTACKS.items():
            result = await outcome(parse, make())
            found = len(result.entries) if isinstance(result, Document) else result
            assert expected in (None, found), (name, found)
            assert watch.one < MOST_BYTES, name
        assert len((await parse(rss("<item/>"), URL, None, source_url=URL)).entries) == 1


@pytest.mark.slow
async def test_the_whole_tree_stays_small_while_every_parser_is_under_attack() -> None:
    hungry = [
        ATTACKS[name][0]()
        for name in ("a million elements deep", "a million attributes", "undefined entities")
    ]
    async with watched(processes=2) as (parse, watch), trio.open_nursery() as nursery:
        for body in [*hungry, *hungry]:
            nursery.start_soon(_swallowed, parse, body)
    assert 2 * DAEMON_BYTES < watch.tree < MOST_BYTES_OF_THE_TREE


async def _swallowed(parse: Parser, body: bytes) -> None:
    # Six of them and two parsers: some find none free in time.
    with suppress(ParserFailed, ParserBusy):
        await parse(body, URL, None, source_url=URL)


@pytest.mark.parametrize(
    "declared",
    [
        "<!ENTITY a SYSTEM '{place}'>",
        "<!ENTITY a PUBLIC 'x' '{place}'>",
        "<!ENTITY % b SYSTEM '{place}'> %b;",
    ],
)
async def test_external_entities_are_never_asked_for(tmp_path: Path, declared: str) -> None:
    canary = tmp_path / "canary"
    canary.write_text("<!ENTITY a 'canary-content'>")
    asked: list[object] = []

    async def answer(stream: trio.SocketStream) -> None:
        asked.append(stream)
        await stream.aclose()

    with trio.fail_after(30):
        async with open_parser(1) as parse, trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
            for place in (canary.as_uri(), str(canary), f"http://127.0.0.1:{port}/x"):
                head = f"<?xml version='1.0'?><!DOCTYPE rss [{declared.format(place=place)}]>"
                document = await parse(item("<title>t&a;</title>", head), URL, None, source_url=URL)
                assert "canary-content" not in repr(document)
            nursery.cancel_scope.cancel()
    assert asked == []
