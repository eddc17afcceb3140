"""Few large bodies are in memory at one time; who finds no place for one is put off, and small ones never wait."""

from __future__ import annotations

import gzip

import pytest
import trio
import trio.testing

from digestd.errors import BodiesBusy
from digestd.ingest.network import large
from digestd.ingest.network.large import LARGE_BYTES, LargeBodies, place
from support.fault_server import respond
from support.http_door import Limits, opened

LIMITS = Limits(max_body_bytes=16 * LARGE_BYTES)


async def hold(bodies: LargeBodies, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    with trio.CancelScope() as scope:
        async with bodies.step():
            await place()
            task_status.started(scope)
            await trio.sleep_forever()


async def test_who_finds_no_place_is_put_off_until_one_is_free(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bodies = LargeBodies(2)
    async with trio.open_nursery() as nursery:
        first = await nursery.start(hold, bodies)
        await nursery.start(hold, bodies)
        async with bodies.step():
            with pytest.raises(BodiesBusy) as caught:
                await place()
            assert trio.current_time() == large.WAIT_SECONDS
            said = "2 other large documents have been in hand for 2 s; polled again soon"
            assert (str(caught.value), caught.value.retry_after) == (said, 10.0)
            first.cancel()
            await place()
        # The place was given back with the step.
        await nursery.start(hold, bodies)
        nursery.cancel_scope.cancel()


async def test_a_step_needs_one_place_for_all_that_it_reads(autojump_clock: trio.testing.MockClock) -> None:
    bodies = LargeBodies(1)
    async with bodies.step():
        await place()
        await place()
    assert trio.current_time() == 0


async def test_what_is_no_step_takes_no_place() -> None:
    await place()


async def test_a_body_takes_a_place_when_it_gets_large_and_a_small_one_takes_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large, "WAIT_SECONDS", 0.2)
    small, bomb = b"x" * LARGE_BYTES, gzip.compress(b"x" * (3 * LARGE_BYTES))
    handlers = {"/small": respond(small), "/bomb": respond(bomb, headers={"Content-Encoding": "gzip"})}
    bodies = LargeBodies(1)
    async with opened(handlers, LIMITS) as (server, http), trio.open_nursery() as nursery:
        async with bodies.step():
            assert len((await http.get(server.url("/bomb"))).body) == 3 * LARGE_BYTES
        holder = await nursery.start(hold, bodies)
        async with bodies.step():
            assert (await http.get(server.url("/small"))).body == small
            with pytest.raises(BodiesBusy):
                await http.get(server.url("/bomb"))
        holder.cancel()
