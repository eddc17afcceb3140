"""The threads in which calls of a database run."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar

import pytest
import trio

from digestd.metrics import StoreCalls
from digestd.store.places import Places

SAID: ContextVar[str] = ContextVar("SAID", default="nothing")


def threads() -> int:
    return sum(thread.name == "digestd store" for thread in threading.enumerate())


async def test_calls_share_as_many_threads_as_there_are_places() -> None:
    before, places = threads(), Places(2, StoreCalls())
    names = set()

    def work() -> None:
        names.add(threading.get_ident())
        time.sleep(0.01)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(places.run, work)
    assert len(names) == 2
    assert threads() == before + 2
    places.close()
    with trio.fail_after(5):
        while threads() > before:
            await trio.sleep(0.01)


async def test_what_work_raises_is_raised_and_the_place_is_free() -> None:
    places = Places(1, StoreCalls())

    def fail() -> None:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        await places.run(fail)
    assert await places.run(lambda: 1) == 1
    assert places.taken == 0
    places.close()


async def test_work_that_has_begun_is_finished_whatever_is_cancelled() -> None:
    places, done = Places(1, StoreCalls()), []

    def work() -> str:
        time.sleep(0.1)
        return "done"

    with trio.move_on_after(0.02):
        done.append(await places.run(work))
    assert done == ["done"]
    places.close()


async def test_a_call_that_may_be_left_alone_keeps_its_place_until_it_ends() -> None:
    places, ended = Places(1, StoreCalls()), threading.Event()
    with trio.move_on_after(0.02) as patience:
        await places.run(lambda: ended.wait(5), abandon_on_cancel=True)
    assert patience.cancelled_caught
    assert places.taken == 1
    ended.set()
    assert await places.run(lambda: "next") == "next"
    assert places.taken == 0
    places.close()


async def test_a_call_that_is_cancelled_before_it_begins_never_happens() -> None:
    places, begun = Places(1, StoreCalls()), []
    with trio.CancelScope() as scope:
        scope.cancel()
        await places.run(lambda: begun.append(1))
    held = threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(places.run, lambda: held.wait(5))
        await trio.sleep(0.02)
        with trio.move_on_after(0.02):
            await places.run(lambda: begun.append(2))
        held.set()
    assert begun == []
    places.close()


async def test_work_sees_the_context_of_its_caller() -> None:
    places = Places(1, StoreCalls())
    SAID.set("something")
    assert await places.run(SAID.get) == "something"
    places.close()
