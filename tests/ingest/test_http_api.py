"""Asking an API: every answer is one, forms are posted once, and limits and secrets reach the kind and nobody else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio

from digestd.config import Secrets
from digestd.config.access import Access, Secret
from digestd.errors import RedirectFailed, TooLarge
from digestd.ingest.doors import Doors
from digestd.ingest.politeness import Hosts
from digestd.model import SourceSpec
from support.fault_server import endless, redirect, respond
from support.http_door import Limits, opened


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 422, 429, 500, 503])
async def test_every_status_is_an_answer(status: int) -> None:
    body = b"" if status == 204 else b'{"title": "said"}'
    handler = respond(body, status, {"X-RateLimit-Remaining": "0"})
    async with opened({"/": handler}) as (server, http):
        answer = await http.ask(server.url())
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["x-ratelimit-remaining"] == "0"


async def test_of_an_error_no_more_is_read_than_a_sentence_needs() -> None:
    async with opened({"/": respond(b"x" * 200_000, 500)}) as (server, http):
        answer = await http.ask(server.url())
    assert answer.body == b"x" * 65_536
    async with opened({"/": endless(2_000_000)}, Limits(max_body_bytes=100_000)) as (server, http):
        with pytest.raises(TooLarge):
            await http.ask(server.url())


async def test_a_form_is_posted_and_not_sent_on() -> None:
    handlers = {"/token": respond(b"{}"), "/moved": redirect("/token", 307)}
    async with opened(handlers) as (server, http):
        await http.ask(
            server.url("/token"),
            form={"grant_type": "a b&c", "scope": "é"},
            headers={"Authorization": "Basic x"},
        )
        with pytest.raises(RedirectFailed) as raised:
            await http.ask(server.url("/moved"), form={"secret": "hunter2"})
        posted, moved = server.requests
    assert (posted.method, posted.body) == ("POST", b"grant_type=a+b%26c&scope=%C3%A9")
    assert posted.headers["content-type"] == "application/x-www-form-urlencoded"
    assert posted.headers["authorization"] == "Basic x"
    assert moved.path == "/moved"
    assert str(raised.value) == "what was posted is sent on to another address, and not sent again"


async def test_what_is_asked_without_a_form_is_sent_on() -> None:
    async with opened({"/old": redirect("/new"), "/new": respond(b"[]")}) as (server, http):
        answer = await http.ask(server.url("/old"))
    assert (answer.url, answer.body) == (server.url("/new"), b"[]")


@pytest.mark.parametrize(
    ("status", "headers", "paused"),
    [
        (429, {"Retry-After": "120"}, 120.0),
        (429, {}, 60.0),
        (503, {"Retry-After": "30"}, 30.0),
        (503, {}, 0.0),
        (403, {"Retry-After": "30"}, 0.0),
    ],
)
async def test_refusals_pause_the_host_as_everywhere(
    status: int, headers: Mapping[str, str], paused: float
) -> None:
    hosts = Hosts(2, 0)
    async with opened({"/": respond(b"", status, headers)}, hosts=hosts) as (server, http):
        await http.ask(server.url())
        assert hosts.paused_for(server.url()) == pytest.approx(paused, abs=2)


async def test_a_kind_has_a_host_left_alone_for_all() -> None:
    hosts = Hosts(2, 0)
    async with opened({}, hosts=hosts) as (server, http):
        http.leave_alone(server.url("/one"), 300)
        assert hosts.paused_for(server.url("/other")) == pytest.approx(300, abs=2)
        with hosts.new_pauses() as pauses:
            assert [pause.key for pause in pauses] == [f"127.0.0.1:{server.port}"]


async def test_a_secret_is_given_to_the_kind_of_its_source_alone() -> None:
    async with opened({"/": respond(b"{}")}) as (server, http):
        assert http.secret("key") is None
        door = http.with_access(Access(secrets={"key": Secret("hunter2")}), server.url())
        assert (door.secret("key"), door.secret("other"), door.mark) == ("hunter2", None, "")
        await door.ask(server.url())
        assert "hunter2" not in repr(server.requests)
        spec = SourceSpec("one", "board", server.url(), options={"key": {"secret": {"env": "KEY"}}})
        found, access = await Doors(http, Secrets({}, {"KEY": "hunter3"})).open(spec)
    assert found.secret("key") == "hunter3"
    assert access.redacted("not hunter3!") == "not ***!"


async def test_asking_ends_when_it_is_cancelled() -> None:
    async def never(exchange: object) -> None:
        await trio.sleep_forever()

    async with opened({"/": never}) as (server, http):
        with trio.move_on_after(0.1) as scope:
            await http.ask(server.url())
    assert scope.cancelled_caught
