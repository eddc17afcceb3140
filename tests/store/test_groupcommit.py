"""Calls that are made while another one runs share the next one."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from functools import partial

import pytest
import trio
import trio.testing

from digestd.errors import StoreUnavailable
from digestd.metrics import StoreCalls
from digestd.store import groupcommit
from digestd.store.groupcommit import GroupCommit
from digestd.store.places import Places


class Work:
    """Notes what it is called with, in a thread, and ends only when it is let through."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.through = threading.Semaphore(0)
        self.errors: list[BaseException] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append([*items])
        self.begun.release()
        assert self.through.acquire(timeout=10)
        if self.errors:
            raise self.errors.pop()
        return [item * 10 for item in items]

    async def has_begun(self) -> None:
        assert await trio.to_thread.run_sync(lambda: self.begun.acquire(timeout=10))


class Callers:
    """Tasks that each ask for something, and what became of them."""

    def __init__(self, group: GroupCommit[int, int], nursery: trio.Nursery) -> None:
        self.answers: dict[int, object] = {}
        self.scopes: dict[int, trio.CancelScope] = {}
        self._group = group
        self._nursery = nursery

    async def start(self, *items: int, patient: bool = False) -> None:
        for item in items:
            self._nursery.start_soon(self._ask, item, patient)
            await trio.testing.wait_all_tasks_blocked()

    async def _ask(self, item: int, patient: bool) -> None:
        self.answers[item] = "cancelled"
        with trio.CancelScope() as self.scopes[item]:
            try:
                self.answers[item] = await self._group([item, item + 1], patient=patient)
            except StoreUnavailable as error:
                self.answers[item] = error


@pytest.fixture
async def places() -> AsyncIterator[Places]:
    places = Places(1, StoreCalls())
    yield places
    places.close()


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def group(places: Places, work: Work) -> GroupCommit[int, int]:
    return GroupCommit(places, work)


@pytest.fixture
def callers(group: GroupCommit[int, int], nursery: trio.Nursery) -> Callers:
    return Callers(group, nursery)


async def told(callers: Callers) -> None:
    with trio.fail_after(10):
        while "cancelled" in callers.answers.values():
            await trio.sleep(0.001)


async def test_what_queued_during_a_call_goes_into_the_next(work: Work, callers: Callers) -> None:
    await callers.start(1)
    await work.has_begun()
    await callers.start(3, 5)
    work.through.release(2)
    await told(callers)
    assert work.calls == [[1, 2], [3, 4, 5, 6]]
    assert callers.answers == {1: [10, 20], 3: [30, 40], 5: [50, 60]}
    work.through.release()
    await callers.start(7)
    await told(callers)
    assert work.calls[2:] == [[7, 8]]


async def test_an_error_is_raised_in_every_caller_of_its_call_only(work: Work, callers: Callers) -> None:
    away = StoreUnavailable("away")
    await callers.start(1)
    await work.has_begun()
    await callers.start(3, 5)
    work.through.release()
    await work.has_begun()
    work.errors.append(away)
    await callers.start(7)
    work.through.release(2)
    await told(callers)
    assert callers.answers == {1: [10, 20], 3: away, 5: away, 7: [70, 80]}


async def test_a_caller_cancelled_in_the_queue_never_happened(work: Work, callers: Callers) -> None:
    await callers.start(1)
    await work.has_begun()
    await callers.start(3, 5)
    callers.scopes[3].cancel()
    await trio.testing.wait_all_tasks_blocked()
    del callers.answers[3]
    work.through.release(2)
    await told(callers)
    assert work.calls == [[1, 2], [5, 6]]


async def test_a_caller_whose_items_were_taken_gets_its_answer(work: Work, callers: Callers) -> None:
    await callers.start(1)
    await work.has_begun()
    callers.scopes[1].cancel()
    await trio.testing.wait_all_tasks_blocked()
    work.through.release()
    await told(callers)
    assert callers.answers == {1: [10, 20]}


async def test_where_no_place_is_free_one_waits_for_all(
    work: Work, callers: Callers, places: Places, nursery: trio.Nursery
) -> None:
    held = threading.Event()
    nursery.start_soon(places.run, lambda: held.wait(10))
    await trio.testing.wait_all_tasks_blocked()
    await callers.start(1, 3, 5)
    callers.scopes[1].cancel()
    await trio.testing.wait_all_tasks_blocked()
    held.set()
    await work.has_begun()
    nursery.start_soon(places.run, lambda: held.wait(10))
    work.through.release(2)
    await told(callers)
    assert work.calls == [[1, 2], [3, 4, 5, 6]], "who stands in line for others does not leave them"


async def test_places_that_stay_taken_are_an_outage(
    places: Places, work: Work, callers: Callers, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digestd.store.places.WAIT_SECONDS", 0.02)
    held = threading.Event()
    nursery.start_soon(places.run, lambda: held.wait(10))
    await trio.testing.wait_all_tasks_blocked()
    await callers.start(1)
    await told(callers)
    assert isinstance(callers.answers[1], StoreUnavailable)
    held.set()
    work.through.release()
    await callers.start(3)
    await told(callers)
    assert callers.answers[3] == [30, 40]


async def test_who_is_patient_goes_with_who_is_not(
    work: Work, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "PATIENCE_SECONDS", 5)
    work.through.release()
    await callers.start(1, 3, patient=True)
    assert work.calls == []
    callers.scopes[1].cancel()
    await trio.testing.wait_all_tasks_blocked()
    del callers.answers[1]
    await callers.start(5)
    await told(callers)
    assert work.calls == [[3, 4, 5, 6]]


async def test_who_is_patient_does_not_wait_for_ever(work: Work, callers: Callers) -> None:
    work.through.release(2)
    await callers.start(1, 3, patient=True)
    await told(callers)
    assert sorted(item for call in work.calls for item in call) == [1, 2, 3, 4]


async def test_a_system_without_threads_is_an_outage_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(1, StoreCalls())
    group: GroupCommit[int, int] = GroupCommit(places, lambda items: [item * 10 for item in items])

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as system, trio.fail_after(5):
        system.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="raise the limit on tasks or memory"):
                await group([1])
        with pytest.raises(StoreUnavailable, match="can't start new thread"):
            await places.run(lambda: None)
    assert places.taken == 0
    with trio.fail_after(5):
        assert await group([1, 2]) == [10, 20]
    places.close()


async def test_threads_that_there_are_do_what_a_new_one_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(2, StoreCalls())
    await places.run(lambda: None)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[int] = []
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for number in range(2):
                nursery.start_soon(places.run, partial(done.append, number))
    assert sorted(done) == [0, 1]
    places.close()
