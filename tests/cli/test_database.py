"""`digestd db backup` and `digestd db restore`, as an operator runs them."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from digestd.cli import database
from digestd.store import backup
from digestd.store.backup import Backup, look_into
from support.farm import open_farm
from support.process import run, write_settings

CONTENTS = r"1 sources, 3 articles, \d+\.\d MB, schema \d{4}"


@pytest.mark.slow
def test_a_backup_is_written_and_restored(tmp_path: Path) -> None:
    with open_farm() as farm:
        farm.grow("a", 3)
        file = write_settings(tmp_path, farm.sources(), extract={"enabled": False})
        assert run(["--once", "-c", str(file)], tmp_path).returncode == 0
        made = run(["db", "backup", "digestd.backup", "-c", str(file)], tmp_path)
        assert (made.returncode, made.stderr) == (0, "")
        assert re.fullmatch(rf"wrote digestd\.backup: {CONTENTS}\n", made.stdout)
        again = run(["-c", str(file), "db", "backup", "digestd.backup"], tmp_path)
        assert (again.returncode, again.stdout) == (1, "")
        assert again.stderr == "digestd: digestd.backup is there already and is not overwritten\n"
        into = {"DATABASE_URL": f"sqlite:///{tmp_path}/new/digestd.db"}
        back = run(["db", "restore", "digestd.backup", "-c", str(file)], tmp_path, **into)
        assert (back.returncode, back.stderr) == (0, "")
        assert re.fullmatch(rf"restored digestd\.backup: {CONTENTS}\n", back.stdout)
        listed = run(["articles", "--json", "-c", str(file)], tmp_path, **into)
        assert listed.stdout == run(["articles", "--json", "-c", str(file)], tmp_path).stdout
        assert "a entry 2" in listed.stdout
    missing = run(
        ["db", "backup", "x", "-c", str(file)], tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/no.db"
    )
    assert missing.returncode == 69


@pytest.mark.slow
def test_in_a_folder_a_backup_is_called_by_the_time(tmp_path: Path) -> None:
    file = write_settings(tmp_path, {})
    assert run(["--once", "-c", str(file)], tmp_path).returncode == 0
    (tmp_path / "backups").mkdir()
    made = run(["db", "backup", "backups", "-c", str(file)], tmp_path)
    assert made.returncode == 0
    (made_file,) = (tmp_path / "backups").iterdir()
    assert re.fullmatch(r"digestd-\d{8}T\d{6}Z\.db", made_file.name)
    assert look_into(made_file).rows["articles"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_and_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    file = write_settings(tmp_path, {})
    assert run(["--once", "-c", str(file)], tmp_path).returncode == 0
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/state/digestd.db")
    real = backup.back_up

    def interrupted(url: str, target: Path, *, connect_timeout_seconds: float, progress: object) -> Backup:
        def told(_what: str, _done: int, _total: int) -> None:
            os.kill(os.getpid(), number)

        return real(url, target, connect_timeout_seconds=connect_timeout_seconds, progress=told)

    monkeypatch.setattr(database, "back_up", interrupted)
    before = signal.getsignal(number)
    (tmp_path / "backups").mkdir()
    with pytest.raises(SystemExit) as ended:
        database.backup(file, tmp_path / "backups" / "digestd.backup")
    assert ended.value.code == 128 + number
    assert list((tmp_path / "backups").iterdir()) == []
    assert signal.getsignal(number) is before
