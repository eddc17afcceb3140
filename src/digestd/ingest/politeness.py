"""Per-host turns: how many polls of a host run at one time, how far apart they start, and when none does.

A host is here what one key stands for (:meth:`Hosts.key_of`): mostly a registrable domain, with all its hosts.
How many is counted in each process by itself. Spacing and pauses hold among all processes on one database: what a turn
starts is reserved there (:meth:`Turn.host_start`), and pauses go there (:meth:`Hosts.new_pauses`) and come from there
(:meth:`Turn.heed`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import trio

from digestd.config.hosts import HostSettings
from digestd.ingest import throttling
from digestd.ingest.host_record import HostRecord
from digestd.ingest.network import host_keys
from digestd.ingest.network.addresses import is_private_host
from digestd.store import HostPause, HostStart, Wait

LONGEST_SPACING_SECONDS = 60.0
"""A host that asks for more time between two starts gets this: its sources must come to their turns."""


@dataclass(frozen=True, slots=True)
class HostsStatistics:
    """`known` hosts have a record, `waiting` tasks wait for a turn, `paused` hosts want to be left alone."""

    known: int
    waiting: int
    paused: int


class Turn:
    """The right to poll a host, until :meth:`leave`. Call :meth:`start` when the poll begins."""

    def __init__(self, key: str, host: HostRecord) -> None:
        self._key = key
        self._host = host
        self._started = False

    def host_start(self) -> HostStart:
        """What to ask the store for: a start at this host, among those of all processes."""
        return HostStart(self._key, self._host.spacing_after(trio.current_time()))

    def heed(self, wait: Wait) -> None:
        """Let nobody here start at this host before `wait` is over, which the store answered: others start there, or it
        is paused."""
        now = trio.current_time()
        if wait.reason == "host_paused":
            self._host.throttling = throttling.heard(self._host.throttling, wait.seconds, now)
        else:
            self._host.not_before = max(self._host.not_before, now + wait.seconds)

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
        self._host.polling += 1
        self._host.starting.release()

    def leave(self) -> None:
        """Give it back, started or not; to be called by the task that took it."""
        if self._started:
            self._host.polling -= 1
            self._host.ended.unpark_all()
        else:
            self._host.starting.release()
        self._host.places.release()
        self._host.users -= 1


class Hosts:
    """The turns of all hosts.

    `concurrency` is how many turns a host has at one time, `delay_seconds` how far apart their starts are:
    nothing for private hosts, which belong to the operator. `concurrency` is that of this process alone: several may
    have as many turns each, and start them in turn. `named` are the domains and hosts with settings of their own; a
    host's go before those of its domain. Blocks for a moment with the first URL,
    unless it is prepared.
    """

    def __init__(
        self, concurrency: int, delay_seconds: float, named: Mapping[str, HostSettings] = MappingProxyType({})
    ) -> None:
        self._concurrency = concurrency
        self._delay_seconds = delay_seconds
        self._named = named
        self._hosts: OrderedDict[str, HostRecord] = OrderedDict()
        self._budgets: dict[str, dict[int, float]] = {}
        self._new_pauses: dict[str, float] = {}
        self._waiting = 0

    def prepare(self) -> None:
        """See :func:`digestd.ingest.network.host_keys.prepare`."""
        host_keys.prepare()

    def key_of(self, url: str) -> str:
        """What `url` takes turns with: see :func:`digestd.ingest.network.host_keys.key_of`."""
        return host_keys.key_of(url, self._named)

    def try_take(self, url: str) -> Turn | None:
        """The turn at the host of `url`, where nothing has to be waited for; None otherwise."""
        key = self.key_of(url)
        host = self._record(key)
        if not host.may_start(trio.current_time()):
            return None
        host.places.acquire_nowait()
        host.starting.acquire_nowait()
        host.users += 1
        return Turn(key, host)

    async def take(self, url: str, *, longest_pause: float = math.inf) -> Turn:
        """Wait for a turn at the host of `url`, first come, first served, holding nothing else.

        At most one task per host has not called :meth:`Turn.start` yet: a host with thousands of
        sources has one task, not thousands, waiting for whatever comes next.

        Error handling: :class:`~digestd.errors.HostPaused` when the host is, or comes to be, paused for more than
        `longest_pause` seconds, or its trickle takes longer.
        Resource handling: :meth:`Turn.leave` gives the turn back.
        Cancellation: nothing is held, and the next in line gets the turn.
        """
        if (turn := self.try_take(url)) is not None:
            return turn
        key = self.key_of(url)
        host = self._record(key)
        with ExitStack() as held:
            host.users += 1
            held.callback(_leave, host)
            self._waiting += 1
            held.callback(self._waited)
            await host.places.acquire()
            held.callback(host.places.release)
            await host.starting.acquire()
            held.callback(host.starting.release)
            await host.wait_until_due(longest_pause)
            held.pop_all()
            self._waited()
        return Turn(key, host)

    @asynccontextmanager
    async def turn(self, url: str, *, longest_pause: float = math.inf) -> AsyncIterator[Turn]:
        """Hold inside the block what :meth:`take` gives."""
        turn = await self.take(url, longest_pause=longest_pause)
        try:
            yield turn
        finally:
            turn.leave()

    def _waited(self) -> None:
        self._waiting -= 1

    def count(self, url: str) -> None:
        """Count a request that came without a turn (a redirect) as the latest start at the host of `url`."""
        self._record(self.key_of(url)).last_start = trio.current_time()

    def pause(self, url: str, seconds: float | None) -> None:
        """Give no turn at the host of `url` for `seconds`, at most a day, and few for a while after that: see
        :func:`digestd.ingest.throttling.refused`. None where the host did not say for how long; a longer pause that is
        in force stays."""
        key = self.key_of(url)
        host = self._record(key)
        before = host.paused_until
        host.throttling = throttling.refused(host.throttling, seconds, trio.current_time())
        if host.paused_until > before:
            self._new_pauses[key] = host.paused_until

    def answered(self, url: str, status: int) -> None:
        """The host of `url` answered with `status`, and did not ask to be left alone: after some fine answers in a row
        it is asked as before its pause."""
        host = self._hosts.get(self.key_of(url))
        if host is not None and host.throttling is not None:
            host.throttling = throttling.answered(host.throttling, status, trio.current_time())

    @property
    def has_new_pauses(self) -> bool:
        """Whether there are pauses that nobody has told the store of yet."""
        return bool(self._new_pauses)

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
        self._record(self.key_of(url)).asked_seconds = min(seconds or 0.0, LONGEST_SPACING_SECONDS)

    def budget(self, source_id: int, url: str, seconds: float | None) -> None:
        """Keep starts at the host of `url` at least `seconds` apart because of the source with this id, until it says
        otherwise; None where it wants nothing (any more).

        The longest that a source wants holds for all that ask the host, private hosts included. A spacing that the
        operator named for the host goes over it.
        """
        key = self.key_of(url)
        wanted = self._budgets.get(key, {})
        if wanted.get(source_id) == seconds:
            return
        if seconds is None:
            del wanted[source_id]
        else:
            wanted[source_id] = seconds
        self._budgets[key] = wanted
        if not wanted:
            del self._budgets[key]
        if (host := self._hosts.get(key)) is not None:
            host.delay_seconds = self._delay_of(key)

    def paused_for(self, url: str) -> float:
        """For how many seconds more the host of `url` is paused: 0 when it is not."""
        host = self._hosts.get(self.key_of(url))
        return max(host.paused_until - trio.current_time(), 0.0) if host else 0.0

    def statistics(self) -> HostsStatistics:
        """What stands just now."""
        now = trio.current_time()
        paused = sum(host.paused_until > now for host in self._hosts.values())
        return HostsStatistics(len(self._hosts), self._waiting, paused)

    def _record(self, key: str) -> HostRecord:
        host = self._hosts.get(key)
        if host is None:
            self._drop_idle()
            host = self._hosts[key] = self._new_host(key)
        return host

    def _new_host(self, key: str) -> HostRecord:
        return HostRecord(self._settings_of(key).concurrency or self._concurrency, self._delay_of(key))

    def _settings_of(self, key: str) -> HostSettings:
        # A key with a port stands for one host; of an address, what is before the last colon is all of it.
        return self._named.get(key.rpartition(":")[0] or key) or HostSettings()

    def _delay_of(self, key: str) -> float:
        if key.startswith("file:"):
            # Files of this machine, whose owner reads them.
            return 0.0
        named = self._settings_of(key).delay_seconds
        if named is not None:
            return named
        usual = 0.0 if is_private_host(key.rpartition(":")[0]) else self._delay_seconds
        return max([usual, *self._budgets.get(key, {}).values()])

    def _drop_idle(self) -> None:
        """Look at the two records that were looked at longest ago: two looks for each new one bound them."""
        now = trio.current_time()
        for _ in range(min(2, len(self._hosts))):
            key, host = next(iter(self._hosts.items()))
            if host.is_idle(now):
                del self._hosts[key]
            else:
                self._hosts.move_to_end(key)


def _leave(host: HostRecord) -> None:
    host.users -= 1
