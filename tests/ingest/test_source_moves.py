"""Sources that move, from their polls to the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from digestd.config import WorkerSettings
from digestd.config.access import Access, Secret
from digestd.ingest.source import SourceLife
from digestd.ingest.verdict import judge, record_of, redacted
from digestd.model import PollState, Source, SourceSpec, SourceStatus, Step
from digestd.store import Claim
from support.polling import Bench, failed, in_turn

OLD, NEW = "https://one.example/one", "https://new.example/feed?key=secret"
SEEN = PollState(cursor={"asked": "x"})


def unchanged(effective_url: str | None = None) -> Step:
    return Step(SEEN, unchanged=True, effective_url=effective_url)


async def polled(steps: Sequence[Step], *names: str) -> tuple[Bench, list[EventDict]]:
    """A bench whose source `one` was polled as often as there are `steps`, and what the log said of moves."""
    bench = Bench(in_turn(steps))
    await bench.add("one", *names)
    with capture_logs() as logs:
        for _ in steps:
            await SourceLife(await bench.status(), bench.around).once(force=True)
    return bench, [
        line for line in logs if line["event"] in {"worker.source.moved", "worker.source.duplicate"}
    ]


async def test_a_move_is_told_once_with_its_secrets_masked(autojump_clock: object) -> None:
    bench, logs = await polled([unchanged(NEW), unchanged()])
    assert (await bench.status()).source.url == NEW
    assert logs == [
        {
            "event": "worker.source.moved",
            "log_level": "info",
            "url_before": OLD,
            "url": "https://new.example/feed?key=***",
            "cause": "permanent redirect",
        }
    ]


async def test_a_duplicate_is_told_with_what_to_do(autojump_clock: object) -> None:
    bench, logs = await polled([unchanged("https://two.example/two")], "two")
    assert logs == [
        {
            "event": "worker.source.duplicate",
            "log_level": "warning",
            "paused": "two",
            "kept": "one",
            "url": "https://two.example/two",
            "effect": "the paused one is not polled",
            "remedy": "take one of the two out, or poll both: digestd sources enable NAME",
        }
    ]
    assert (await bench.status("two")).state == "duplicate"


async def test_a_dead_target_is_left_for_the_url_that_was_configured(autojump_clock: object) -> None:
    dead = kept_by_the_kind([failed("http_status", status=404)] * 3)
    bench, logs = await polled([unchanged(NEW), *dead[:2]])
    assert (await bench.status()).source.url == NEW
    bench, logs = await polled([unchanged(NEW), *dead])
    assert (await bench.status()).source.url == OLD
    assert [(line["url"], line["cause"]) for line in logs[1:]] == [(OLD, "http_status: it broke")]


def kept_by_the_kind(failures: Sequence[Step]) -> list[Step]:
    """`failures` with the state that each poll is given: that is what the one before it left."""
    states = [
        PollState(cursor={"moved_failures": count} if count else None) for count in range(len(failures))
    ]
    return [Step(state, failure=step.failure) for state, step in zip(states, failures, strict=True)]


@pytest.mark.parametrize(("offline", "expected"), [(True, None), (False, "")])
def test_what_counts_against_nobody_does_not_count_against_a_move(
    offline: bool, expected: str | None
) -> None:
    source = Source(1, SourceSpec("one", "feed", OLD), effective_url=NEW)
    before = PollState(cursor={"moved_failures": 2})
    claim = Claim(source, before, "token", 2, 0)
    step = Step(before, failure=failed("dns").failure)
    now = datetime.now(UTC)
    verdict = judge(claim, step, WorkerSettings(), now=now, chance=0, offline=offline)
    record = record_of(claim, step, verdict, now=now, lease_seconds=75, final=True, extract=True)
    assert record.effective_url == expected
    assert record.next_state == (before if offline else PollState())


async def test_the_next_poll_takes_the_turn_of_the_host_it_moved_to(autojump_clock: object) -> None:
    bench, _ = await polled([unchanged(NEW)])
    status: SourceStatus = await bench.status()
    life = SourceLife(status, bench.around)
    bench.hosts.pause("https://one.example/", 3600)
    await life.once(force=True)
    assert len(bench.times()) == 2


def test_what_a_server_sends_back_of_our_secrets_is_no_target() -> None:
    access = Access(hidden=(Secret("a-long-secret"),))
    assert redacted(unchanged("https://one.example/?k=a-long-secret"), access).effective_url is None
    assert redacted(unchanged(NEW), access).effective_url == NEW
