"""Names that hang are kept apart from names that answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import pytest
import trio

from digestd.errors import NameNotFound, ResolverBusy
from digestd.ingest.http import open_http
from digestd.ingest.network import resolve, transport
from digestd.ingest.network.resolve import THREADS, ThreadResolver
from digestd.ingest.politeness import Hosts
from support.http_door import Limits


class Names:
    """A resolver in which names that begin with `hang` do not answer until the test ends."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host.startswith("hang"):
            self.ended.wait(20)
        if host.startswith("none"):
            raise socket.gaierror(socket.EAI_NONAME, "x")
        return ["192.0.2.1"]


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.ended.set()


async def hang(resolver: ThreadResolver, first: int, last: int) -> None:
    async def one(number: int) -> None:
        with pytest.raises(trio.TooSlowError):
            await resolver(f"hang{number}", 80)

    async with trio.open_nursery() as nursery:
        for number in range(first, last):
            nursery.start_soon(one, number)


async def test_the_systems_resolver_gives_each_address_once() -> None:
    assert await ThreadResolver(5)("127.0.0.1", 80) == ["127.0.0.1"]


async def test_what_the_resolver_raises_arrives_as_it_is(names: Names) -> None:
    with pytest.raises(socket.gaierror):
        await ThreadResolver(5, names)("none.example", 80)


async def test_as_many_names_that_hang_as_there_are_threads_cost_the_others_nothing(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "HANGING_SECONDS", 0.02)
    resolver = ThreadResolver(0.1, names)
    with trio.fail_after(10):
        await hang(resolver, 0, THREADS)
        assert await resolver("good", 80) == ["192.0.2.1"]
        # Twice as many: these find no room to move to, and those threads are gone until they end.
        await hang(resolver, THREADS, THREADS + 8)
        assert await resolver("good", 80) == ["192.0.2.1"]


async def test_a_name_that_hung_begins_among_those_that_hang(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "HANGING_SECONDS", 0.02)
    monkeypatch.setattr(resolve, "QUEUE_SECONDS", 0.05)
    resolver = ThreadResolver(0.1, names)
    with trio.fail_after(10):
        await hang(resolver, 0, THREADS)
        asked = len(names.asked)
        for _ in range(THREADS + 1):
            with pytest.raises(ResolverBusy) as caught:
                await resolver("hang0", 80)
        assert len(names.asked) == asked
        assert await resolver("good", 80) == ["192.0.2.1"]
    assert caught.value.retry_after == 15
    assert (
        str(caught.value)
        == "hang0 cannot be looked up just now: other names keep every thread busy; polled again soon"
    )


async def test_a_name_that_answers_again_is_one_of_those_that_do(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "HANGING_SECONDS", 0.05)
    monkeypatch.setattr(resolve, "QUEUE_SECONDS", 0.5)
    resolver = ThreadResolver(0.1, names)
    with trio.fail_after(10):
        await hang(resolver, 0, 1)
        names.ended.set()
        assert await resolver("hang0", 80) == ["192.0.2.1"]
        names.ended.clear()
        await hang(resolver, 100, 100 + THREADS)
        with pytest.raises(trio.TooSlowError):
            # It has a thread among those that answer, and no need to wait for one.
            await resolver("hang0", 80)


async def test_waiting_for_a_thread_does_not_count_against_the_lookup(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "THREADS", 1)
    resolver = ThreadResolver(0.3, names)
    answers: list[Sequence[str]] = []

    async def waits() -> None:
        answers.append(await resolver("good", 80))

    async def hangs() -> None:
        with trio.move_on_after(0.05):
            await resolver("hang", 80)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hangs)
            await trio.sleep(0.02)
            nursery.start_soon(waits)
            await trio.sleep(0.6)
            names.ended.set()
    assert answers == [["192.0.2.1"]]


async def test_a_lookup_cancelled_before_it_began_leaves_its_place(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "THREADS", 1)
    monkeypatch.setattr(resolve, "QUEUE_SECONDS", 0.5)
    resolver = ThreadResolver(1, names)

    async def look_up(scope: trio.CancelScope) -> None:
        with scope:
            await resolver("good", 80)

    for checkpoints in range(12):
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            nursery.start_soon(look_up, scope)
            for _ in range(checkpoints % 4):
                await trio.lowlevel.checkpoint()
            scope.cancel()
    assert await resolver("good", 80) == ["192.0.2.1"]


async def test_a_name_that_hangs_is_not_found(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(seconds: float) -> ThreadResolver:
        return ThreadResolver(seconds, names)

    monkeypatch.setattr(transport, "ThreadResolver", made)
    async with open_http(Limits(timeout_seconds=0.25), Hosts(2, 1.0)) as http:
        with pytest.raises(NameNotFound) as caught:
            await http.get("http://hang.example/")
    assert str(caught.value) == "hang.example was not looked up within 0.1 s"


async def test_those_that_hang_are_remembered_within_bounds(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "_MOST_REMEMBERED", 3)
    monkeypatch.setattr(resolve, "HANGING_SECONDS", 0.02)
    resolver = ThreadResolver(0.1, names)
    await hang(resolver, 0, 5)
    assert len(resolver._hung) == 3
