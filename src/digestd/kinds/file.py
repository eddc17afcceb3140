"""The kind `file`: feeds that somebody saved, in a file or a directory of this machine, for sites without a network.

A file is taken when it is complete, that is when it did not change for a while, and is remembered by its name and its
state with the entries that it brought; so it is taken once, and again when it is written anew. Nothing is followed,
waited for or opened but regular files: what stands in a directory may have been put there by anybody.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

import trio
from pydantic import Field

from digestd.config.kind_options import BaseURL, KindOptions, LocalPath
from digestd.errors import DocumentError, FileFailed, ParserBusy, ParserFailed
from digestd.kinds import Http, Tools, options_of
from digestd.log import get_logger
from digestd.model import Document, PollState, Source, Step

MOST_FILES = 5_000
"""How many files of a directory are looked at, the oldest first: what is read and stays there costs a look each."""
_FILES_A_STEP = 20
_BYTES_A_STEP = 1024 * 1024
# On a share that hangs, only such sources wait; and bodies of many megabytes are few at one time.
_READERS = 2
# What has not changed for so long has not changed between two looks either.
_OLD_SECONDS = 60.0
_PARTIAL = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".swp", "~")
_SHOWN_CHARACTERS = 80

# As in digestd.feed.shape, which tells the operator what stands there.
_REMARK = "degraded"
_TAKEN, _BAD = "taken", "bad"

Signature: TypeAlias = tuple[int, int, int, int]
"""By what a file is known to be the same: inode, size, and the nanoseconds of its last change, inside and out."""


class FileOptions(KindOptions):
    """The options of saved feeds."""

    path: LocalPath
    pattern: str = Field(default="*", min_length=1, max_length=200)
    done: LocalPath | None = None
    settle_seconds: float = Field(default=2.0, ge=0, le=30, allow_inf_nan=False)
    max_bytes: int = Field(default=16 * 1024 * 1024, ge=1, le=128 * 1024 * 1024)
    base_url: BaseURL | None = None

    def place(self, url: str | None) -> str:
        """The `file:` URL of the path; with the pattern, where there is one."""
        if url is not None:
            raise ValueError("leave it out: path says where the files are")
        query = "" if self.pattern == "*" else "?" + urlencode({"pattern": self.pattern})
        return Path(self.path).as_uri() + query


@dataclass(frozen=True, slots=True)
class _File:
    """One regular file, as it was looked at."""

    name: str
    signature: Signature

    @property
    def mark(self) -> str:
        """What is remembered of it."""
        said = repr((self.name, self.signature)).encode("utf-8", "surrogatepass")
        return hashlib.sha256(said).hexdigest()[:16]

    @property
    def age_order(self) -> tuple[int, str]:
        return self.signature[2], self.name


class FileKind:
    """A few files a step: those that are complete and were not taken yet, the oldest first."""

    options = FileOptions

    def __init__(self, tools: Tools) -> None:
        self._parse = tools.parse_feed
        self._now = tools.now
        self._threads = trio.CapacityLimiter(_READERS)
        self._hands = trio.CapacityLimiter(_READERS)

    def harmless(self, source: Source) -> Source:
        """See :class:`digestd.kinds.Kind`: what was read is moved nowhere."""
        options = {name: value for name, value in source.spec.options.items() if name != "done"}
        return replace(source, spec=replace(source.spec, options=options))

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`. Nothing is asked for over the network."""
        options = options_of(FileOptions, source)
        known = _Known.of(state)
        files, alone = await self._in_thread(_listed, options)
        await self._move(options, [file for file in files if file.mark in known.taken - known.bad.keys()])
        waiting = [file for file in files if not known.has(file)]
        if not waiting and len(files) >= MOST_FILES and options.done is None:
            raise FileFailed(
                f"more than {MOST_FILES:,} files are there; move away what was read (options: done)"
            )
        # Forgotten is what is there no longer.
        known = known.among(files)
        complete = await self._complete(options, waiting)
        documents = await self._take(source, options, complete, known)
        left = any(not known.has(file) for file in complete)
        return Step(
            known.state(),
            documents,
            unchanged=not documents,
            # One more step moves what was taken, once it is known to be kept.
            more=left or (options.done is not None and bool(documents)),
            whole=alone and bool(documents) and all(document.whole for document in documents),
        )

    async def _take(
        self, source: Source, options: FileOptions, complete: list[_File], known: _Known
    ) -> tuple[Document, ...]:
        """The documents of as many of the `complete` files as one step takes, which are `known` from now on."""
        documents: list[Document] = []
        size = 0
        for file in complete[:_FILES_A_STEP]:
            try:
                document = await self._read(source, options, file)
            except ParserBusy:
                if not documents:
                    raise
                break
            except DocumentError as error:
                known.bad[file.mark] = f"{_shown(file.name)}: {error}"
                continue
            if document is None:
                continue
            documents.append(document)
            known.taken.add(file.mark)
            if not document.whole:
                known.bad[file.mark] = f"{_shown(file.name)}: it ends before its end; what is there was taken"
            size += file.signature[1]
            if size >= _BYTES_A_STEP:
                break
        return tuple(documents)

    async def _read(self, source: Source, options: FileOptions, file: _File) -> Document | None:
        """What `file` says; None where it is not what it was when it was looked at."""
        url = (options.base_url or Path(options.path).as_uri()) + "/"
        async with self._hands:
            body = await self._in_thread(_content, options, file)
            if body is None:
                return None
            return await self._parse(body, url, None, source_url=source.spec.url)

    async def _complete(self, options: FileOptions, waiting: list[_File]) -> list[_File]:
        """Those of `waiting` that do not change, the oldest first."""
        now_ns = int(self._now().timestamp() * 1e9)
        old = [file for file in waiting if _is_old(file, now_ns)]
        if len(old) < len(waiting):
            # By two looks of our own, and not by clocks: that of a share may be another one.
            await trio.sleep(options.settle_seconds)
            again = set((await self._in_thread(_listed, options))[0])
            waiting = [file for file in waiting if file in again]
        return sorted(waiting, key=lambda file: file.age_order)

    async def _move(self, options: FileOptions, taken: list[_File]) -> None:
        if options.done is not None and taken:
            await self._in_thread(_moved, options, taken)

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        return await trio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True, limiter=self._threads)


@dataclass(slots=True)
class _Known:
    """The marks of the files that were taken, and what is wrong with others."""

    taken: set[str]
    bad: dict[str, str]

    @classmethod
    def of(cls, state: PollState) -> _Known:
        cursor = state.cursor or {}
        taken, bad = cursor.get(_TAKEN), cursor.get(_BAD)
        return cls(
            {str(mark) for mark in taken} if isinstance(taken, list) else set(),
            {str(mark): str(words) for mark, words in bad.items()} if isinstance(bad, Mapping) else {},
        )

    def has(self, file: _File) -> bool:
        return file.mark in self.taken or file.mark in self.bad

    def among(self, files: list[_File]) -> _Known:
        """What is known of `files`."""
        marks = {file.mark for file in files}
        return _Known(self.taken & marks, {mark: words for mark, words in self.bad.items() if mark in marks})

    def state(self) -> PollState:
        cursor: dict[str, object] = {_TAKEN: sorted(self.taken), _BAD: self.bad}
        if self.bad:
            count = len(self.bad)
            said = f"{count} files cannot be read, such as " if count > 1 else "a file cannot be read: "
            cursor[_REMARK] = said + next(iter(self.bad.values()))
        return PollState(cursor={name: value for name, value in cursor.items() if value} or None)


def _is_old(file: _File, now_ns: int) -> bool:
    changed = max(file.signature[2], file.signature[3])
    return changed < now_ns - int(_OLD_SECONDS * 1e9)


def _listed(options: FileOptions) -> tuple[list[_File], bool]:
    """The regular files at the path of `options`, and whether it is one itself. Blocks.

    Raises :class:`~digestd.errors.FileFailed`.
    """
    path = Path(options.path)
    try:
        there = path.lstat()
        if stat.S_ISLNK(there.st_mode) and not path.is_dir():
            raise FileFailed(f"{path} is a symbolic link; give the file that it leads to")
        if stat.S_ISREG(there.st_mode):
            return [_File(path.name, _signature(there))], True
        if not path.is_dir():
            raise FileFailed(f"{path} is neither a file nor a directory")
        found = sorted(_in_directory(path, options.pattern), key=lambda file: file.age_order)
    except FileNotFoundError as error:
        if options.done is not None and path.parent.is_dir():
            # It was moved away when it was read, and the next one has not come yet.
            return [], True
        raise FileFailed(f"there is no file or directory {path}") from error
    except OSError as error:
        raise FileFailed(f"{path} cannot be read: {_said(error)}") from error
    return found[:MOST_FILES], False


def _in_directory(path: Path, pattern: str) -> Iterator[_File]:
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if (
                name.startswith(".")
                or name.lower().endswith(_PARTIAL)
                or not fnmatch.fnmatchcase(name, pattern)
            ):
                continue
            # It may be moved away at any moment.
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield _File(name, _signature(status))


def _content(options: FileOptions, file: _File) -> bytes | None:
    """What stands in `file`, as it was looked at; None where it is another by now. Blocks.

    Raises :class:`~digestd.errors.FileFailed` for what cannot be opened, and
    :class:`~digestd.errors.ParserFailed` for what is too large.
    """
    path = _path_of(options, file)
    if file.signature[1] > options.max_bytes:
        raise ParserFailed(
            f"it has {file.signature[1]:,} bytes, more than {options.max_bytes:,} (options: max_bytes)"
        )
    try:
        # Not followed where it has become a link, not waited for where it has become a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise ParserFailed(f"it cannot be opened: {_said(error)}") from error
    with os.fdopen(handle, "rb") as opened:
        if not _is_still(file, handle):
            return None
        try:
            body = opened.read(file.signature[1] + 1)
        except OSError as error:
            raise FileFailed(f"{path} cannot be read: {_said(error)}") from error
        return body if _is_still(file, handle) and len(body) == file.signature[1] else None


def _is_still(file: _File, handle: int) -> bool:
    status = os.fstat(handle)
    return stat.S_ISREG(status.st_mode) and file.signature == _signature(status)


def _moved(options: FileOptions, files: list[_File]) -> None:
    """Move `files`, which were taken, into the folder for what is done. Blocks. One that cannot be moved stays, and is
    known by its state."""
    folder = Path(options.done or "")
    for file in files:
        path, target = _path_of(options, file), folder / file.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if _signature(path.lstat()) == file.signature:
                path.rename(folder / f"{file.mark}-{file.name}" if os.path.lexists(target) else target)
        except OSError as error:
            name, said = _shown(file.name), _said(error)
            effect = "it stays where it is, and is not read again"
            get_logger().warning("worker.file.not_moved", file=name, error=said, effect=effect)
            return


def _path_of(options: FileOptions, file: _File) -> Path:
    path = Path(options.path)
    return path / file.name if path.is_dir() else path


def _signature(status: os.stat_result) -> Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _said(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _shown(name: str) -> str:
    return "".join(character for character in name if character.isprintable())[:_SHOWN_CHARACTERS]
