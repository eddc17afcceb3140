"""How the database is asked: seldom, one question at a time, and not for long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from digestd.errors import StoreUnavailable
from digestd.store.overview import PollCounts, SourceCounts, SourceList, SourceQuery
from digestd.web.pages.asking import AWAY_SECONDS, KEPT_SECONDS, LONGEST_KEPT_SECONDS, MOST_KEPT, Asking, Away
from digestd.web.pages.board import ANSWER_SECONDS, HOURS, PER_PAGE, Board

NOW = datetime(2026, 11, 23, 18, 30, 15, tzinfo=UTC)


class Question:
    """Counts how often it is asked; takes so many seconds."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.asked = 0
        self.seconds = seconds
        self.error = error
        self.running = 0

    async def __call__(self) -> int:
        self.asked += 1
        assert self.running == 0, "one at a time"
        self.running = 1
        try:
            await trio.sleep(self.seconds)
        finally:
            self.running = 0
        if self.error is not None:
            raise self.error
        return self.asked


async def test_an_answer_is_good_for_some_seconds(autojump_clock: MockClock) -> None:
    asking, question = Asking(), Question()
    assert [await asking.answer("a", question) for _ in range(3)] == [1, 1, 1]
    await trio.sleep(KEPT_SECONDS)
    assert await asking.answer("a", question) == 2
    assert await asking.answer("b", question) == 3


@pytest.mark.parametrize(("seconds", "good_for"), [(1.0, 20.0), (10.0, LONGEST_KEPT_SECONDS)])
async def test_what_costs_much_is_kept_for_longer(
    seconds: float, good_for: float, autojump_clock: MockClock
) -> None:
    asking, question = Asking(), Question(seconds)
    await asking.answer("a", question)
    await trio.sleep(good_for - 0.1)
    assert await asking.answer("a", question) == 1
    await trio.sleep(0.2)
    assert await asking.answer("a", question) == 2


async def test_between_two_questions_the_database_rests_as_long_as_the_first_took(
    autojump_clock: MockClock,
) -> None:
    asking, question = Asking(), Question(0.5)
    began = trio.current_time()
    await asking.answer("a", question)
    await asking.answer("b", question)
    assert trio.current_time() - began == pytest.approx(1.5)


async def test_many_who_ask_at_once_share_one_answer(autojump_clock: MockClock) -> None:
    asking, question, answers = Asking(), Question(0.5), []

    async def ask() -> None:
        answers.append(await asking.answer("a", question))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask)
    assert answers == [1] * 50


async def test_only_so_many_answers_are_kept(autojump_clock: MockClock) -> None:
    asking, question = Asking(), Question()
    for key in range(MOST_KEPT + 1):
        await asking.answer(key, question)
    asked = question.asked
    await asking.answer(MOST_KEPT, question)
    assert question.asked == asked
    await asking.answer(0, question)
    assert question.asked == asked + 1


async def test_a_database_that_is_away_is_left_alone_for_a_while(autojump_clock: MockClock) -> None:
    asking, question = Asking(), Question(error=StoreUnavailable("nobody listens"))
    for _ in range(3):
        with pytest.raises(Away, match=r"^nobody listens$"):
            await asking.answer("a", question)
    assert question.asked == 1
    await trio.sleep(AWAY_SECONDS)
    question.error = None
    assert await asking.answer("a", question) == 2


async def test_a_question_that_is_cancelled_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    asking, question = Asking(), Question(10)
    with trio.move_on_after(1):
        await asking.answer("a", question)
    question.seconds = 0
    assert await asking.answer("a", question) == 2


class Database:
    """An overview of `total` sources, whose answers take `seconds`; notes what it is asked."""

    def __init__(self, total: int = 250, seconds: float = 0.0, polls_seconds: float | None = None) -> None:
        self.asked: list[Any] = []
        self._total = total
        self._seconds = seconds
        self._polls_seconds = seconds if polls_seconds is None else polls_seconds

    async def sources(self, query: SourceQuery, *, limit: int, offset: int = 0) -> SourceList:
        await self._note("sources", limit, offset)
        return SourceList((), self._total)

    async def counts(self) -> SourceCounts:
        await self._note("counts")
        return SourceCounts({"active": self._total}, 0, {}, {})

    async def source(self, source_id: int, *, fetches: int, newest: int) -> None:
        await self._note("source", source_id)

    async def headlines(self, limit: int) -> list[Any]:
        await self._note("headlines")
        return []

    async def polls(self, since: datetime, until: datetime) -> PollCounts:
        self.asked.append(("polls", since, until))
        await trio.sleep(self._polls_seconds)
        return PollCounts(since.hour, 0, 0, 0)

    async def _note(self, *question: Any) -> None:
        self.asked.append(question)
        await trio.sleep(self._seconds)

    def hours(self) -> list[int]:
        return [asked[1].hour for asked in self.asked if asked[0] == "polls"]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


async def test_a_page_beyond_the_last_is_the_last(autojump_clock: MockClock) -> None:
    database = Database(250)
    board = Board(database, lambda: NOW)
    assert (await board.front(SourceQuery(), 2)).page == 2
    assert (await board.front(SourceQuery(), 99)).page == 3
    offsets = [asked[1:] for asked in database.asked if asked[0] == "sources"]
    assert offsets == [(PER_PAGE, 100), (PER_PAGE, 9_800), (PER_PAGE, 200)]
    assert (await Board(Database(0), lambda: NOW).front(SourceQuery(), 5)).page == 1


async def test_hours_that_are_over_are_counted_once(autojump_clock: MockClock) -> None:
    database, clock = Database(), Clock()
    board = Board(database, clock)
    front = await board.front(SourceQuery(), 1)
    assert [hour.since for hour in front.hours] == [
        NOW.replace(minute=0, second=0) - timedelta(hours=HOURS - 1 - number) for number in range(HOURS)
    ]
    assert [hour.polls and hour.polls.brought for hour in front.hours[-3:]] == [16, 17, 18]
    assert len(database.hours()) == HOURS
    await trio.sleep(60)
    await board.front(SourceQuery(), 1)
    assert database.hours()[HOURS:] == [18], "the one that is not over"
    clock.now += timedelta(minutes=31)
    await trio.sleep(60)
    await board.front(SourceQuery(), 1)
    assert database.hours()[HOURS + 1 :] == [19, 18], "polls of an hour may still be recorded"
    clock.now += timedelta(minutes=2)
    await trio.sleep(60)
    await board.front(SourceQuery(), 1)
    await trio.sleep(60)
    await board.front(SourceQuery(), 1)
    assert database.hours()[HOURS + 3 :] == [19, 18, 19]


async def test_a_slow_log_of_polls_holds_up_no_page(autojump_clock: MockClock) -> None:
    database = Database(polls_seconds=0.3)
    board = Board(database, lambda: NOW)
    began = trio.current_time()
    front = await board.front(SourceQuery(), 1)
    assert trio.current_time() - began == pytest.approx(1.0)
    assert [hour.polls is None for hour in front.hours] == [True] * 22 + [False] * 2
    for _ in range(25):
        await trio.sleep(10)
        front = await board.front(SourceQuery(), 1)
    assert None not in [hour.polls for hour in front.hours]


@pytest.mark.parametrize("page", [lambda board: board.front(SourceQuery(), 1), lambda board: board.source(1)])
async def test_nobody_waits_for_a_database_for_ever(
    page: Callable[[Board], Awaitable[object]], autojump_clock: MockClock
) -> None:
    database = Database(seconds=1_000)
    board = Board(database, lambda: NOW)
    began = trio.current_time()
    for _ in range(3):
        with pytest.raises(Away, match=r"^the database has given no answer for 3 s$"):
            await page(board)
    assert trio.current_time() - began == pytest.approx(ANSWER_SECONDS)
    assert len(database.asked) == 1
