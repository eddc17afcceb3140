"""The processes in which feeds and pages are read, seen from their daemon; and a reader of pages that misbehaves."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from digestd.errors import NoArticle, ParserFailed
from digestd.ingest.workers import pages
from digestd.model import Page


def children(parent: int | None = None) -> set[int]:
    """The worker processes of `parent`, else of this one (not the tracker that multiprocessing keeps)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == (parent or os.getpid()) and b"spawn_main" in command:
            found.add(int(stat.parent.name))
    return found


def read_article(
    body: bytes, url: str, content_type: str | None, feed_html: str, title: str, cpu_seconds: float
) -> Page:
    """In a worker: as :func:`digestd.ingest.workers.pages.read_article`, but the body says what reading it does."""
    # In place of the real module, which takes 0.3 s to import.
    stand_in = ModuleType("digestd.page.reading")
    stand_in.__dict__["read_page"] = _obey
    sys.modules["digestd.page.reading"] = stand_in
    return pages.read_article(body, url, content_type, feed_html, title, cpu_seconds)


def _obey(
    body: bytes, url: str, content_type: str | None, *, feed_html: str, title: str, now: datetime
) -> Page:
    order, _, argument = body.decode().partition(" ")
    if order in ORDERS:
        ORDERS[order](argument)
    text = f"{os.getpid()} {content_type} {feed_html} {now.tzinfo}"
    if order == "answer_long":
        text *= int(argument) // len(text)
    return Page(text=text, text_hash="", canonical_url=url, title=title)


def _spin(_: str) -> NoReturn:
    while True:
        pass


def _eat(mebibytes: str) -> None:
    _ = [bytearray(2**20) for _ in range(int(mebibytes))]


def _eat_at_once(mebibytes: str) -> None:
    bytearray(int(mebibytes) * 2**20)


def _eat_and_hide(mebibytes: str) -> None:
    try:
        _eat(mebibytes)
    except MemoryError:
        raise NoArticle("there is no text") from None


def _recurse(argument: str) -> None:
    _recurse(argument)


def _burn(seconds: str) -> None:
    end = time.process_time() + float(seconds)
    while time.process_time() < end:
        pass


def _meet(path: str) -> None:
    """Wait for one other page that has come to the same folder."""
    folder = Path(path)
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)


def _refuse(message: str) -> None:
    try:
        int("of a library")
    except ValueError as error:
        raise NoArticle(message) from error


def _fail(message: str) -> None:
    raise ParserFailed(message)


class ErrorOfALibrary(ValueError):
    """What no code of digestd expects."""


def _trip(message: str) -> None:
    raise ErrorOfALibrary(message)


def _die(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


_kept: list[bytearray] = []


def _keep(mebibytes: str) -> None:
    _kept.append(bytearray(b"x") * (int(mebibytes) * 2**20))


ORDERS: dict[str, Callable[[str], None]] = {
    "spin": _spin,
    "eat": _eat,
    "eat_at_once": _eat_at_once,
    "eat_and_hide": _eat_and_hide,
    "recurse": _recurse,
    "keep": _keep,
    "burn": _burn,
    "answer_long": lambda _: time.sleep(0.3),
    "meet": _meet,
    "refuse": _refuse,
    "fail": _fail,
    "trip": _trip,
    "die": _die,
    "talk": lambda words: print(words, file=sys.stderr),
}
