"""Answers of the database, asked for seldom enough for polls not to notice who looks."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar, cast

import trio

from digestd.errors import StoreUnavailable

KEPT_SECONDS = 5.0
"""How long an answer is good for at least."""
COST_FACTOR = 20.0
"""An answer is good for so many times as long as it took: with 100,000 sources a list takes a tenth of a second."""
LONGEST_KEPT_SECONDS = 60.0
MOST_KEPT = 64
"""Answers: the lists that people look at, a page each."""
AWAY_SECONDS = 5.0
"""How long a database that did not answer is left alone."""

_Answer = TypeVar("_Answer")


class Away(Exception):
    """The database is not to be had just now; the message says why."""


class Asking:
    """Asks one question at a time, and after each leaves the database alone for as long as it took: so it has never
    more than half of one connection, and of what does not change quickly much less."""

    def __init__(self) -> None:
        self._turn = trio.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._rest_until = -math.inf
        self._away: tuple[float, str] = (-math.inf, "")

    async def answer(self, key: Hashable, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """What `ask` gives, or gave not long ago for the same `key`.

        Error handling: :class:`Away`. Cancellation: at once; nothing is kept then.
        """
        async with self._turn:
            until, kept = self._kept.get(key, (-math.inf, None))
            if trio.current_time() < until:
                return cast(_Answer, kept)
            self._refuse_while_away()
            await trio.sleep_until(max(self._rest_until, trio.current_time()))
            return await self._asked(key, ask)

    def gave_up(self, words: str) -> None:
        """Note that somebody who waited for an answer gave up, and say `words` to who asks next."""
        self._away = (trio.current_time() + AWAY_SECONDS, words)

    def _refuse_while_away(self) -> None:
        until, words = self._away
        if trio.current_time() < until:
            raise Away(words)

    async def _asked(self, key: Hashable, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        began = trio.current_time()
        try:
            answer = await ask()
        except StoreUnavailable as error:
            self.gave_up(str(error))
            raise Away(str(error)) from error
        finally:
            # Of one that was cancelled, too: its thread may still be at it.
            now = trio.current_time()
            took = now - began
            self._rest_until = now + took
        good_for = min(max(KEPT_SECONDS, COST_FACTOR * took), LONGEST_KEPT_SECONDS)
        self._kept[key] = (now + good_for, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return answer
