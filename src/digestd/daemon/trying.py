"""What sources are tried with, before or beside a daemon: HTTP and the processes that read, and no store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar

import trio

from digestd import kinds
from digestd.config import Configuration
from digestd.daemon.ending import Ending, expected_alone
from digestd.feed.recognising import Candidate
from digestd.ingest.budgets import OwnBudgets
from digestd.ingest.discovery import Discovery, Explorer, Make
from digestd.ingest.http import open_http
from digestd.ingest.politeness import Hosts
from digestd.ingest.remembering import Memory, RememberingDoors, RememberingHttp
from digestd.ingest.robots import Robots
from digestd.ingest.trial import STEPS, Trials
from digestd.ingest.workers.pool import Parser, open_parser
from digestd.page.robots import product_token

DISCOVERY_SECONDS = 120.0
"""How long candidates are tried at most, all together."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Bench:
    """What polls sources without a store, and finds out what is where."""

    trials: Trials
    _config: Configuration
    _memory: Memory
    _parser: Parser
    _robots: Robots
    _hosts: Hosts

    async def discover(
        self, candidates: Sequence[Candidate], make: Make, options: Collection[str] = ()
    ) -> Discovery:
        """See :meth:`digestd.ingest.discovery.Explorer.explore`; after two minutes, what was found by then."""
        explorer = Explorer(
            self.trials,
            self._memory,
            self._parser.read,
            self._robots,
            self._hosts,
            agent=product_token(self._config.settings.fetch.user_agent),
            make=make,
            kinds=kinds.registered().keys(),
            options=options,
            is_secret=self._config.secrets.wanted_by,
        )
        with trio.move_on_after(DISCOVERY_SECONDS) as deadline:
            await explorer.explore(candidates)
        if deadline.cancelled_caught:
            explorer.found.cut_off(DISCOVERY_SECONDS)
        return explorer.found


@asynccontextmanager
async def open_bench(
    config: Configuration, *, steps: int = STEPS, pauses: Mapping[str, float] = MappingProxyType({})
) -> AsyncIterator[Bench]:
    """A bench by `config`, whose database is not looked at, for `steps` steps of each poll. `pauses` are the hosts, by
    their keys, that want to be left alone for so many seconds.

    Resource handling: connections and processes are closed when the block ends.
    """
    fetch, worker = config.settings.fetch, config.settings.worker
    hosts = Hosts(fetch.per_host_concurrency, fetch.per_host_delay_seconds, fetch.hosts)
    for host, seconds in pauses.items():
        hosts.pause(f"http://{host}/", seconds)
    memory = Memory()
    extract = config.settings.extract.enabled
    async with open_http(fetch, hosts) as http, open_parser(1) as parser:
        # What a trial may cost is bounded by the budget of a day, and counted by nobody else.
        budgets = OwnBudgets(lambda: datetime.now(UTC))
        loaded = kinds.Lazily(kinds.Tools(parse_feed=parser, read=parser.read, budgets=budgets))
        doors = RememberingDoors(http, config.secrets, memory)
        trials = Trials(doors, hosts, loaded, worker, extract=extract, steps=steps)
        robots = Robots(RememberingHttp(http, memory))
        yield Bench(trials, config, memory, parser, robots, hosts)


def run(work: Callable[[], Awaitable[Result]]) -> Result | None:
    """Run `work` to its end and give its result; None where SIGINT or SIGTERM came first.

    Expected failures escape as themselves.
    """
    return trio.run(_until_interrupted, work)


async def _until_interrupted(work: Callable[[], Awaitable[Result]]) -> Result | None:
    ending = Ending(0)
    results: list[Result] = []
    with expected_alone():
        async with trio.open_nursery() as nursery:
            await nursery.start(ending.watch)
            nursery.start_soon(_cancel_after, ending.shutdown.begun, nursery.cancel_scope)
            results.append(await work())
            nursery.cancel_scope.cancel()
    return results[0] if results else None


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
