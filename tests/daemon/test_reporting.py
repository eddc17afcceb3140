"""What the service manager hears of how the daemon stands."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from digestd.daemon.reporting import STATUS_SECONDS, Reporting, status_line
from digestd.ingest.shutdown import Shutdown
from digestd.systemd import Notifier
from digestd.web.state import DaemonState
from web.states import MOMENT, state

COUNTS = "sources: 3, being polled: 1, failing: 1; new articles since start: 40; pages to be read: 7"


class Told(Notifier):
    """Keeps what systemd would be told."""

    def _send(self, message: bytes) -> None:
        HEARD.append(message.decode())


HEARD: list[str] = []


@pytest.fixture(autouse=True)
def heard() -> list[str]:
    HEARD.clear()
    return HEARD


@pytest.mark.parametrize(
    ("shown", "remark", "line"),
    [
        (state(), None, COUNTS),
        (
            state(store_away_since=MOMENT),
            None,
            f"the database is away since 18:30:15 UTC, polls wait; {COUNTS}",
        ),
        (
            state(stalled="a poll has held its slot for 91 s"),
            "the last reload was refused",
            f"stalled: a poll has held its slot for 91 s; the last reload was refused; {COUNTS}",
        ),
    ],
)
def test_the_line_begins_with_what_is_wrong(shown: DaemonState, remark: str | None, line: str) -> None:
    assert status_line(shown, remark) == line


async def test_the_line_is_kept_current_and_not_repeated(heard: list[str], autojump_clock: MockClock) -> None:
    shown = state()
    shutdown = Shutdown()
    reporting = Reporting(Told(), lambda: shown, shutdown)
    async with trio.open_nursery() as nursery:
        reporting.ready()
        nursery.start_soon(reporting.run)
        await trio.sleep(10 * STATUS_SECONDS + 1)
        assert heard == [f"READY=1\nSTATUS={COUNTS}"]
        shown = state(slots_in_use=0)
        await trio.sleep(STATUS_SECONDS)
        assert heard[1:] == [f"STATUS={COUNTS.replace('polled: 1', 'polled: 0')}"]
        shutdown.begin()
    assert len(heard) == 2


def test_nothing_takes_stopping_back(heard: list[str]) -> None:
    shutdown = Shutdown()
    reporting = Reporting(Told(), state, shutdown)
    reporting.reloading()
    shutdown.begin()
    reporting.stopping(8.0)
    reporting.ready()
    assert heard[0].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard[1:] == ["STOPPING=1\nSTATUS=stopping; polls in flight: 1, for 8 s at most"]
