"""`python -m digestd` and the console entry `digestd`."""

import os
import signal

# First of all, before any heavy import: until the daemon watches signals itself nothing is open, and a service manager
# that changes its mind during the first half second gets a clean end. In the workers' processes (`__mp_main__`) the
# daemon decides when to end.
if __name__ != "__mp_main__":
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, lambda *_: os._exit(0))

import gc
import io
import sys


def main() -> None:
    """Run one command and exit with its status: see `digestd --help`."""
    # What feeds say is shown as well as the terminal's encoding allows.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from digestd import healthcheck

        if (asked := healthcheck.asked_by(sys.argv[1:])) is not None:
            sys.exit(healthcheck.health(asked.file))
        from digestd.cli import run

        run()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "digestd":
            raise
        print(
            f"digestd: the package {error.name!r} is missing; install digestd again with pip, "
            "in the environment it runs in",
            file=sys.stderr,
        )
        sys.exit(os.EX_CONFIG)
    finally:
        # What there is goes with the process: to look through it for garbage once more takes longer than `--help`.
        gc.freeze()


if __name__ == "__main__":
    main()
