"""The tables, as SQLAlchemy Core describes them. What a column means stands in :mod:`digestd.model`.

The migrations are what builds them; a test holds both to the same shape.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: timestamptz in PostgreSQL, ISO text with six decimals and +00:00 in SQLite.

    The text is of one length, so that it sorts as the moments do. `ValueError` for a datetime without a zone,
    which SQLAlchemy reports as its `StatementError`.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[str]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the moment {value.isoformat()} has no zone")
        moment = value.astimezone(UTC)
        return moment.isoformat(timespec="microseconds") if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


class ReadableDateTime(UtcDateTime):
    """A moment, or None for what somebody wrote into SQLite that is none, and that is written anew."""

    cache_ok = True

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        try:
            return super().process_result_value(value, dialect)
        except ValueError:
            return None


# SQLite gives rowids only to a column of exactly this type.
_Id = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# No index on next_fetch_at: claims go by id, and an index on what every poll changes would cost PostgreSQL
# its heap-only updates.
sources = Table(
    "sources",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("effective_url", Text),
    Column("options", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("enabled_override", Boolean),
    Column("category", Text),
    Column("language", Text),
    Column("interval_seconds", Double),
    Column("jitter_seconds", Double),
    Column("origin", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("cursor", JSON(none_as_null=True)),
    Column("body_hash", Text),
    Column("last_fetched_at", UtcDateTime),
    Column("last_success_at", UtcDateTime),
    Column("last_new_at", UtcDateTime),
    Column("next_fetch_at", UtcDateTime),
    Column("schedule_reason", Text),
    Column("consecutive_failures", Integer, nullable=False),
    Column("unfinished_claims", Integer, nullable=False),
    Column("last_error", Text),
    Column("lease_owner", Text),
    Column("lease_token", Text),
    Column("lease_expires_at", UtcDateTime),
    Column("changed_at", UtcDateTime),
    Column("unchanged_polls", Integer, nullable=False, server_default="0"),
    Column("last_whole_at", UtcDateTime),
    UniqueConstraint("name"),
    # By this the processes that share the database follow what one of them changes. No poll touches it.
    Index(None, "changed_at"),
    sqlite_autoincrement=True,
)

# When the next poll or page of a host may start, and until when it wants to be left alone, for all processes.
hosts = Table(
    "hosts",
    metadata,
    Column("host_key", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("next_start_at", UtcDateTime, nullable=False),
    Column("paused_until", UtcDateTime),
)

# What an API has cost on the last day (UTC) that it was asked, and until when it is not to be asked for lack of
# credits. One row for each budget: few, and short.
budgets = Table(
    "budgets",
    metadata,
    Column("budget_key", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("day", String(10), nullable=False),
    Column("reads", BigInteger, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("closed_until", UtcDateTime),
    Column("closed_because", Text),
)

# One row: whose files the sources of origin `file` were last made from.
source_lists = Table(
    "source_lists",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(64), nullable=False),
    Column("owner", Text, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
)

# entry_key, identity and content_hash are digests of ours. Text that the outside chose is in no index:
# PostgreSQL refuses keys over 2,704 bytes. Ids are never given out twice, so that what was deleted stays
# gone.
articles = Table(
    "articles",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("source_id", _Id, ForeignKey("sources.id"), nullable=False),
    Column("entry_key", String(64), nullable=False),
    Column("identity", String(64), nullable=False),
    Column("guid", Text),
    Column("url", Text),
    Column("canonical_url", Text),
    Column("title", Text, nullable=False),
    Column("author", Text),
    Column("language", Text),
    Column("summary", Text),
    Column("content", Text),
    Column("text", Text),
    Column("published_at", UtcDateTime, nullable=False),
    Column("published_raw", Text),
    Column("published_from", Text, nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("extraction", Text, nullable=False),
    Column("extraction_attempts", Integer, nullable=False),
    Column("extraction_failures", Integer, nullable=False, server_default="0"),
    Column("extraction_unfinished", Integer, nullable=False, server_default="0"),
    Column("extraction_owner", Text),
    Column("next_extraction_at", UtcDateTime),
    Column("extraction_error", Text),
    Column("text_hash", String(64)),
    Column("left_at", UtcDateTime),
    Column("updates", Integer, nullable=False, server_default="0"),
    Column("facts", JSON(none_as_null=True)),
    UniqueConstraint("source_id", "entry_key"),
    Index(None, "source_id", "identity"),
    Index(None, "source_id", "published_at"),
    Index(None, "published_at"),
    Index(None, "fetched_at"),
    sqlite_autoincrement=True,
)

# Indexes with a condition have it in PostgreSQL, too: the migrations say so. To say it here would import its dialect at
# every start, which SQLite has no use for.

# The queue of extraction has two parts: what is to be fetched at once, in the order in which it is given out, and what
# waits for its moment: the end of a lease or of a back-off. So nothing that waits is in the way of a claim. Partial:
# articles whose extraction has ended, almost all of them, are in neither. `fetched_at` stands in them for
# `Store.page_queue`.
_PENDING = articles.c.extraction == literal_column("'pending'")
READY = _PENDING & articles.c.next_extraction_at.is_(None)
WAITING = _PENDING & articles.c.next_extraction_at.is_not(None)
Index(
    "ix_articles_pending",
    articles.c.source_id,
    articles.c.published_at,
    articles.c.id,
    articles.c.fetched_at,
    sqlite_where=READY,
)
Index(
    "ix_articles_waiting",
    articles.c.next_extraction_at,
    articles.c.source_id,
    articles.c.fetched_at,
    sqlite_where=WAITING,
)
# What is listed by its extraction, or tried again. Partial: almost all articles are `done`, and nobody asks for those.
NOT_DONE = articles.c.extraction != literal_column("'done'")
Index(
    "ix_articles_not_done",
    articles.c.extraction,
    articles.c.fetched_at,
    articles.c.id,
    sqlite_where=NOT_DONE,
)
# The leases in the queue, and the pages that gave the same text.
_OWNED = articles.c.extraction_owner.is_not(None)
Index(
    "ix_articles_extraction_owner",
    articles.c.extraction_owner,
    sqlite_where=_OWNED,
)
_HASHED = articles.c.text_hash.is_not(None)
Index(
    "ix_articles_text_hash",
    articles.c.source_id,
    articles.c.text_hash,
    sqlite_where=_HASHED,
)

# What was revised, the latest first.
REVISED = articles.c.updated_at.is_not(None)
Index(
    "ix_articles_revised",
    articles.c.updated_at,
    articles.c.id,
    sqlite_where=REVISED,
)

# What is in its source's document, which each new document is held against; and what has left it, for retention. Both
# are on `left_at`, which does not change while an article is in the document: an index on `last_seen_at`, which every
# new document moves, would cost PostgreSQL its heap-only updates.
IN_DOCUMENT = articles.c.left_at.is_(None)
LEFT = articles.c.left_at.is_not(None)
Index(
    "ix_articles_in_document",
    articles.c.source_id,
    sqlite_where=IN_DOCUMENT,
)
Index(
    "ix_articles_left",
    articles.c.source_id,
    articles.c.left_at,
    articles.c.id,
    sqlite_where=LEFT,
)

# What articles said before their updates. The key begins with the article, so that it serves all that is asked.
article_versions = Table(
    "article_versions",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("source_id", _Id, ForeignKey("sources.id"), nullable=False),
    Column("article_id", _Id, ForeignKey("articles.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("url", Text),
    Column("author", Text),
    Column("summary", Text),
    Column("content", Text),
    Column("facts", JSON(none_as_null=True)),
    Column("said_at", UtcDateTime, nullable=False),
    Column("replaced_at", UtcDateTime, nullable=False),
    Column("changes", JSON, nullable=False),
    UniqueConstraint("article_id", "source_id", "number"),
    sqlite_autoincrement=True,
)

# What was deleted, as far as recognising it goes, so that it does not come back while it may still be served. `id` is
# that of the article.
tombstones = Table(
    "tombstones",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("source_id", _Id, ForeignKey("sources.id"), nullable=False),
    Column("entry_key", String(64), nullable=False),
    Column("identity", String(64), nullable=False),
    Column("url", Text),
    Column("title", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("deleted_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("left_at", UtcDateTime),
    UniqueConstraint("source_id", "entry_key"),
    Index(None, "source_id", "identity"),
    Index(None, "source_id", "left_at"),
)
_SERVED = tombstones.c.left_at.is_(None)
Index(
    "ix_tombstones_in_document",
    tombstones.c.source_id,
    sqlite_where=_SERVED,
)

# A short log of polls: those that brought something or failed, and how many before each of them did neither. A row a
# poll would be two hundred million a week for 100,000 sources.
fetches = Table(
    "fetches",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("source_id", _Id, ForeignKey("sources.id"), nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("seconds", Double, nullable=False),
    Column("body_bytes", BigInteger, nullable=False),
    Column("articles_new", Integer, nullable=False),
    Column("articles_updated", Integer, nullable=False),
    Column("unchanged_before", Integer, nullable=False),
    Column("schedule_reason", Text, nullable=False),
    Column("next_delay_seconds", Double, nullable=False),
    Column("error", Text),
    Index(None, "source_id", "id"),
    Index(None, "fetched_at"),
    sqlite_autoincrement=True,
)

# Entries that could not be kept as articles. `entry` is JSON in plain ASCII, which every database takes.
entries_set_aside = Table(
    "entries_set_aside",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("source_id", _Id, ForeignKey("sources.id"), nullable=False),
    Column("entry_key", String(64), nullable=False),
    Column("guid", Text),
    Column("title", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    UniqueConstraint("source_id", "entry_key"),
    sqlite_autoincrement=True,
)
