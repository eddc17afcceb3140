"""The statements on `hosts`: how far apart starts are, and who is to be left alone, for all processes on one database.

No two transactions wait in a circle over these rows: a start never waits for a row that another transaction holds, all
others take theirs in the order of their keys, and a claim takes its sources first (by id, and without waiting).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Row,
    Select,
    bindparam,
    case,
    delete,
    or_,
    select,
    type_coerce,
    update,
)

from digestd.store import HostPause, HostStart, Wait
from digestd.store.claims import LONGEST_PAUSE_SECONDS, HostStanding, decide_start
from digestd.store.direct import AnyConnection, Direct
from digestd.store.schema import ReadableDateTime, UtcDateTime, hosts
from digestd.store.text import storable
from digestd.store.upserts import insert_into

IDLE_SECONDS = 3_600.0
"""A host is forgotten when nothing has started there for so long, and it is not paused."""
FORGOTTEN_AT_ONCE = 5_000

# A row that another transaction holds is being started at: the answer to the next question says how long to wait.
_HELD = Wait(0.05, "host")
_NAME_CHARACTERS = 300


# Most calls ask for one host: lists are expanded at each call, which costs half as much again.
_ONE = hosts.c.host_key == bindparam("key")
_SOME = hosts.c.host_key.in_(bindparam("keys", expanding=True))


def _free(which: ColumnElement[bool]) -> Select[tuple[str]]:
    # SKIP LOCKED, and no upsert: that would wait for a process that was stopped inside its transaction.
    return (
        select(hosts.c.host_key)
        .where(
            which,
            hosts.c.next_start_at <= bindparam("moment"),
            or_(hosts.c.paused_until.is_(None), hosts.c.paused_until <= bindparam("moment")),
        )
        .with_for_update(skip_locked=True)
    )


def _read(which: ColumnElement[bool]) -> Select[Any]:
    return select(
        hosts.c.host_key,
        type_coerce(hosts.c.next_start_at, ReadableDateTime).label("next_start_at"),
        type_coerce(hosts.c.paused_until, ReadableDateTime).label("paused_until"),
    ).where(which)


_TAKE = update(hosts).values(next_start_at=bindparam("next"))
_TAKE_ONE = _TAKE.where(hosts.c.host_key == _free(_ONE).scalar_subquery())
_TAKE_SOME = _TAKE.where(hosts.c.host_key.in_(_free(_SOME))).returning(hosts.c.host_key)
_READ_ONE, _READ_SOME = _read(_ONE), _read(_SOME)
_DROP = delete(hosts).where(_SOME)
_ADD_ONE = (
    insert_into(hosts, "sqlite")
    .values(host_key=bindparam("key"), host=bindparam("name"), next_start_at=bindparam("next"))
    .on_conflict_do_nothing()
    .returning(hosts.c.host_key)
)
# The longer pause stands, unless nobody can have asked for it: then the clock was set back.
_KEPT = (hosts.c.paused_until > bindparam("until")) & (hosts.c.paused_until <= bindparam("furthest"))
_IDLE = (
    select(hosts.c.host_key)
    .where(
        hosts.c.next_start_at < bindparam("moment"),
        or_(hosts.c.paused_until.is_(None), hosts.c.paused_until < bindparam("moment")),
    )
    .limit(FORGOTTEN_AT_ONCE)
    .with_for_update(skip_locked=True)
)
_FORGET = delete(hosts).where(hosts.c.host_key.in_(_IDLE))


@cache
def _add(dialect: str) -> Executable:
    return insert_into(hosts, dialect).on_conflict_do_nothing().returning(hosts.c.host_key)


@cache
def _pause(dialect: str) -> Executable:
    statement = insert_into(hosts, dialect)
    return statement.values(
        host_key=bindparam("key"),
        host=bindparam("name"),
        next_start_at=bindparam("moment"),
        paused_until=bindparam("until"),
    ).on_conflict_do_update(
        index_elements=["host_key"],
        set_={"paused_until": case((_KEPT, hosts.c.paused_until), else_=statement.excluded.paused_until)},
    )


def reserve(
    connection: AnyConnection, starts: Sequence[HostStart | None], now: datetime
) -> list[Wait | None]:
    """See `Store.start_at_hosts`; for None nothing is asked.

    One statement where all may start, two where some have to wait, one or two more for hosts that nobody has started at
    for an hour. It waits only for another that starts there for the first time, too.
    """
    asked = {_digest(start.key): start for start in reversed(starts) if start is not None}
    waits = {asked[key].key: wait for key, wait in _waits(connection, asked, now).items()} if asked else {}
    answers: list[Wait | None] = []
    for start in starts:
        answers.append(None if start is None else waits.get(start.key))
        if start is not None and start.delay_seconds > 0:
            # Whoever asks for the same host in the same call comes after this one.
            waits.setdefault(start.key, Wait(start.delay_seconds, "host"))
    return answers


def pause(connection: Connection, pauses: Sequence[HostPause], now: datetime) -> None:
    """See `Store.pause_hosts`."""
    longest: dict[str, HostPause] = {}
    for one in pauses:
        key = _digest(one.key)
        if key not in longest or longest[key].seconds < one.seconds:
            longest[key] = one
    furthest = now + timedelta(seconds=LONGEST_PAUSE_SECONDS)
    rows = [
        {
            "key": key,
            "name": _name(one.key),
            "moment": now,
            "until": min(now + timedelta(seconds=min(one.seconds, LONGEST_PAUSE_SECONDS)), furthest),
            "furthest": furthest,
        }
        for key, one in sorted(longest.items())
    ]
    if rows:
        connection.execute(_pause(connection.dialect.name), rows)


def paused(connection: Connection, now: datetime) -> dict[str, float]:
    """See `Store.paused_hosts`."""
    until = type_coerce(hosts.c.paused_until, ReadableDateTime).label("until")
    rows = connection.execute(
        select(hosts.c.host, until).where(hosts.c.paused_until > bindparam("moment", type_=UtcDateTime())),
        {"moment": now},
    )
    waits = {row.host: (row.until - now).total_seconds() for row in rows if row.until is not None}
    # What is further ahead was never asked for: see decide_start.
    return {host: seconds for host, seconds in waits.items() if seconds <= LONGEST_PAUSE_SECONDS}


def forget_idle(connection: Connection, now: datetime) -> int:
    """Forget hosts that have been idle for :data:`IDLE_SECONDS`, at most :data:`FORGOTTEN_AT_ONCE` of them; returns
    how many."""
    return connection.execute(_FORGET, {"moment": now - timedelta(seconds=IDLE_SECONDS)}).rowcount


def _waits(connection: AnyConnection, asked: Mapping[str, HostStart], now: datetime) -> dict[str, Wait]:
    """Who has to wait, of the hosts `asked` by key; the starts of the others are reserved."""
    rest = asked.keys() - _taken(connection, asked, now)
    if not rest:
        return {}
    known = {row.host_key: row for row in _rows(connection, sorted(rest))}
    waits: dict[str, Wait] = {}
    damaged: list[str] = []
    for key in known:
        standing = HostStanding(known[key].next_start_at, known[key].paused_until)
        wait = decide_start(standing, asked[key], now)
        if wait is not None:
            waits[key] = wait
        elif standing.next_start_at is None or standing.next_start_at > now:
            damaged.append(key)
        elif asked[key].delay_seconds > 0:
            waits[key] = _HELD
    if damaged:
        connection.execute(_DROP, {"keys": sorted(damaged)})
    new = sorted(key for key in rest - waits.keys() if asked[key].delay_seconds > 0)
    added = _added(connection, new, asked, now)
    return waits | {key: Wait(asked[key].delay_seconds, "host") for key in new if key not in added}


def _taken(connection: AnyConnection, asked: Mapping[str, HostStart], now: datetime) -> set[str]:
    by_delay: dict[float, list[str]] = {}
    for key, start in asked.items():
        if start.delay_seconds > 0:
            by_delay.setdefault(start.delay_seconds, []).append(key)
    taken: set[str] = set()
    for delay, keys in by_delay.items():
        moments = {"moment": now, "next": now + timedelta(seconds=delay)}
        if len(keys) > 1 and not isinstance(connection, Direct):
            taken.update(connection.execute(_TAKE_SOME, {"keys": keys, **moments}).scalars())
        else:
            taken.update(
                key for key in keys if connection.execute(_TAKE_ONE, {"key": key, **moments}).rowcount
            )
    return taken


def _rows(connection: AnyConnection, keys: Sequence[str]) -> Sequence[Row[Any]]:
    if len(keys) == 1 or isinstance(connection, Direct):
        return [row for key in keys for row in connection.execute(_READ_ONE, {"key": key}).all()]
    return connection.execute(_READ_SOME, {"keys": keys}).all()


def _added(
    connection: AnyConnection, keys: Sequence[str], asked: Mapping[str, HostStart], now: datetime
) -> Collection[str]:
    if not keys:
        return ()
    rows = [(key, _name(asked[key].key), now + timedelta(seconds=asked[key].delay_seconds)) for key in keys]
    if isinstance(connection, Direct):
        answers = [
            connection.execute(_ADD_ONE, {"key": key, "name": name, "next": start})
            for key, name, start in rows
        ]
        return {added for answer in answers for added in answer.scalars()}
    columns = ("host_key", "host", "next_start_at")
    some = [dict(zip(columns, row, strict=True)) for row in rows]
    return set(connection.execute(_add(connection.dialect.name), some).scalars())


def _digest(key: str) -> str:
    return sha256(key.encode(errors="surrogatepass")).hexdigest()


def _name(key: str) -> str:
    return storable(key)[:_NAME_CHARACTERS]
