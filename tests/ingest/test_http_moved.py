"""Where the permanent redirects of a fetch led, as far as they came first."""

from __future__ import annotations

from pathlib import Path

import pytest

from digestd.errors import RedirectFailed
from support.certificates import self_signed
from support.fault_server import not_modified_if, open_server, redirect, respond
from support.http_door import FEED, opened


@pytest.mark.parametrize(
    ("statuses", "hops"),
    [
        ([], None),
        ([301], 1),
        ([308], 1),
        ([301, 308, 301], 3),
        ([301, 301, 302], 2),
        ([308, 307], 1),
        ([301, 303, 301], 1),
        ([302], None),
        ([303], None),
        ([307], None),
        ([302, 301], None),
        ([307, 308, 308], None),
    ],
)
async def test_permanent_hops_count_up_to_the_first_other_one(statuses: list[int], hops: int | None) -> None:
    last = len(statuses)
    handlers = {f"/{hop}": redirect(f"/{hop + 1}", status) for hop, status in enumerate(statuses)}
    async with opened(handlers | {f"/{last}": respond(FEED)}) as (server, http):
        response = await http.get(server.url("/0"))
    assert response.url == server.url(f"/{last}")
    assert response.moved_to == (None if hops is None else server.url(f"/{hops}"))


async def test_an_answer_that_nothing_changed_tells_it_too() -> None:
    handlers = {"/old": redirect("/new", 301), "/new": not_modified_if('"1"', FEED)}
    async with opened(handlers) as (server, http):
        response = await http.get(server.url("/old"), headers={"If-None-Match": '"1"'})
    assert (response.status, response.moved_to) == (304, server.url("/new"))


async def test_user_info_and_fragments_are_no_part_of_it() -> None:
    async with open_server({"/new": respond(FEED)}) as other:
        target = other.url("/new?x=1#part", user_info="user:secret@")
        async with opened({"/old": redirect(target, 308)}) as (server, http):
            response = await http.get(server.url("/old#top", user_info="me:mine@"))
    assert response.moved_to == other.url("/new?x=1")


@pytest.mark.parametrize("status", [301, 302])
async def test_a_circle_leads_nowhere(status: int) -> None:
    handlers = {"/a": redirect("/b", 301), "/b": redirect("/a", status)}
    async with opened(handlers) as (server, http):
        with pytest.raises(RedirectFailed):
            await http.get(server.url("/a"))


async def test_a_downgrade_is_refused_however_permanent(tmp_path: Path) -> None:
    server_context, client_context = self_signed(tmp_path)
    async with open_server({"/plain": respond(FEED)}) as plain:
        handlers = {"/a": redirect("/b", 301), "/b": redirect(plain.url("/plain"), 301)}
        serving = opened(handlers, ssl_context=server_context, client_context=client_context)
        async with serving as (server, http):
            with pytest.raises(RedirectFailed):
                await http.get(server.url("/a"))
    assert plain.requests == []
