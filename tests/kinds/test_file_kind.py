"""The kind `file`: what is complete is taken once, whatever ends a poll; and nothing else is opened."""

from __future__ import annotations

import os
import random
import socket
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from digestd.config import checked_source
from digestd.errors import ConfigurationError, ParserBusy
from digestd.feed.shape import remembered
from digestd.kinds import Tools, schema_of
from digestd.kinds import file as file_kind
from digestd.kinds.file import FileKind
from digestd.model import Document, Failure, PollState, Source, SourceSpec
from support.kind_runs import Killed, Run
from support.polling import NoHttp

OLD = time.time() - 3_600


def feed(*guids: str) -> bytes:
    items = "".join(f"<item><guid>{guid}</guid><title>{guid}</title></item>" for guid in guids)
    return f"<rss version='2.0'><channel><title>t</title>{items}</channel></rss>".encode()


def save(path: Path, body: bytes, at: float = OLD) -> Path:
    """A file that was written long ago; its inode says otherwise, so two looks are taken."""
    path.write_bytes(body)
    os.utime(path, (at, at))
    return path


def run(path: Path, **options: object) -> Run:
    options = {"path": str(path), "settle_seconds": 0.01, **options}
    spec = SourceSpec("one", "file", path.as_uri(), options=options)
    # By the clock of the machine, as files are.
    return Run(FileKind, Source(1, spec), NoHttp(), datetime.now(UTC))


async def test_the_files_of_a_directory_are_taken_once_the_oldest_first(tmp_path: Path) -> None:
    save(tmp_path / "b.xml", feed("1", "2"), OLD)
    save(
        tmp_path / "a.json", b'{"version": "https://jsonfeed.org/version/1", "items": [{"id": "3"}]}', OLD + 9
    )
    polled = run(tmp_path)
    step = await polled.poll()
    assert step is not None
    assert [[entry.guid for entry in document.entries] for document in step.documents] == [["1", "2"], ["3"]]
    assert (step.whole, step.more) == (False, False)
    again = await polled.poll()
    assert again is not None
    assert (again.unchanged, again.documents, again.more) == (True, (), False)
    save(tmp_path / "b.xml", feed("1", "4"))
    await polled.poll()
    assert polled.kept == {"1": 2, "2": 1, "3": 1, "4": 1}


async def test_one_file_is_a_document_of_its_own(tmp_path: Path) -> None:
    path = save(tmp_path / "feed.xml", feed("1"))
    polled = run(path)
    step = await polled.poll()
    assert step is not None
    assert (step.whole, set(polled.kept)) == (True, {"1"})
    path.unlink()
    await polled.poll()
    assert polled.failure == Failure("file", f"there is no file or directory {path}")


async def test_relative_links_are_seen_from_the_base(tmp_path: Path) -> None:
    save(tmp_path / "a.xml", feed("1").replace(b"<title>1", b"<link>/x</link><title>1"))
    polled = run(tmp_path, base_url="https://vendor.example/news")
    await polled.poll()
    assert polled.entries["https://vendor.example/x"].guid == "1"


async def test_what_is_being_written_waits(tmp_path: Path) -> None:
    growing = tmp_path / "growing.xml"
    whole = feed("1", "2", "3")
    growing.write_bytes(whole[:40])
    save(tmp_path / "still.xml", feed("9"))
    polled = run(tmp_path, settle_seconds=0.05)

    async def write() -> None:
        for end in range(41, len(whole) + 1, 12):
            with growing.open("ab") as file:
                file.write(whole[file.tell() : end])
            await trio.sleep(0.01)
        with growing.open("ab") as file:
            file.write(whole[file.tell() :])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await polled.poll(most_steps=1)
        assert set(polled.kept) == {"9"}
    await polled.poll()
    assert set(polled.kept) == {"1", "2", "3", "9"}


async def test_hidden_and_partial_names_and_others_than_the_pattern_are_left_alone(tmp_path: Path) -> None:
    for name in (".a.xml", "a.xml.part", "a.xml.tmp", "a.XML.PARTIAL", "a.xml~", "a.txt"):
        save(tmp_path / name, feed(name))
    (tmp_path / "below.xml").mkdir()
    save(tmp_path / "below.xml" / "a.xml", feed("below"))
    save(tmp_path / "a.xml", feed("1"))
    polled = run(tmp_path, pattern="*.xml")
    await polled.poll()
    assert set(polled.kept) == {"1"}
    (tmp_path / ".a.xml").rename(tmp_path / "renamed.xml")
    await polled.poll()
    assert set(polled.kept) == {"1", ".a.xml"}


async def test_nothing_is_opened_but_regular_files(tmp_path: Path) -> None:
    secret = save(tmp_path.parent / f"{tmp_path.name}-secret.xml", feed("secret"))
    (tmp_path / "link.xml").symlink_to(secret)
    (tmp_path / "nowhere.xml").symlink_to(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe.xml")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket.xml"))
    (tmp_path / "null.xml").symlink_to("/dev/zero")
    save(tmp_path / "a.xml", feed("1"))
    polled = run(tmp_path)
    with trio.fail_after(10):
        await polled.poll()
    listener.close()
    assert set(polled.kept) == {"1"}
    for name, words in (
        ("link.xml", "is a symbolic link; give the file that it leads to"),
        ("pipe.xml", "is neither a file nor a directory"),
    ):
        alone = run(tmp_path / name)
        await alone.poll()
        assert alone.failure == Failure("file", f"{tmp_path / name} {words}")


async def test_a_file_that_becomes_something_else_between_two_looks_is_not_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xml", feed("1"))
    options = file_kind.FileOptions(path=str(tmp_path))
    ((looked_at,), _) = file_kind._listed(options)
    path.unlink()
    assert file_kind._content(options, looked_at) is None
    os.mkfifo(path)
    assert file_kind._content(options, looked_at) is None
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert file_kind._content(options, looked_at) is None
    path.unlink()
    save(path, feed("2"))
    assert file_kind._content(options, looked_at) is None


async def test_one_that_cannot_be_read_costs_the_others_nothing_and_is_told(tmp_path: Path) -> None:
    save(tmp_path / "a.xml", b"<html><title>No</title></html>", OLD)
    save(tmp_path / "b.xml", feed("1"), OLD + 1)
    save(tmp_path / "huge.xml", feed("2") + b" " * 5_000, OLD + 2)
    polled = run(tmp_path, max_bytes=4_000)
    await polled.poll()
    assert set(polled.kept) == {"1"}
    assert remembered(polled.state) == (
        "2 files cannot be read, such as a.xml: an HTML page (title 'No') came instead of a feed"
    )
    save(tmp_path / "a.xml", feed("3"))
    (tmp_path / "huge.xml").unlink()
    await polled.poll()
    assert set(polled.kept) == {"1", "3"}
    assert remembered(polled.state) is None


async def test_what_was_cut_off_is_kept_and_told_and_read_again_when_it_is_written_anew(
    tmp_path: Path,
) -> None:
    whole = feed("1", "2")
    save(tmp_path / "a.xml", whole[:-50])
    polled = run(tmp_path, done=str(tmp_path / "done"))
    await polled.poll()
    assert "1" in polled.kept
    assert remembered(polled.state) == (
        "a file cannot be read: a.xml: it ends before its end; what is there was taken"
    )
    assert (tmp_path / "a.xml").exists()
    save(tmp_path / "a.xml", whole)
    await polled.poll()
    assert set(polled.kept) >= {"1", "2"}
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["a.xml"]


async def test_what_was_taken_is_moved_once_it_is_kept_and_overwrites_nothing(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    save(done / "a.xml", b"another")
    save(tmp_path / "a.xml", feed("1"))
    polled = run(tmp_path, done=str(done))
    await polled.poll(most_steps=1)
    assert (tmp_path / "a.xml").exists()
    await polled.poll()
    assert not (tmp_path / "a.xml").exists()
    assert (done / "a.xml").read_bytes() == b"another"
    (moved,) = (path for path in done.iterdir() if path.name != "a.xml")
    assert moved.name.endswith("-a.xml")
    assert moved.read_bytes() == feed("1")
    assert polled.kept == {"1": 1}


async def test_a_folder_that_cannot_be_moved_to_costs_no_entries(tmp_path: Path) -> None:
    save(tmp_path / "a.xml", feed("1"))
    blocked = save(tmp_path / ".blocked", b"")
    polled = run(tmp_path, done=str(blocked))
    with capture_logs() as logs:
        await polled.poll()
        await polled.poll()
    assert polled.kept == {"1": 1}
    assert {line["effect"] for line in logs} == {"it stays where it is, and is not read again"}


async def test_many_files_are_taken_some_at_a_time(tmp_path: Path) -> None:
    for number in range(65):
        save(tmp_path / f"{number:03}.xml", feed(str(number)), OLD + number)
    polled = run(tmp_path)
    counts = []
    more = True
    while more:
        step = await polled.poll(most_steps=1)
        assert step is not None
        counts.append(len(step.documents))
        more = step.more
    assert (counts, polled.kept.total()) == ([20, 20, 20, 5], 65)


async def test_too_many_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_kind, "MOST_FILES", 3)
    for number in range(5):
        save(tmp_path / f"{number}.xml", feed(str(number)), OLD + number)
    polled = run(tmp_path)
    await polled.poll()
    await polled.poll()
    assert polled.failure == Failure(
        "file", "more than 3 files are there; move away what was read (options: done)"
    )
    moving = run(tmp_path, done=str(tmp_path / "done"))
    for _ in range(3):
        await moving.poll()
    assert moving.kept.total() == 5


def problem(**options: object) -> str:
    with pytest.raises(ConfigurationError) as raised:
        checked_source({"name": "one", "kind": "file", **options}, ["file"], schema_of)
    return str(raised.value)


def test_where_the_files_are_is_told_by_the_path(tmp_path: Path) -> None:
    assert problem(options={}) == "(one): options.path: missing; the kind 'file' needs it"
    assert problem(url="https://a.example/", options={"path": "x"}) == (
        "(one): url: leave it out: path says where the files are"
    )
    spec = checked_source(
        {
            "name": "one",
            "kind": "file",
            "options": {"path": "/srv/a b", "pattern": "*.xml", "done": "/srv/done"},
        },
        ["file"],
        schema_of,
    )
    assert spec.url == "file:///srv/a%20b?pattern=%2A.xml"


@pytest.mark.parametrize("damage", [{"taken": 3, "bad": "x"}, {"taken": [1, None]}, {"bad": {"a": 1}}])
async def test_a_damaged_row_costs_a_reading(tmp_path: Path, damage: dict[str, object]) -> None:
    save(tmp_path / "a.xml", feed("1"))
    polled = run(tmp_path)
    polled.state = PollState(cursor=damage)
    await polled.poll()
    assert set(polled.kept) == {"1"}


async def test_a_busy_parser_puts_off_what_it_did_not_read(tmp_path: Path) -> None:
    save(tmp_path / "a.xml", feed("1"), OLD)
    save(tmp_path / "b.xml", feed("2"), OLD + 1)
    polled = run(tmp_path)
    parse: Callable[..., Document] = polled._kind._parse  # type: ignore[attr-defined]

    async def busy(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
        if b"<guid>2" in body:
            raise ParserBusy("busy", retry_after=10)
        return await parse(body, url, content_type, source_url=source_url)  # type: ignore[misc, no-any-return]

    polled._kind = FileKind(Tools(busy))
    await polled.poll()
    assert set(polled.kept) == {"1"}
    assert polled.failure == Failure("busy", "busy", None, 10)
    polled._kind = FileKind(Tools(parse))  # type: ignore[arg-type]
    await polled.poll()
    assert polled.kept == {"1": 1, "2": 1}


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.booleans())
def test_whenever_it_is_killed_nothing_is_lost_and_nothing_kept_twice(seed: int, moves: bool) -> None:
    chance = random.Random(seed)

    async def main(folder: Path) -> None:
        inbox = folder / "in"
        inbox.mkdir()
        options = {"done": str(folder / "done")} if moves else {}
        polled = run(inbox, **options)
        written: set[str] = set()

        def record() -> None:
            if chance.random() < 0.3:
                raise Killed

        for number in range(chance.randrange(1, 30)):
            save(inbox / f"{number}.xml", feed(str(number)), OLD + number)
            written.add(str(number))
            if chance.random() < 0.3:
                await polled.poll(record)
        for _ in range(3):
            await polled.poll()
        assert set(polled.kept) == written
        assert polled.kept.total() == len(written)
        if moves:
            assert not list(inbox.iterdir())

    with tempfile.TemporaryDirectory() as name:
        trio.run(main, Path(name))
