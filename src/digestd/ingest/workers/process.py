"""How a worker's process is started and ended."""

from __future__ import annotations

import io
import os
import signal
from multiprocessing import popen_spawn_posix, reduction, spawn, util
from multiprocessing.context import SpawnProcess, set_spawning_popen

_HELD_BACK = signal.SIGINT, signal.SIGTERM


class ParserProcess(SpawnProcess):
    """A process that SIGINT and SIGTERM do not reach from its first instruction on: a signal to the whole group
    (Ctrl-C) is for the daemon to act on, and must not look like a document that killed its parser."""

    @staticmethod
    def _Popen(process_obj: ParserProcess) -> _Launch:  # type: ignore[override]  # noqa: N802 - multiprocessing's
        return _Launch(process_obj)

    def start(self) -> None:
        """Start it with the signals blocked, which it inherits; its own handlers would come too late."""
        earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, earlier)

    def run(self) -> None:
        """Work, and end at once: to take down the interpreter and all that it holds takes longer than ten feeds."""
        super().run()
        os._exit(0)


class _Launch(popen_spawn_posix.Popen):
    """A new interpreter as multiprocessing starts one, but for two things that no worker needs: the process that tracks
    named semaphores and shared memory, which lives as long as the daemon, and the daemon's main module."""

    _fds: list[int]

    def _launch(self, process_obj: ParserProcess) -> None:
        prepared = spawn.get_preparation_data(process_obj.name)
        for key in ("init_main_from_name", "init_main_from_path"):
            prepared.pop(key, None)
        told = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(prepared, told)
            reduction.dump(process_obj, told)
        finally:
            set_spawning_popen(None)
        # Readable when the worker has ended, and the other way round.
        self.sentinel, worker_lives = os.pipe()
        worker_reads, daemon_lives = os.pipe()
        self.finalizer = util.Finalize(self, _close, (self.sentinel, daemon_lives))
        try:
            command = spawn.get_command_line(pipe_handle=worker_reads)
            inherited = [*self._fds, worker_reads, worker_lives]
            self.pid = util.spawnv_passfds(os.fsencode(spawn.get_executable()), command, inherited)
        finally:
            os.close(worker_reads)
            os.close(worker_lives)
        with open(daemon_lives, "wb", closefd=False) as pipe:
            pipe.write(told.getbuffer())


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)
