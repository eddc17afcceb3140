"""Per-host turns: how many polls of a host run at one time, how far apart they start, and when none does.

How many is counted in each process by itself. Spacing and pauses hold among all processes on one database: what a turn
starts is reserved there (:meth:`Turn.host_start`), and pauses go there (:meth:`Hosts.new_pauses`) and come from there
(:meth:`Turn.heed`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import trio

from digestd.errors import HostPaused
from digestd.ingest.network.addresses import is_private_host
from digestd.store import HostPause, HostStart, Wait
from digestd.store.claims import LONGEST_PAUSE_SECONDS

_NEVER = float("-inf")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def key_of(url: str) -> str:
    """The host that `url` counts for, as `host:port` in lower case; text that is no URL counts for itself."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return url
    return f"{host.rstrip('.')}:{port or _DEFAULT_PORTS.get(parts.scheme, 0)}" if host else url


LONGEST_SPACING_SECONDS = 60.0
"""A host that asks for more time between two starts gets this: its sources must come to their turns."""


@dataclass(frozen=True, slots=True)
class HostsStatistics:
    """`known` hosts have a record, `waiting` tasks wait for a turn, `paused` hosts want to be left alone."""

    known: int
    waiting: int
    paused: int


class Turn:
    """The right to poll a host. Call :meth:`start` when the poll begins."""

    def __init__(self, key: str, host: _Host) -> None:
        self._key = key
        self._host = host
        self._started = False

    def host_start(self) -> HostStart:
        """What to ask the store for: a start at this host, among those of all processes."""
        return HostStart(self._key, self._host.spacing_seconds)

    def heed(self, wait: Wait) -> None:
        """Let nobody here start at this host before `wait` is over, which the store answered: others start there, or it
        is paused."""
        until = trio.current_time() + wait.seconds
        if wait.reason == "host_paused":
            self._host.paused_until = max(self._host.paused_until, until)
        else:
            self._host.not_before = max(self._host.not_before, until)

    async def wait_until_due(self, longest_pause: float) -> None:
        """Wait, within the turn, until the host may be asked, as :meth:`Hosts.turn` did before."""
        await self._host.wait_until_due(longest_pause)

    def start(self) -> None:
        """Say that the poll begins now: the spacing counts from here, and the next task of the host may wait.

        To be called once, by the task that entered the turn.
        """
        if self._started:
            raise RuntimeError("a turn starts only once")
        self._started = True
        self._host.last_start = trio.current_time()
        self._host.starting.release()

    def _leave(self) -> None:
        if not self._started:
            self._host.starting.release()


class Hosts:
    """The turns of all hosts.

    `concurrency` is how many turns a host has at one time, `delay_seconds` how far apart their starts are:
    nothing for private hosts, which belong to the operator. `concurrency` is that of this process alone: several may
    have as many turns each, and start them in turn.
    """

    def __init__(self, concurrency: int, delay_seconds: float) -> None:
        self._concurrency = concurrency
        self._delay_seconds = delay_seconds
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._new_pauses: dict[str, float] = {}
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, url: str, *, longest_pause: float = math.inf) -> AsyncIterator[Turn]:
        """Wait for a turn at the host of `url`, first come, first served, holding nothing else.

        Inside, at most one task per host has not called :meth:`Turn.start` yet: a host with thousands of
        sources has one task, not thousands, waiting for whatever comes next.

        Error handling: :class:`~digestd.errors.HostPaused` when the host is, or comes to be, paused for more than
        `longest_pause` seconds.
        Resource handling: leaving the block gives the turn back, started or not.
        Cancellation: the turn is given back, and the next in line gets it.
        """
        host = self._record(url)
        host.users += 1
        self._waiting += 1
        waiting = True
        try:
            async with host.places:
                await host.starting.acquire()
                turn = Turn(key_of(url), host)
                try:
                    await host.wait_until_due(longest_pause)
                    self._waiting -= 1
                    waiting = False
                    yield turn
                finally:
                    turn._leave()
        finally:
            self._waiting -= waiting
            host.users -= 1

    def count(self, url: str) -> None:
        """Count a request that came without a turn (a redirect) as the latest start at the host of `url`."""
        self._record(url).last_start = trio.current_time()

    def pause(self, url: str, seconds: float) -> None:
        """Give no turn at the host of `url` for `seconds`, at most a day; a longer pause that is in force stays."""
        host = self._record(url)
        until = trio.current_time() + min(seconds, LONGEST_PAUSE_SECONDS)
        if until > host.paused_until:
            host.paused_until = self._new_pauses[key_of(url)] = until

    @contextmanager
    def new_pauses(self) -> Iterator[list[HostPause]]:
        """The pauses in force that nobody has told the store of yet; to be told within the block. Those of a block that
        raises are new ones again."""
        taken, self._new_pauses = self._new_pauses, {}
        now = trio.current_time()
        try:
            yield [HostPause(key, until - now) for key, until in taken.items() if until > now]
        except BaseException:
            self._new_pauses = taken | self._new_pauses
            raise

    def slow_down(self, url: str, seconds: float | None) -> None:
        """Keep starts at the host of `url` at least `seconds` apart, at most 60, until told otherwise.

        None asks for nothing beyond our own spacing. Private hosts get what they ask for, too. A host may be
        forgotten, with what it asked, once its next start would wait no longer: to be told anew at each.
        """
        self._record(url).asked_seconds = min(seconds or 0.0, LONGEST_SPACING_SECONDS)

    def paused_for(self, url: str) -> float:
        """For how many seconds more the host of `url` is paused: 0 when it is not."""
        host = self._hosts.get(key_of(url))
        return max(host.paused_until - trio.current_time(), 0.0) if host else 0.0

    def statistics(self) -> HostsStatistics:
        """What stands just now."""
        now = trio.current_time()
        paused = sum(host.paused_until > now for host in self._hosts.values())
        return HostsStatistics(len(self._hosts), self._waiting, paused)

    def _record(self, url: str) -> _Host:
        key = key_of(url)
        host = self._hosts.get(key)
        if host is None:
            self._drop_idle()
            private = is_private_host(key.rpartition(":")[0])
            host = self._hosts[key] = _Host(self._concurrency, 0.0 if private else self._delay_seconds)
        return host

    def _drop_idle(self) -> None:
        """Look at the two records that were looked at longest ago: two looks for each new one bound them."""
        now = trio.current_time()
        for _ in range(min(2, len(self._hosts))):
            key, host = next(iter(self._hosts.items()))
            if host.is_idle(now):
                del self._hosts[key]
            else:
                self._hosts.move_to_end(key)


class _Host:
    """What is remembered of one host. `starting` is held from the wait for a start to the start."""

    __slots__ = (
        "asked_seconds",
        "delay_seconds",
        "last_start",
        "not_before",
        "paused_until",
        "places",
        "starting",
        "users",
    )

    def __init__(self, concurrency: int, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        self.asked_seconds = 0.0
        self.last_start = _NEVER
        self.not_before = _NEVER
        self.paused_until = _NEVER
        self.places = trio.Semaphore(concurrency)
        self.starting = trio.Lock()
        self.users = 0

    @property
    def spacing_seconds(self) -> float:
        return max(self.delay_seconds, self.asked_seconds)

    def due_at(self) -> float:
        return max(self.last_start + self.spacing_seconds, self.not_before, self.paused_until)

    def is_idle(self, now: float) -> bool:
        return self.users == 0 and self.due_at() <= now

    async def wait_until_due(self, longest_pause: float) -> None:
        # A pause or a redirect may put the start off while we sleep.
        while (due_at := self.due_at()) > trio.current_time():
            paused = self.paused_until - trio.current_time()
            if paused > longest_pause:
                raise HostPaused(f"the host wants to be left alone for {paused:.0f} s", retry_after=paused)
            await trio.sleep_until(due_at)
