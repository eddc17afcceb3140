"""Sources, and the articles they brought."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables with their indexes."""
    _create_sources()
    _create_articles()
    op.create_index("ix_articles_source_id_identity", "articles", ["source_id", "identity"])
    op.create_index("ix_articles_source_id_published_at", "articles", ["source_id", "published_at"])
    op.create_index("ix_articles_fetched_at", "articles", ["fetched_at"])


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite"), nullable=nullable)


def _create_sources() -> None:
    op.create_table(
        "sources",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("effective_url", sa.Text()),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("category", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("interval_seconds", sa.Double()),
        sa.Column("jitter_seconds", sa.Double()),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text()),
        sa.Column("last_modified", sa.Text()),
        sa.Column("cursor", sa.JSON()),
        sa.Column("body_hash", sa.Text()),
        _moment("last_fetched_at"),
        _moment("last_success_at"),
        _moment("last_new_at"),
        _moment("next_fetch_at"),
        sa.Column("schedule_reason", sa.Text()),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("unfinished_claims", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_token", sa.Text()),
        _moment("lease_expires_at"),
        sa.PrimaryKeyConstraint("id", name="pk_sources"),
        sa.UniqueConstraint("name", name="uq_sources_name"),
        sqlite_autoincrement=True,
    )


def _create_articles() -> None:
    op.create_table(
        "articles",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("source_id", _id(), nullable=False),
        sa.Column("entry_key", sa.String(64), nullable=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("guid", sa.Text()),
        sa.Column("url", sa.Text()),
        sa.Column("canonical_url", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("author", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("summary", sa.Text()),
        sa.Column("content", sa.Text()),
        sa.Column("text", sa.Text()),
        _moment("published_at", nullable=False),
        sa.Column("published_raw", sa.Text()),
        sa.Column("published_from", sa.Text(), nullable=False),
        _moment("fetched_at", nullable=False),
        _moment("updated_at"),
        _moment("last_seen_at", nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("extraction", sa.Text(), nullable=False),
        sa.Column("extraction_attempts", sa.Integer(), nullable=False),
        _moment("next_extraction_at"),
        sa.Column("extraction_error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_articles"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_articles_source_id"),
        sa.UniqueConstraint("source_id", "entry_key", name="uq_articles_source_id_entry_key"),
        sqlite_autoincrement=True,
    )
