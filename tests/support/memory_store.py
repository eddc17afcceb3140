"""The store in memory: what loops are tested with. The conformance suite holds it to the same promises as the
others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import trio

from digestd.errors import SchemaError, StoreUnavailable
from digestd.feed.identity import StoredArticle, assign
from digestd.model import (
    UNFINISHED_CLAIMS_LIMIT,
    Article,
    ArticleVersion,
    Fetch,
    Origin,
    PollState,
    Source,
    SourceSpec,
    SourceStatus,
)
from digestd.store import (
    ArticleQuery,
    Changes,
    Claim,
    ClaimRequest,
    EntrySetAside,
    Gone,
    HostPause,
    HostStart,
    Lease,
    LeaseLost,
    ListOwner,
    Overview,
    PageClaims,
    PageLost,
    PageQueue,
    PageRecord,
    PageRecorded,
    Purged,
    Recorded,
    Refused,
    RetentionLimits,
    SetAside,
    StepRecord,
    SyncReport,
    Wait,
)
from digestd.store.claims import (
    LONGEST_PAUSE_SECONDS,
    HostStanding,
    PutOff,
    Standing,
    Take,
    decide_claim,
    decide_start,
)
from digestd.store.entries import new_article, storable_entry
from digestd.store.sourcelist import WITHOUT_LEASE, plan_sync, replaced
from digestd.store.text import storable
from support.memory_budgets import MemoryBudgets
from support.memory_overview import MemoryOverview
from support.memory_pages import MemoryPages, article_of
from support.memory_retention import MemoryRetention
from support.memory_sources import MemorySources, effective_spec
from support.memory_versions import MemoryVersions


class MemoryStore:
    """Keeps the `Store` protocol in dictionaries of columns, by the clock `now`.

    `rows` and `kept` are the tables of sources and articles by id, for tests to look into. While `outage` is
    set every call raises `StoreUnavailable`.
    """

    def __init__(self, now: Callable[[], datetime], *, owner: str = "memory") -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.kept: dict[int, dict[str, Any]] = {}
        self.log: list[tuple[str, Fetch]] = []
        self.set_aside: dict[tuple[int, str], tuple[SetAside, str, datetime, datetime]] = {}
        self.hosts: dict[str, HostStanding] = {}
        self.outage = False
        self.schema_problem: str | None = None
        self._now = now
        self._owner = owner
        self._errors: list[Exception] = []
        self.budgets = MemoryBudgets(now, self._reach)
        self._ids = count(1)
        self._tokens = count(1)
        self._versions = MemoryVersions(self.kept)
        self.versions = self._versions.kept
        self._pages = MemoryPages(self.rows, self.kept, now, owner, self._versions.last_changes)
        self._sources = MemorySources(self.rows, now, self._ids)
        self._retention = MemoryRetention(self.rows, self.kept, self.versions, now)
        self.tombstones = self._retention.tombstones
        self.overview: Overview = MemoryOverview(
            self.rows,
            self.kept,
            lambda: self.log,
            self.set_aside.keys(),
            lambda row: _status(row, 0, self._now()),
            self._reach,
        )

    def fail_next(self, error: Exception) -> None:
        """Let the next call raise `error`; called twice, the next two."""
        self._errors.append(error)

    async def check_schema(self) -> None:
        """See `Store.check_schema`."""
        await self._reach()
        if self.schema_problem is not None:
            raise SchemaError(self.schema_problem)

    async def sync_sources(self, specs: Sequence[SourceSpec], *, fingerprint: str = "") -> SyncReport:
        """See `Store.sync_sources`."""
        await self._reach()
        now = self._now()
        plan = plan_sync(self._sources.kept(), specs, now)
        for source_id, changes in plan.updates.items():
            self.rows[source_id].update(changes)
        for values in plan.inserts:
            source_id = next(self._ids)
            self.rows[source_id] = {**values, "id": source_id}
        self._sources.part()
        before, self._sources.list_owner = (
            self._sources.list_owner,
            ListOwner(fingerprint, self._owner, now),
        )
        return replace(plan.report, replaced=replaced(before, fingerprint, self._owner))

    async def add_source(self, spec: SourceSpec) -> bool:
        """See `Store.add_source`."""
        await self._reach()
        return self._sources.add(spec)

    async def add_sources(self, specs: Sequence[SourceSpec]) -> list[bool]:
        """See `Store.add_sources`."""
        await self._reach()
        return self._sources.add_all(specs)

    async def set_enabled(self, name: str, enabled: bool) -> Origin | None:
        """See `Store.set_enabled`."""
        await self._reach()
        return self._sources.set_enabled(name, enabled)

    async def remove_source(self, name: str) -> Origin | None:
        """See `Store.remove_source`."""
        await self._reach()
        return self._sources.remove(name)

    async def poll_now(self, name: str) -> bool:
        """See `Store.poll_now`."""
        await self._reach()
        return self._sources.poll_now(name)

    async def changed_sources(
        self, since: datetime | None, told: Collection[tuple[int, object]] = frozenset()
    ) -> Changes:
        """See `Store.changed_sources`."""
        await self._reach()
        return self._sources.changed(since, told, lambda row: _status(row, 0, self._now()))

    @asynccontextmanager
    async def changes_told(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """See `Store.changes_told`."""
        await trio.lowlevel.checkpoint()
        yield trio.sleep_forever

    async def sources(self, *, count_articles: bool = False, name: str | None = None) -> list[SourceStatus]:
        """See `Store.sources`."""
        await self._reach()
        counts = Counter(article["source_id"] for article in self.kept.values() if count_articles)
        listed = [row for row in self._all() if row["state"] != "removed" and name in (None, row["name"])]
        return [
            replace(
                _status(row, counts[row["id"]], self._now()),
                entries_set_aside=sum(count_articles and key[0] == row["id"] for key in self.set_aside),
            )
            for row in sorted(listed, key=lambda row: str(row["name"]))
        ]

    async def claim(self, requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        """See `Store.claim`."""
        await self._reach()
        return [self._claim(request) for request in requests]

    async def start_at_hosts(self, starts: Sequence[HostStart]) -> list[Wait | None]:
        """See `Store.start_at_hosts`."""
        await self._reach()
        return [self._start(start) for start in starts]

    async def pause_hosts(self, pauses: Sequence[HostPause]) -> None:
        """See `Store.pause_hosts`."""
        await self._reach()
        now = self._now()
        for one in pauses:
            host = self.hosts.get(one.key, HostStanding(now, None))
            until = now + timedelta(seconds=min(one.seconds, LONGEST_PAUSE_SECONDS))
            self.hosts[one.key] = replace(host, paused_until=max(until, host.paused_until or until))

    async def paused_hosts(self) -> Mapping[str, float]:
        """See `Store.paused_hosts`."""
        await self._reach()
        waits = {
            key[:300]: (host.paused_until - self._now()).total_seconds()
            for key, host in self.hosts.items()
            if host.paused_until is not None
        }
        return {key: seconds for key, seconds in waits.items() if 0 < seconds <= LONGEST_PAUSE_SECONDS}

    async def record(self, records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        """See `Store.record`."""
        await self._reach()
        return [self._record(step) for step in records]

    async def entries_set_aside(self, limit: int) -> list[EntrySetAside]:
        """See `Store.entries_set_aside`."""
        await self._reach()
        found = [
            EntrySetAside(
                self.rows[source_id]["name"], told.guid, told.title, told.reason, written, first, last
            )
            for (source_id, _), (told, written, first, last) in self.set_aside.items()
        ]
        return sorted(found, key=lambda one: one.last_seen_at, reverse=True)[:limit]

    async def fetches(self, source_name: str, limit: int) -> list[Fetch]:
        """See `Store.fetches`."""
        await self._reach()
        its = [fetch for name, fetch in self.log if name == source_name]
        return its[::-1][:limit]

    async def forget_fetches(self, older_than_seconds: float, limit: int) -> int:
        """See `Store.forget_fetches`."""
        await self._reach()
        before = self._now() - timedelta(seconds=older_than_seconds)
        old = [one for one in self.log if one[1].fetched_at < before][:limit]
        self.log = [one for one in self.log if one not in old]
        return len(old)

    async def release(self, leases: Sequence[Lease]) -> None:
        """See `Store.release`."""
        await self._reach()
        for lease in leases:
            row = self.rows.get(lease.source_id)
            if row is None:
                continue
            its_owner = lease.token is None and row["lease_owner"] == self._owner
            if its_owner or (lease.token is not None and row["lease_token"] == lease.token):
                row.update(WITHOUT_LEASE, unfinished_claims=max(0, row["unfinished_claims"] - 1))

    async def newest_articles(self, per_source: int, since: datetime | None = None) -> list[Article]:
        """See `Store.newest_articles`."""
        await self._reach()
        found: list[Article] = []
        for row in sorted(self._all(), key=lambda row: str(row["name"])):
            its = [one for one in self.kept.values() if one["source_id"] == row["id"]]
            seen = [one for one in its if since is None or one["published_at"] >= since]
            seen.sort(key=lambda one: (one["published_at"], one["id"]), reverse=True)
            found += [
                article_of(row["name"], one, self._versions.last_changes(one)) for one in seen[:per_source]
            ]
        return found

    async def claim_pages(
        self,
        limit: int,
        lease_seconds: float,
        *,
        per_source: int | None = None,
        source_ids: Collection[int] | None = None,
        except_source_ids: Collection[int] = (),
    ) -> PageClaims:
        """See `Store.claim_pages`."""
        await self._reach()
        return self._pages.claim(limit, lease_seconds, per_source, source_ids, except_source_ids)

    async def record_pages(self, records: Sequence[PageRecord]) -> list[PageRecorded | PageLost | Refused]:
        """See `Store.record_pages`."""
        await self._reach()
        return [self._pages.record(record) for record in records]

    async def page_queue(self) -> PageQueue:
        """See `Store.page_queue`."""
        await self._reach()
        return self._pages.queue()

    async def articles(self, query: ArticleQuery) -> list[Article]:
        """See `Store.articles`."""
        await self._reach()
        return self._pages.listed(query)

    async def article_versions(self, article_id: int) -> list[ArticleVersion]:
        """See `Store.article_versions`."""
        await self._reach()
        return self._versions.listed(article_id)

    async def retry_pages(self, query: ArticleQuery) -> int:
        """See `Store.retry_pages`."""
        await self._reach()
        return self._pages.retry(query)

    async def delete_articles(self, ids: Collection[int]) -> list[Article]:
        """See `Store.delete_articles`."""
        await self._reach()
        found = self._pages.listed(ArticleQuery(ids=tuple(ids)))
        self._retention.delete([article.id for article in found])
        return found

    async def purge(self, limits: RetentionLimits, after: int = 0) -> Purged:
        """See `Store.purge`."""
        await self._reach()
        return self._retention.purge(limits, after)

    async def _reach(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._errors:
            raise self._errors.pop(0)
        if self.outage:
            raise StoreUnavailable("the database cannot be used just now: a test took it away")

    def _all(self) -> list[dict[str, Any]]:
        return list(self.rows.values())

    def _claim(self, request: ClaimRequest) -> Claim | Wait | Gone:
        row = self.rows.get(request.source_id)
        if row is None:
            return Gone("unknown")
        decision = decide_claim(_standing(row), request, self._now(), UNFINISHED_CLAIMS_LIMIT)
        if isinstance(decision, Take):
            if request.host is not None and (wait := self._start(request.host)) is not None:
                return replace(wait, unfinished_claims=row["unfinished_claims"])
            return self._lease(row, decision.after)
        if isinstance(decision, PutOff):
            row.update(_written(decision.after), last_error=decision.last_error)
            row.update(WITHOUT_LEASE)
            return decision.wait
        return decision

    def _start(self, start: HostStart) -> Wait | None:
        now = self._now()
        host = self.hosts.get(start.key, HostStanding(None, None))
        wait = decide_start(host, start, now)
        if wait is None and start.delay_seconds > 0:
            next_start_at = now + timedelta(seconds=start.delay_seconds)
            self.hosts[start.key] = replace(host, next_start_at=next_start_at)
        return wait

    def _lease(self, row: dict[str, Any], after: Standing) -> Claim:
        token = f"token {next(self._tokens)}"
        unfinished = row["unfinished_claims"]
        row.update(_written(after), lease_owner=self._owner, lease_token=token)
        state = PollState(row["etag"], row["last_modified"], row["body_hash"], row["cursor"])
        return Claim(_source(row), state, token, row["consecutive_failures"], unfinished)

    def _record(self, step: StepRecord) -> Recorded | LeaseLost | Refused:
        now = self._now()
        row = self.rows.get(step.source_id)
        if row is None or row["lease_token"] != step.token or row["lease_expires_at"] <= now:
            return LeaseLost()
        try:
            entries = [storable_entry(entry) for entry in step.entries]
            every = assign(entries, self._stored(step.source_id))
            deleted = [a for a in every if a.article_id in self.tombstones]
            assignments = [a for a in every if a.article_id not in self.tombstones]
            new = [
                new_article(step.source_id, a.entry_key, a.entry, now)
                for a in reversed(assignments)
                if a.article_id is None
            ]
            changed = {
                article_id: (a, self._versions.before(article_id, a, now))
                for article_id, a in self._versions.following(assignments).items()
            }
            all_new = _is_other(row, step, is_new=bool(new) and all(a.article_id is None for a in every))
            step = step.if_all_new if all_new and step.if_all_new else step
            changes = _step_columns(step, now)
        except Exception as error:
            return Refused(error)
        row.update(changes)
        for article_id, (one, before) in changed.items():
            self._versions.follow(article_id, one, before, now)
        for one in assignments:
            if one.article_id is not None:
                self.kept[one.article_id].update(last_seen_at=now, left_at=None)
        for values in new:
            article_id = next(self._ids)
            self.kept[article_id] = {**values, "id": article_id}
        if new:
            row["last_new_at"] = now
        self._retention.mark_seen(deleted, now)
        if step.proves_absence:
            self._retention.mark_left(step.source_id, now)
        for left_out in step.left_out:
            told = SetAside(left_out.guid, left_out.title, left_out.reason)
            first = self.set_aside.get((step.source_id, left_out.key), (told, left_out.written, now, now))[2]
            self.set_aside[step.source_id, left_out.key] = (told, left_out.written, first, now)
        for values in new:
            self.set_aside.pop((step.source_id, values["entry_key"]), None)
        told_all = tuple(SetAside(one.guid, one.title, one.reason) for one in step.left_out)
        recorded = Recorded(len(new), len(changed), told_all, all_new=all_new)
        self._log(row, step, recorded)
        return self._sources.move(step, recorded)

    def _log(self, row: dict[str, Any], step: StepRecord, recorded: Recorded) -> None:
        told = step.fetched
        if told is None:
            return
        if step.succeeded and recorded == Recorded(0, 0):
            row["unchanged_polls"] += step.final
            return
        fetch = Fetch(
            self._now(),
            told.outcome,
            told.status,
            told.seconds,
            told.body_bytes,
            recorded.articles_new,
            recorded.articles_updated,
            row["unchanged_polls"],
            step.schedule_reason,
            step.next_delay_seconds,
            step.last_error,
        )
        self.log.append((row["name"], fetch))
        row["unchanged_polls"] = 0

    def _stored(self, source_id: int) -> list[StoredArticle]:
        names = ("id", "entry_key", "identity", "url", "title", "content_hash", "updates")
        every = (*self.kept.values(), *self.tombstones.values())
        its = [one for one in every if one["source_id"] == source_id]
        return [StoredArticle(**{name: one.get(name, 0) for name in names}) for one in its]


def _is_other(row: Mapping[str, Any], step: StepRecord, *, is_new: bool) -> bool:
    """Whether the step's `if_all_new` is to be written, for its entries or because it was already."""
    if step.if_all_new is None or not step.entries:
        return False
    again = not step.if_all_new.final and row["cursor"] == step.if_all_new.next_state.cursor
    return is_new or again


def _step_columns(step: StepRecord, now: datetime) -> dict[str, Any]:
    state = step.next_state
    changes: dict[str, Any] = {
        "etag": storable(state.etag),
        "last_modified": storable(state.last_modified),
        "body_hash": storable(state.body_hash),
        "cursor": None if state.cursor is None else json.loads(json.dumps(dict(state.cursor))),
        "state": step.state,
        "consecutive_failures": step.consecutive_failures,
        "last_error": storable(step.last_error),
        "last_fetched_at": now,
    }
    if step.succeeded:
        changes["last_success_at"] = now
    if step.proves_absence:
        changes["last_whole_at"] = now
    if not step.final:
        return changes | {"lease_expires_at": now + timedelta(seconds=step.lease_seconds)}
    next_fetch_at = now + timedelta(seconds=step.next_delay_seconds)
    schedule = {"next_fetch_at": next_fetch_at, "schedule_reason": storable(step.schedule_reason)}
    return {**changes, **schedule, **WITHOUT_LEASE, "unfinished_claims": 0}


def _standing(row: Mapping[str, Any]) -> Standing:
    columns = {name: row[name] for name in Standing.__slots__}
    return Standing(**columns | {"enabled": effective_spec(row).enabled})


def _written(after: Standing) -> dict[str, Any]:
    unwritten = {"enabled", "last_fetched_at"}
    return {name: getattr(after, name) for name in Standing.__slots__ if name not in unwritten}


def _source(row: Mapping[str, Any]) -> Source:
    return Source(row["id"], effective_spec(row), row["origin"], row["effective_url"])


def _status(row: Mapping[str, Any], articles: int, now: datetime) -> SourceStatus:
    due = None if row["next_fetch_at"] is None else (row["next_fetch_at"] - now).total_seconds()
    copied = (
        "state last_fetched_at last_success_at last_new_at next_fetch_at schedule_reason "
        "consecutive_failures unfinished_claims last_error unchanged_polls"
    )
    return SourceStatus(
        source=_source(row),
        due_in_seconds=due,
        articles=articles,
        overridden=row["enabled_override"] is not None,
        **{name: row[name] for name in copied.split()},
    )
