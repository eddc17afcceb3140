"""One publisher with thousands of feeds delays nobody else, and is itself asked at its own pace."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from digestd.config.hosts import HostSettings
from digestd.ingest.politeness import Hosts
from digestd.ingest.source import SourceLife
from digestd.model import PollState, Source, SourceSpec, Step
from support.polling import Bench, fetched

CROWD, OTHERS = 5_000, 50


async def polled(source: Source, state: PollState) -> Step:
    """The publisher's servers are slow, all others take half a second."""
    await trio.sleep(5.0 if "github.io" in source.url else 0.5)
    return fetched("a")


@pytest.mark.parametrize(
    ("settings", "crowd_polls", "bound"),
    [
        # As often as two polls of five seconds at one time allow; the others have eight of the ten slots.
        (HostSettings(), 40, OTHERS * 0.5 / 8 + 0.5),
        # All slots are theirs until the others come: one of them is in the line at a time, not thousands.
        (HostSettings(concurrency=1_000, delay_seconds=0), 200, 10),
    ],
)
async def test_five_thousand_feeds_of_one_domain_delay_nobody_else(
    autojump_clock: MockClock, settings: HostSettings, crowd_polls: int, bound: float
) -> None:
    bench = Bench(polled, max_sources=10, interval_seconds=3_600)
    around = replace(bench.around, hosts=Hosts(2, 1.0, {"github.io": settings}))
    crowd = [
        SourceSpec(f"crowd{number}", "feed", f"https://user{number}.github.io/rss") for number in range(CROWD)
    ]
    others = [SourceSpec(f"other{number}", "feed", f"https://other{number}.org/") for number in range(OTHERS)]
    await bench.store.sync_sources([*crowd, *others])
    async with trio.open_nursery() as nursery:
        for status in await bench.store.sources():
            first = 100.0 if status.source.name.startswith("other") else 0.0
            nursery.start_soon(SourceLife(status, around).run, first)
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    times = {name: bench.times(name)[0] for name, _ in bench.kind.asked}
    waited = [when - 100 for name, when in times.items() if name.startswith("other")]
    assert len(waited) == OTHERS
    assert max(waited) <= bound
    before = [when for name, when in times.items() if name.startswith("crowd") and when < 100]
    assert len(before) == crowd_polls
