"""The kind x through whatever ends or fails a request, a step or a process."""

from __future__ import annotations

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import ConnectFailed, FetchTimeout
from support.kind_runs import Killed
from support.x_reader import SEARCH, USER, Clock, Reader, ids, site_at
from support.x_site import Said

NUMBERS = st.sets(st.integers(1, 30), max_size=6)


@settings(max_examples=60)
@given(
    is_search=st.booleans(),
    rounds=st.lists(st.integers(0, 50), min_size=1, max_size=6),
    hours=st.lists(st.integers(1, 12), min_size=6, max_size=6),
    daily_posts=st.one_of(st.none(), st.integers(150, 400)),
    broken=NUMBERS,
    lost=NUMBERS,
    dies_in_request=NUMBERS,
    dies_with_answer=NUMBERS,
    dies_before=NUMBERS,
    dies_after=NUMBERS,
    stale=NUMBERS,
    longest_page=st.sampled_from([100, 17, 7]),
)
def test_nothing_is_lost_doubled_or_overspent_whatever_fails(
    is_search: bool,
    rounds: list[int],
    hours: list[int],
    daily_posts: int | None,
    broken: set[int],
    lost: set[int],
    dies_in_request: set[int],
    dies_with_answer: set[int],
    dies_before: set[int],
    dies_after: set[int],
    stale: set[int],
    longest_page: int,
) -> None:
    async def live() -> None:
        clock = Clock()
        site = site_at(clock, 1, longest_page=longest_page)
        reader = Reader(site, SEARCH if is_search else USER, daily_posts=daily_posts)
        await reader.poll()
        records = 0

        def before(number: int) -> Said | None:
            if number in dies_in_request:
                raise Killed
            if number in broken:
                raise ConnectFailed("no connection")
            site.pages_live = number not in stale
            return None

        def after(number: int) -> None:
            if number in dies_with_answer:
                raise Killed
            if number in lost:
                raise FetchTimeout("no complete answer")

        def record() -> None:
            nonlocal records
            records += 1
            # Before a record and after it.
            if (records + 1) // 2 in (dies_before if records % 2 else dies_after):
                raise Killed

        reader.asking.before, reader.asking.after = before, after
        for posts, pause in zip(rounds, hours, strict=False):
            clock.later(hours=pause)
            for number in range(posts, 0, -1):
                site.post(ago=pause * 3_600 * number / (posts + 1))
            await reader.poll(record)
        reader.asking.before, reader.asking.after = lambda number: None, lambda number: None
        site.pages_live = True
        # Three days for what is left: a search reaches back over all of it.
        for _ in range(12):
            clock.later(hours=6)
            await reader.poll()
        assert reader.guids == ids(site)
        assert reader.failure is None
        if daily_posts is not None:
            assert max(count for (_, what), count in site.sold.items() if what == "posts") <= daily_posts

    trio.run(live)
