"""Two daemons and four, one PostgreSQL, a thousand feeds: each is fetched once in every interval, whoever dies."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from support.farm import Asked, Farm, open_farm
from support.kept import Database
from support.process import Digestd, write_settings

SLOW_SECONDS = 1.0
WINDOW = 10.0
FEEDS = 1000
HOSTS = 50
INTERVAL = 12.0
POLL_TIMEOUT = 2
LEASE = POLL_TIMEOUT + 15.0
LATE = 6.0
"""How late a poll may be where tests share a machine."""
IN_HAND = 3


@pytest.fixture
def many_hosts() -> Iterator[Farm]:
    """A farm on so many hosts that politeness towards one of them limits nothing."""
    with open_farm(HOSTS) as opened:
        yield opened


@dataclass
class Gate:
    """Holds back the answers to one replica from when it is shut until it is opened; `held` names what waits."""

    agent: str
    held: list[str] = field(default_factory=list)
    shut: bool = False
    opened: threading.Event = field(default_factory=threading.Event)

    def pass_through(self, asked: Asked) -> None:
        if self.shut and asked.agent == self.agent:
            self.held.append(asked.name)
            self.opened.wait(30)


def start(
    folder: Path, file: Path, database: Database, agents: list[str], running: ExitStack
) -> dict[str, Digestd]:
    """Replicas that all start at one moment, by the User-Agent that tells them apart."""
    environ = {**database.environ, "EXTRACT_ENABLED": "false"}
    return {
        agent: running.enter_context(
            Digestd(["-c", str(file)], folder, {**environ, "FETCH_USER_AGENT": agent})
        )
        for agent in agents
    }


def leased_by(process: Digestd, database: Database) -> set[str]:
    """The sources that `process` holds the leases of."""
    return {
        name
        for name, holding in database.holdings().items()
        if holding.lease_owner is not None and f"/{process.process.pid}/" in holding.lease_owner
    }


@pytest.mark.slow
def test_a_thousand_feeds_are_each_fetched_once_an_interval_whoever_dies(
    tmp_path: Path, many_hosts: Farm, postgres_url: str
) -> None:
    farm, database = many_hosts, Database(tmp_path, postgres_url)
    names = [f"feed{number}" for number in range(FEEDS)]
    for name in names:
        farm.grow(name, 2)
    worker = {"interval_seconds": INTERVAL, "poll_timeout_seconds": POLL_TIMEOUT}
    file = write_settings(tmp_path, farm.sources(), worker=worker)
    killed, stopped, *_ = agents = [f"replica-{number}" for number in range(4)]
    gates = {agent: Gate(agent) for agent in (killed, stopped)}

    def pass_gates(asked: Asked) -> None:
        for gate in gates.values():
            gate.pass_through(asked)

    farm.on_request = pass_gates
    with ExitStack() as running:
        replicas = start(tmp_path, file, database, agents, running)
        watcher = replicas[agents[-1]]
        watcher.wait_until(lambda: len(farm.requests) == FEEDS, "a request for each feed", 2 * INTERVAL)
        for name in names[::5]:
            farm.grow(name)
        time.sleep(INTERVAL + 1)
        shares = Counter(asked.agent for asked in farm.asked)
        in_hand = strike(replicas, gates, database)
        began = time.monotonic()
        for name in in_hand[killed] | in_hand[stopped]:
            farm.grow(name, 3)
        gates[stopped].opened.set()
        # What was in hand, and everybody else meanwhile, comes to its next poll.
        time.sleep(LEASE + INTERVAL + 1)
        assert in_hand[killed] | in_hand[stopped] <= {a.name for a in farm.asked if a.at > began}
        assert set(database.entries()) == farm.guids()
        resumed = time.monotonic()
        replicas[stopped].send(signal.SIGCONT)
        watcher.wait_until(
            lambda: any(a.agent == stopped and a.at > resumed for a in farm.asked), "work of who was stopped"
        )
        time.sleep(INTERVAL / 2)
        expect_nothing_written(replicas[stopped], in_hand[stopped])
        expect_one_request_in_each_interval(farm, began, in_hand)
        assert all(shares[agent] > FEEDS / len(agents) for agent in agents), shares
        end([replica for agent, replica in replicas.items() if agent != killed])
    assert database.entries() == sorted(farm.guids())


def strike(
    replicas: Mapping[str, Digestd], gates: Mapping[str, Gate], database: Database
) -> dict[str, set[str]]:
    """Kill the first replica that has a gate, and stop the second, each with polls in hand; tell which these were."""
    in_hand: dict[str, set[str]] = {}
    for (agent, gate), number in zip(gates.items(), (signal.SIGKILL, signal.SIGSTOP), strict=True):
        gate.shut = True
        replicas[agent].wait_until(lambda gate=gate: len(gate.held) >= IN_HAND, "polls in hand")  # type: ignore[misc]
        os.killpg(replicas[agent].process.pid, number)
        in_hand[agent] = leased_by(replicas[agent], database)
        assert set(gate.held) <= in_hand[agent]
    return in_hand


def expect_nothing_written(resumed: Digestd, in_hand: set[str]) -> None:
    """Of the polls that were in hand when it was stopped none wrote anything, and each says so."""
    lost = resumed.events("worker.lease.lost")
    assert {event["source"] for event in lost} == in_hand
    assert {event["effect"] for event in lost} == {"nothing of this step was written"}
    written = {event["poll_id"] for event in resumed.events("worker.fetch.complete")}
    assert written.isdisjoint(event["poll_id"] for event in lost)


def expect_one_request_in_each_interval(farm: Farm, struck: float, in_hand: Mapping[str, set[str]]) -> None:
    """From one request of a feed to the next an interval passes, and hardly more but where we struck in between.

    What the dead held then is polled within a lease and an interval from that moment: they may have claimed just before
    it what was last asked for an interval ago. Who had found another feed leased by them looks again within 5 s.
    """
    moments: dict[str, list[float]] = defaultdict(list)
    for asked in farm.asked:
        moments[asked.name].append(asked.at)
    held = set().union(*in_hand.values())
    for name, times in moments.items():
        for before, after in pairwise([*times, time.monotonic()]):
            latest = before + INTERVAL + LATE
            if before < struck < after:
                latest = struck + LEASE + INTERVAL if name in held else latest + 5
            assert after < latest, f"{name} was asked for at {times}, and we struck at {struck}"
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps) > INTERVAL - 0.05, f"{name} was asked for after {gaps} s"


def end(replicas: Iterable[Digestd]) -> None:
    for replica in replicas:
        replica.send(signal.SIGTERM)
    for replica in replicas:
        assert replica.end() == 0
        assert "Traceback" not in replica.stderr, replica.stderr


@pytest.mark.slow
def test_two_replicas_fetch_each_of_a_thousand_feeds_once_an_interval(
    tmp_path: Path, many_hosts: Farm, postgres_url: str
) -> None:
    farm, database = many_hosts, Database(tmp_path, postgres_url)
    names = [f"feed{number}" for number in range(FEEDS)]
    for name in names:
        farm.grow(name, 2)
    # As many slots as four replicas have: on a busy machine a poll takes long.
    worker = {"interval_seconds": INTERVAL, "max_sources": 20}
    file = write_settings(tmp_path, farm.sources(), worker=worker)
    with ExitStack() as running:
        replicas = start(tmp_path, file, database, ["replica-0", "replica-1"], running)
        watcher = replicas["replica-1"]
        watcher.wait_until(lambda: len(farm.requests) == FEEDS, "a request for each feed", 4 * INTERVAL)
        for name in names[::5]:
            farm.grow(name)
        time.sleep(2 * INTERVAL + LATE)
        expect_one_request_in_each_interval(farm, math.inf, {})
        shares = Counter(asked.agent for asked in farm.asked)
        assert all(shares[agent] > FEEDS / 2 for agent in replicas), shares
        end(replicas.values())
        assert all(replica.events("worker.lease.lost") == [] for replica in replicas.values())
    assert min(farm.requests.values()) >= 3
    assert database.entries() == sorted(farm.guids())


@pytest.mark.slow
def test_where_sources_are_slow_two_replicas_do_twice_the_work_of_one(
    tmp_path: Path, many_hosts: Farm, postgres_url: str
) -> None:
    farm, database = many_hosts, Database(tmp_path, postgres_url)
    farm.slow_seconds = SLOW_SECONDS
    for number in range(60):
        farm.grow(f"slow{number}", 2)
    # Six times as many sources as slots, due again in a second: there is always work that waits.
    file = write_settings(tmp_path, farm.sources(), worker={"interval_seconds": 1, "max_sources": 10})
    polls = []
    with ExitStack() as running:
        for agent in ("replica-0", "replica-1"):
            start(tmp_path, file, database, [agent], running)[agent].wait_for("worker.started")
            time.sleep(2 * SLOW_SECONDS)
            before = farm.requests.total()
            time.sleep(WINDOW)
            polls.append(farm.requests.total() - before)
    one, two = polls
    print(f"{one} polls by one replica, {two} by two")
    assert one > 0.8 * 10 * WINDOW / SLOW_SECONDS
    assert two > 1.8 * one, polls
