"""Other feed readers on the same work, where they are installed: lemon24/reader, newsboat, and a bare pipeline."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from benchmarks.usage import Usage, run

_PIPELINE = Path(__file__).with_name("bare_pipeline.py")


class Peer(ABC):
    """A reader with a database of its own in `folder`, which is to be asked for `urls`."""

    name: str

    def __init__(self, folder: Path, urls: Sequence[str]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.urls = urls

    @abstractmethod
    def start_up(self) -> Usage:
        """What it takes to start and to find nothing to do."""

    @abstractmethod
    def update(self) -> Usage:
        """Fetch every feed once, ten at a time."""

    def _run(self, *command: str) -> Usage:
        env = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        used = run(command, cwd=self.folder, env=env, stderr=self.folder / "stderr.log")
        if used.status:
            words = (self.folder / "stderr.log").read_text()[-1_000:]
            raise RuntimeError(f"{self.name} ended with {used.status}: {words}")
        return used


class BarePipeline(Peer):
    """See :mod:`benchmarks.bare_pipeline`."""

    name = "bare pipeline"

    def start_up(self) -> Usage:
        (self.folder / "none").touch()
        return self._run(sys.executable, str(_PIPELINE), "none", "database")

    def update(self) -> Usage:
        (self.folder / "urls").write_text("\n".join(self.urls))
        return self._run(sys.executable, str(_PIPELINE), "urls", "database")


class Reader(Peer):
    """lemon24/reader (pip install 'reader[cli]'), in an environment of its own."""

    name = "reader"

    def __init__(self, folder: Path, urls: Sequence[str], python: Path) -> None:
        super().__init__(folder, urls)
        self._command = (str(python), "-m", "reader", "--db", "reader.sqlite")
        # One `reader add` a feed would take a second each.
        add = "import sys; from reader import make_reader; r = make_reader('reader.sqlite'); "
        (folder / "urls").write_text("\n".join(urls))
        self._run(str(python), "-c", f"{add}[r.add_feed(u) for u in open('urls').read().split()]")

    def start_up(self) -> Usage:
        return self._run(*self._command, "update", "--help")

    def update(self) -> Usage:
        return self._run(*self._command, "update", "--no-scheduled", "--workers", "10")


class Newsboat(Peer):
    """newsboat, where it is on the path. It does not send ETags without its own cache being warm."""

    name = "newsboat"

    def __init__(self, folder: Path, urls: Sequence[str]) -> None:
        super().__init__(folder, urls)
        (folder / "urls").write_text("\n".join(urls) + "\n")
        (folder / "none").write_text("http://127.0.0.1:9/\n")
        (folder / "config").write_text("reload-threads 10\nsuppress-first-reload yes\n")

    def start_up(self) -> Usage:
        return self._reload("none", "nothing.db")

    def update(self) -> Usage:
        return self._reload("urls", "cache.db")

    def _reload(self, urls: str, cache: str) -> Usage:
        return self._run("newsboat", "-u", urls, "-c", cache, "-C", "config", "-x", "reload")


def reader_python(folder: Path) -> Path | None:
    """The Python of an environment with lemon24/reader in `folder`, made if pip can; None if it cannot."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        # Its copy of feedparser wants sgmllib, which its dependencies bring no more.
        install = [str(python), "-m", "pip", "install", "-q", "reader[cli]", "sgmllib3k"]
        subprocess.run(install, capture_output=True, check=False)
    probe = subprocess.run([str(python), "-c", "import reader"], capture_output=True, check=False)
    return python if probe.returncode == 0 else None


def installed(folder: Path, urls: Sequence[str], reader: Path | None) -> tuple[list[Peer], list[str]]:
    """The peers that are here, each in a folder of its own, and in words those that are not."""
    found: list[Peer] = [BarePipeline(folder / "bare", urls)]
    missing = []
    if reader is not None:
        found.append(Reader(folder / "reader", urls, reader))
    else:
        missing.append("reader cannot be installed (pip install 'reader[cli]')")
    if shutil.which("newsboat"):
        found.append(Newsboat(folder / "newsboat", urls))
    else:
        missing.append("newsboat is not on the path")
    missing.append("miniflux is not run: it needs a PostgreSQL server and a set-up of its own")
    return found, missing
