"""When the garbage collector looks at what."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from digestd.daemon import collecting
from digestd.ingest.shutdown import Shutdown


class Knot:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    collecting.resume()


def test_a_start_collects_nothing_until_it_stands() -> None:
    collecting.postpone()
    assert not gc.isenabled()
    collecting.settle()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1_000
    collecting.resume()
    assert gc.get_freeze_count() == 0


async def test_what_is_new_is_collected_every_two_seconds_and_then_out_of_sight(
    autojump_clock: MockClock,
) -> None:
    shutdown = Shutdown()
    collecting.settle()
    frozen = gc.get_freeze_count()
    kept = [[number] for number in range(5_000)]
    knot = weakref.ref(Knot())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collecting.keep_short, shutdown)
        await trio.sleep(collecting.YOUNG_SECONDS + 0.1)
        assert knot() is None
        assert gc.get_freeze_count() >= frozen + len(kept)
        shutdown.begin()


async def test_what_became_garbage_out_of_sight_is_found_within_the_hour(autojump_clock: MockClock) -> None:
    shutdown = Shutdown()
    knot = Knot()
    seen = weakref.ref(knot)
    collecting.settle()
    del knot
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collecting.keep_short, shutdown)
        await trio.sleep(10)
        assert seen() is not None
        await trio.sleep(collecting.EVERYTHING_SECONDS)
        assert seen() is None
        shutdown.begin()
