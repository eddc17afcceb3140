"""A file that is written whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from digestd.cli.new_file import write_new
from digestd.errors import ListError


def no_links(_from: Path, _to: Path) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture(params=["links", "no links"])
def folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    if request.param == "no links":
        monkeypatch.setattr(os, "link", no_links)
    return tmp_path


def test_a_new_file_is_there_and_nothing_beside_it(folder: Path) -> None:
    write_new(folder / "a", "ü\n")
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert (folder / "a").read_bytes() == "ü\n".encode()


def test_what_is_there_stays_unless_it_may_be_overwritten(folder: Path) -> None:
    (folder / "a").write_text("mine")
    (folder / "a").chmod(0o600)
    with pytest.raises(ListError) as caught:
        write_new(folder / "a", "new")
    assert str(caught.value) == f"{folder / 'a'} is there already and is not overwritten"
    assert (folder / "a").read_text() == "mine"
    write_new(folder / "a", "new", overwrite=True)
    assert (folder / "a").read_text() == "new"
    assert (folder / "a").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_a_link_to_nowhere_is_not_followed(folder: Path) -> None:
    (folder / "a").symlink_to(folder / "b")
    with pytest.raises(ListError):
        write_new(folder / "a", "new")
    assert not (folder / "b").exists()


def test_what_cannot_be_written_leaves_nothing_behind(folder: Path) -> None:
    with pytest.raises(ListError) as caught:
        write_new(folder / "no" / "a", "new")
    assert str(caught.value) == f"{folder / 'no' / 'a'} cannot be written: No such file or directory"
    (folder / "b").mkdir()
    with pytest.raises(ListError) as caught:
        write_new(folder / "b", "new", overwrite=True)
    assert str(caught.value) == f"{folder / 'b'} cannot be written: Is a directory"
    assert [path.name for path in folder.iterdir()] == ["b"]
    with pytest.raises(ListError) as caught:
        write_new(folder / "c", "\ud800")
    assert (
        str(caught.value) == f"{folder / 'c'} cannot be written: no UTF-8 text, or no file can have this name"
    )
    assert [path.name for path in folder.iterdir()] == ["b"]
