"""What a source's options add to its polls: sent to its origin, read anew each time, and never told."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.config import Secrets
from digestd.config.access import Access, Secret
from digestd.errors import ConfigurationError
from digestd.ingest.doors import Doors
from digestd.ingest.supervisor import Supervisor
from digestd.kinds import Http
from digestd.model import Failure, PollState, Source, SourceSpec, Step
from support.fault_server import respond
from support.http_door import FEED, opened
from support.polling import Bench, NoHttp, always, fetched


def spec(url: str, **options: Any) -> SourceSpec:
    return SourceSpec("one", "feed", url, options=options)


async def test_a_source_without_options_has_everybody_s_door() -> None:
    async with opened({"/": respond(FEED)}) as (server, http):
        door, access = await Doors(http, Secrets({}, {})).open(spec(server.url()))
        assert door is http
        assert access.hidden == ()


async def test_what_the_options_say_is_sent_and_read_anew(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with opened({"/": respond(FEED)}) as (server, http):
        doors = Doors(http, Secrets({}, {}))
        source = spec(server.url(), bearer_token={"file": str(token)})
        for written in ("first", "second"):
            token.write_text(written)
            door, _ = await doors.open(source)
            await door.get(server.url())
        sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == ["Bearer first", "Bearer second"]


async def test_after_a_reload_the_new_settings_are_looked_at() -> None:
    source = spec("https://one.example/", bearer_token={"setting": "here"})
    async with opened({"/": respond(FEED)}) as (_, http):
        doors = Doors(http, Secrets({}, {}))
        with pytest.raises(ConfigurationError) as missing:
            await doors.open(source)
        doors.adopt(Secrets({"here": Secret("told")}, {}))
        _, access = await doors.open(source)
    assert str(missing.value) == (
        "source 'one': options: bearer_token: it stands in a settings file that this process has not read"
    )
    assert access.headers == {"authorization": Secret("Bearer told")}


async def lived(bench: Bench, **options: Any) -> str:
    """The last error of a source with `options`, after its first poll."""
    await bench.store.sync_sources([spec("https://one.example/feed", **options)])
    statuses = await bench.store.sources()
    with trio.move_on_after(10):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, bench.settings.interval_seconds).start(nursery, statuses)
    (status,) = await bench.store.sources()
    return str(status.last_error)


async def test_a_secret_that_is_missing_is_the_source_s_failure_in_words(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")))
    options = {"bearer_token": {"env": "DIGESTD_TOKEN"}}
    with patch_threads():
        error = await lived(bench, **options)
    assert error == "settings: source 'one': options: bearer_token: the variable DIGESTD_TOKEN is not set"
    assert (bench.metrics.restarts, bench.metrics.errors_by_cause) == (0, {"settings": 1})
    assert bench.times() == [], "it was not asked without"


async def test_a_kind_may_have_better_words_for_a_secret_that_is_missing(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")))

    def without_secrets(source: Source, state: PollState, reason: str) -> Step:
        return Step(state, unchanged=True, remark=f"{source.name} has none: {reason}")

    bench.kind.without_secrets = without_secrets  # type: ignore[attr-defined]
    with patch_threads():
        error = await lived(bench, bearer_token={"env": "DIGESTD_TOKEN"})
    assert error == (
        "remark: one has none: source 'one': options: bearer_token: the variable DIGESTD_TOKEN is not set"
    )
    assert (bench.metrics.restarts, bench.metrics.errors_by_cause) == (0, {})
    assert bench.times() == [], "it was not asked without"
    (status,) = await bench.store.sources()
    assert not status.failing


async def test_a_secret_that_a_server_sends_back_is_not_told(autojump_clock: MockClock) -> None:
    failure = Failure("not_a_feed", "a page titled 'Bearer canary-token'")
    bench = Bench(always(Step(next_state=PollState(), failure=failure)))
    access = Access(hidden=(Secret("canary-token"),))

    async def open_door(_: SourceSpec) -> tuple[Http, Access]:
        return NoHttp(), access

    bench.doors.open = open_door  # type: ignore[method-assign, assignment]
    assert await lived(bench) == "not_a_feed: a page titled 'Bearer ***'"


async def test_neither_is_one_in_the_words_of_a_bug(autojump_clock: MockClock) -> None:
    async def step(source: Source, state: PollState) -> Step:
        raise ValueError("Bearer canary-token")

    bench = Bench(step)

    async def open_door(_: SourceSpec) -> tuple[Http, Access]:
        return NoHttp(), Access(hidden=(Secret("canary-token"),))

    bench.doors.open = open_door  # type: ignore[method-assign, assignment]
    with capture_logs() as logged:
        error = await lived(bench)
    assert "ValueError: Bearer ***" in error
    (bug,) = {line["exc_info"] for line in logged if line["event"] == "worker.source.crashed"}
    told = "".join(traceback.format_exception(bug))
    assert "ValueError: Bearer ***" in told
    assert "in step" in told, "where it happened is told all the same"
    assert "canary-token" not in told


async def test_a_bug_in_opening_the_door_is_recorded_as_the_source_s_failure(
    autojump_clock: MockClock,
) -> None:
    bench = Bench(always(fetched("a")))

    async def open_door(_: SourceSpec) -> tuple[Http, Access]:
        raise PermissionError(13, "Permission denied")

    bench.doors.open = open_door  # type: ignore[method-assign, assignment]
    with capture_logs():
        error = await lived(bench)
    assert error.startswith("bug: a bug in digestd or in the kind 'feed': PermissionError: ")


@contextmanager
def patch_threads() -> Iterator[None]:
    """A clock that jumps does not wait for threads: let their work be done at once."""

    async def run_sync(work: Any, *arguments: Any, **_: Any) -> Any:
        return work(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.to_thread, "run_sync", run_sync)
        yield
