"""What the Containerfile, the Quadlet and the compose file say twice stays in step."""

from __future__ import annotations

import re

import digestd
from digestd.config.settings import WorkerSettings
from support.debian import PROJECT

CONTAINERFILE = (PROJECT / "Containerfile").read_text(encoding="utf-8")
QUADLET = (PROJECT / "systemd" / "digestd.container").read_text(encoding="utf-8")


def value(name: str) -> str:
    """The one value of `name` in the Quadlet."""
    (found,) = re.findall(rf"^{re.escape(name)}=(.*)$", QUADLET, flags=re.M)
    return str(found)


def test_the_label_says_the_version_that_is_built() -> None:
    assert re.findall(r"^ARG VERSION=(.*)$", CONTAINERFILE, flags=re.M) == [digestd.__version__]


def test_everything_that_pip_brings_is_pinned() -> None:
    lines = CONTAINERFILE.replace("\\\n", " ")
    calls = [
        call
        for call in re.split(r"&&|\n", lines)
        if re.search(r"/pip (--python \S+ )?(install|wheel) ", call)
    ]
    assert len(calls) == 4
    for call in calls:
        ours = "--no-deps" in call and ("--no-build-isolation" in call or "--no-index" in call)
        assert ours or "--require-hashes" in call, call


def test_the_watchdog_of_the_quadlet_is_the_one_digestd_hears_of() -> None:
    assert value("Environment=WATCHDOG_USEC") == f"{int(value('WatchdogSec')) * 1_000_000}"


def test_whoever_kills_waits_longer_than_digestd_takes_to_end() -> None:
    grace = WorkerSettings().shutdown_grace_seconds
    assert grace < int(value("StopTimeout")) < int(value("TimeoutStopSec"))
