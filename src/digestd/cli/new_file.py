"""A file that is there when it is whole, and not before."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from digestd.cli.long_work import cleaning_up_on_signals
from digestd.errors import ListError

_NO_TEXT_OR_NAME = "no UTF-8 text, or no file can have this name"


def write_new(file: Path, text: str, *, overwrite: bool = False) -> None:
    """Write `text`, in UTF-8, into `file`, which appears on the disk when it is whole; whatever ends this early leaves
    none, or what stood there before. Blocks.

    Raises :class:`digestd.errors.ListError` where `file` cannot be written, or is there already and is not to be
    `overwrite`-n.
    """
    unfinished = file.with_name(f".{file.name}.unfinished-{os.getpid()}")
    try:
        with cleaning_up_on_signals():
            try:
                with unfinished.open("x", encoding="utf-8", newline="\n") as writing:
                    writing.write(text)
                    writing.flush()
                    os.fsync(writing.fileno())
                _put(unfinished, file, overwrite=overwrite)
            finally:
                unfinished.unlink(missing_ok=True)
    except FileExistsError:
        raise refused(file) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else _NO_TEXT_OR_NAME
        raise ListError(f"{file} cannot be written: {reason}") from error


def refused(file: Path) -> ListError:
    """What to say of a `file` that is there already."""
    return ListError(f"{file} is there already and is not overwritten")


def _put(unfinished: Path, file: Path, *, overwrite: bool) -> None:
    if overwrite:
        with contextlib.suppress(OSError):
            # It stays readable by whom it was readable by.
            unfinished.chmod(file.stat().st_mode & 0o7777)
        unfinished.replace(file)
    else:
        _link(unfinished, file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _link(unfinished: Path, file: Path) -> None:
    """Unlike a rename, a link never takes the place of what somebody has put there meanwhile."""
    try:
        os.link(unfinished, file)
    except FileExistsError:
        raise
    except OSError:
        # Not every file system has links.
        if os.path.lexists(file):
            raise FileExistsError from None
        unfinished.rename(file)
