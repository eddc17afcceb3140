"""Older entries, read from the pages that a feed offers: whatever ends the process, whatever the server says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.errors import ConnectFailed, HostPaused, StoreUnavailable
from digestd.ingest.poll import PollResult
from digestd.model import Response
from digestd.store import LeaseLost, Recorded, Refused, StepRecord
from support.paged_site import URL, Killed, PagedSite, Reader, atom, broken


def pages(*numbers: int) -> list[str]:
    return ["" if number == 1 else f"?page={number}" for number in numbers]


async def read_first(site: PagedSite, *, paging: bool = True) -> Reader:
    """A reader that knows what the site has."""
    reader = Reader(site, paging=paging)
    await reader.poll()
    site.asked.clear()
    return reader


@pytest.mark.parametrize(
    ("relation", "in_header"), [("next", False), ("prev-archive", False), ("next", True)]
)
async def test_a_new_source_brings_its_past(
    autojump_clock: MockClock, relation: str, in_header: bool
) -> None:
    site = PagedSite(relation=relation, in_header=in_header)
    site.publish(8)
    reader = Reader(site)
    result = await reader.poll()
    assert result is not None
    assert (result.articles_new, result.outcome) == (8, "fetched")
    assert site.asked == pages(1, 2, 3)
    assert sorted(reader.kept) == sorted(site.entries)
    assert (reader.row["etag"], reader.row["schedule_reason"]) == ('"e7"', "interval")
    assert reader.bench.metrics.overflows == 0


async def test_a_new_source_brings_ten_older_pages_and_never_more(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(60)
    reader = Reader(site)
    for _ in range(3):
        await reader.poll()
    assert site.asked == pages(*range(1, 12)) + pages(1, 1)
    assert len(reader.kept) == 33


async def test_a_source_can_be_told_not_to(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(8)
    reader = Reader(site, paging=False)
    await reader.poll()
    assert site.asked == pages(1)


async def test_a_document_with_something_known_asks_for_nothing_more(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(8)
    reader = await read_first(site)
    before = reader.store.records
    site.publish(2)
    result = await reader.poll()
    assert result is not None
    assert (result.articles_new, site.asked, reader.store.records - before) == (2, pages(1), 1)
    assert reader.row["schedule_reason"] == "interval"


async def test_an_overflow_is_told_counted_and_read_up_to_what_is_known(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(9)
    reader = await read_first(site)
    site.publish(7)
    with capture_logs() as logs:
        result = await reader.poll()
    assert result is not None
    assert (result.articles_new, site.asked) == (7, pages(1, 2, 3))
    assert (reader.row["etag"], reader.row["schedule_reason"]) == ('"e15"', "overflow")
    assert result.next_delay_seconds == 150
    assert reader.bench.metrics.overflows == 1
    assert [line for line in logs if line["event"] == "worker.fetch.overflow"] == [
        {
            "event": "worker.fetch.overflow",
            "log_level": "warning",
            "entries": 3,
            "effect": "entries before these are looked for on older pages",
            "next_in_seconds": 150,
        }
    ]
    for hours, seconds in ((0, 150), (23, 150), (1, 300)):
        await trio.sleep(hours * 3_600)
        result = await reader.poll()
        assert result is not None
        assert (result.failure, result.articles_new, result.next_delay_seconds) == (None, 0, seconds)
    assert "overflow" not in str(reader.row["cursor"])


async def test_what_is_still_too_little_comes_back_sooner_still(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(9)
    reader = await read_first(site)
    delays = []
    for _ in range(4):
        site.publish(7)
        result = await reader.poll()
        assert result is not None
        delays.append(result.next_delay_seconds)
    assert delays == [150, 75, 60, 60]
    assert sorted(reader.kept) == sorted(site.entries)


async def test_an_overflow_without_pages_comes_back_sooner(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(3)
    reader = await read_first(site, paging=False)
    site.publish(4)
    with capture_logs() as logs:
        result = await reader.poll()
    assert result is not None
    assert (result.articles_new, result.next_delay_seconds, site.asked) == (3, 150, pages(1))
    (told,) = [line for line in logs if line["event"] == "worker.fetch.overflow"]
    assert told["effect"] == "entries before these may have been missed"
    assert (reader.bench.metrics.overflows, reader.row["etag"]) == (1, '"e6"')


async def test_the_first_entries_of_a_feed_that_had_none_are_no_overflow(autojump_clock: MockClock) -> None:
    site = PagedSite()
    reader = await read_first(site)
    site.publish(2)
    await reader.poll()
    assert (len(reader.kept), reader.bench.metrics.overflows) == (2, 0)


async def test_ten_pages_a_poll_and_the_next_poll_goes_on(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(3)
    reader = await read_first(site)
    site.publish(50)
    result = await reader.poll()
    assert result is not None
    assert site.asked == pages(*range(1, 12))
    assert (reader.is_paging, reader.row["etag"], reader.row["schedule_reason"]) == (True, '"e2"', "paging")
    assert result.next_delay_seconds == 150
    site.asked.clear()
    await reader.poll()
    assert site.asked == pages(*range(12, 18))
    assert sorted(reader.kept) == sorted(site.entries)
    assert (reader.is_paging, reader.row["etag"]) == (False, '"e52"')
    assert reader.bench.metrics.overflows == 1


async def test_pages_are_as_far_apart_as_polls_of_the_host(autojump_clock: MockClock) -> None:
    waited: list[float] = []

    async def again() -> None:
        waited.append(trio.current_time())
        await trio.sleep(5)

    site = PagedSite()
    site.publish(30)
    reader = Reader(site)
    result = await poll_with(reader, again)
    # A poll ends at half its deadline, and is due again at once.
    assert (len(waited), site.asked) == (6, pages(*range(1, 8)))
    assert (result.next_delay_seconds, reader.is_paging) == (0, True)


async def test_a_host_that_is_paused_puts_the_rest_off(autojump_clock: MockClock) -> None:
    async def again() -> None:
        raise HostPaused("the host is to be left alone for another 40 s", retry_after=40)

    site = PagedSite()
    site.publish(8)
    reader = Reader(site)
    result = await poll_with(reader, again)
    assert (result.outcome, result.articles_new, result.next_delay_seconds) == (None, 3, 40)
    assert (reader.bench.metrics.articles_new, reader.is_paging) == (3, True)
    await reader.poll()
    assert site.asked == pages(1, 2, 3)


async def poll_with(reader: Reader, again: Callable[[], Awaitable[None]]) -> PollResult:
    reader.again = again
    result = await reader.poll()
    reader.again = None
    assert result is not None
    return result


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, 12),
    then=st.integers(0, 40),
    dies_in_request=st.sets(st.integers(1, 30), max_size=4),
    dies_before=st.sets(st.integers(1, 30), max_size=4),
    dies_after=st.sets(st.integers(1, 30), max_size=4),
    published=st.dictionaries(st.integers(1, 30), st.integers(1, 2), max_size=4),
)
@example(
    first=0,
    then=16,
    dies_in_request=set(),
    dies_before={1, 2, 3, 12},
    dies_after=set(),
    published={12: 1, 13: 2},
)
def test_nothing_is_lost_or_doubled_wherever_the_process_ends(
    first: int,
    then: int,
    dies_in_request: set[int],
    dies_before: set[int],
    dies_after: set[int],
    published: dict[int, int],
) -> None:
    async def live() -> None:
        site = PagedSite()
        site.publish(first)
        reader = Reader(site)
        reader.store.dies_before, reader.store.dies_after = dies_before, dies_after

        def trouble(number: int) -> None:
            site.publish(published.get(number, 0))
            if number in dies_in_request:
                reader.store.alive = False
                raise Killed

        site.trouble = trouble
        await settled(reader)
        site.publish(then)
        await settled(reader)
        assert sorted(reader.kept) == sorted(site.entries)
        assert reader.row["etag"] == f'"{site.entries[0] if site.entries else ""}"'

    trio.run(live, clock=MockClock(autojump_threshold=0))


async def settled(reader: Reader) -> None:
    """Poll until two polls in a row bring nothing."""
    quiet = 0
    for _ in range(200):
        result = await reader.poll()
        quiet = quiet + 1 if result is not None and result.outcome == "unchanged" else 0
        if quiet == 2:
            return
    raise AssertionError("it never ends")


async def test_an_answer_that_was_lost_ends_no_paging(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(3)
    reader = await read_first(site)
    site.publish(9)
    lose_answers_of(reader)
    await reader.poll()
    assert sorted(reader.kept) == sorted(site.entries)


def lose_answers_of(reader: Reader) -> None:
    """Let each record be committed, and its answer be lost once."""
    record, lost = reader.store.record, set[int]()

    async def losing(records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        answers = await record(records)
        # Where the lease was given back with the step, the second try finds it lost.
        if id(records[0]) not in lost and reader.row["lease_token"] is not None:
            lost.add(id(records[0]))
            raise StoreUnavailable("the connection broke")
        return answers

    reader.store.record = losing  # type: ignore[method-assign]


async def test_a_page_that_fails_is_asked_for_three_times_and_then_given_up(
    autojump_clock: MockClock,
) -> None:
    site = PagedSite()
    site.publish(3)
    reader = await read_first(site)
    site.publish(9)
    site.pages[f"{URL}?page=3"] = broken(404)
    with capture_logs() as logs:
        for _ in range(4):
            await reader.poll()
    assert site.asked == pages(1, 2, 3, 3, 3, 1)
    assert len(reader.kept) == 9
    assert (reader.is_paging, reader.row["etag"], reader.row["last_error"]) == (False, '"e11"', None)
    given_up = [line for line in logs if line["event"] == "worker.fetch.paging_given_up"]
    assert given_up == [
        {
            "event": "worker.fetch.paging_given_up",
            "log_level": "warning",
            "effect": "older entries are not read",
        }
    ]
    failures = [line["error"] for line in logs if line.get("outcome") == "failed"]
    assert failures == ["the page with older entries: the server answered 404"] * 3


async def test_a_page_that_fails_now_and_then_is_read_in_the_end(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(3)
    reader = await read_first(site)
    site.publish(9)

    def trouble(number: int) -> None:
        if number % 3:
            raise broken()

    site.trouble = trouble
    for _ in range(12):
        await reader.poll()
    site.trouble = lambda number: None
    await reader.poll()
    assert sorted(reader.kept) == sorted(site.entries)


async def test_what_cannot_be_reached_is_tried_no_more_often(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(8)
    reader = Reader(site)
    site.pages[f"{URL}?page=2"] = ConnectFailed("nobody there")
    for _ in range(4):
        await reader.poll()
    assert site.asked == pages(1, 2, 2, 2, 1)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (b"<html><title>404</title><body>no such page", "the page with older entries: "),
        (atom(["a", "b"])[:-12], "the page with older entries: it was cut off"),
    ],
)
async def test_a_page_that_is_no_whole_feed_fails(
    autojump_clock: MockClock, page: bytes, reason: str
) -> None:
    site = PagedSite()
    site.publish(8)
    site.pages[f"{URL}?page=2"] = page
    reader = Reader(site)
    result = await reader.poll()
    assert result is not None
    assert result.failure is not None
    assert result.failure.message.startswith(reason)
    assert (sorted(reader.kept), reader.is_paging) == (sorted(site.entries[:3]), True)


@pytest.mark.parametrize(
    "older",
    [
        URL,
        f"{URL}#page2",
        "http://one.example/feed?page=2",
        "https://one.example:8443/feed?page=2",
        "https://two.example/feed?page=2",
        "https://user@one.example/feed?page=2",
        "file:///etc/passwd",
        "https://[one.example/",
        "https://one.example/" + "x" * 2_000,
    ],
)
async def test_links_that_lead_elsewhere_or_nowhere_are_not_followed(
    autojump_clock: MockClock, older: str
) -> None:
    site = PagedSite()
    site.pages[URL] = atom(["a"], older)
    reader = Reader(site)
    result = await reader.poll()
    assert result is not None
    assert (result.outcome, site.asked, reader.is_paging) == ("fetched", [""], False)


async def test_pages_in_a_circle_end(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.pages[URL] = atom(["a"], "?page=2")
    site.pages[f"{URL}?page=2"] = atom(["b"], "?page=3")
    site.pages[f"{URL}?page=3"] = atom(["c"], "?page=2")
    reader = Reader(site)
    await reader.poll()
    assert (site.asked, sorted(reader.kept)) == (pages(1, 2, 3), ["a", "b", "c"])


class EndlessSite(PagedSite):
    """Every page is new, and so is its link."""

    def _page(self, url: str, headers: Mapping[str, str]) -> Response:
        number = len(self.asked)
        return Response(url, 200, {}, atom([f"n{number}"], f"?token={number}"))


async def test_pages_without_end_end(autojump_clock: MockClock) -> None:
    site = EndlessSite()
    reader = Reader(site)
    await reader.poll()
    assert len(site.asked) == 11
    site.asked.clear()
    site.asked += ["before"] * 20
    with capture_logs() as logs:
        polls = 0
        while polls == 0 or reader.is_paging:
            await reader.poll()
            polls += 1
    assert (len(site.asked) - 20, polls) == (101, 10)
    told = [line["effect"] for line in logs if line["event"] == "worker.fetch.overflow"]
    assert told == [
        "entries before these are looked for on older pages",
        "entries before these may have been missed",
    ]


async def test_a_source_with_user_info_is_asked_for_its_pages_with_it(autojump_clock: MockClock) -> None:
    site = PagedSite()
    site.publish(5)
    reader = Reader(site, url="https://me:pw@one.example/feed")
    site.pages["https://me:pw@one.example/feed"] = atom(["x"], "?page=2")
    await reader.poll()
    assert site.asked[1] == "https://me:pw@one.example/feed?page=2"
    assert "pw" not in str(reader.row["cursor"])
