"""What the queue of extraction needs, and entries that could not be kept as articles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns of extraction with their indexes, and the table of entries set aside."""
    _add_count("extraction_failures")
    _add_count("extraction_unfinished")
    op.add_column("articles", sa.Column("extraction_owner", sa.Text()))
    op.add_column("articles", sa.Column("text_hash", sa.String(64)))
    _create_partial_index(
        "ix_articles_pending",
        ["source_id", "published_at", "id", "fetched_at"],
        where="extraction = 'pending' AND next_extraction_at IS NULL",
    )
    _create_partial_index(
        "ix_articles_waiting",
        ["next_extraction_at", "source_id", "fetched_at"],
        where="extraction = 'pending' AND next_extraction_at IS NOT NULL",
    )
    _create_partial_index(
        "ix_articles_extraction_owner", ["extraction_owner"], where="extraction_owner IS NOT NULL"
    )
    _create_partial_index("ix_articles_text_hash", ["source_id", "text_hash"], where="text_hash IS NOT NULL")
    _create_entries_set_aside()


def _add_count(name: str) -> None:
    # Both databases add a column with a constant default without writing the rows again.
    op.add_column("articles", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))


def _create_partial_index(name: str, columns: list[str], *, where: str) -> None:
    op.create_index(name, "articles", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite"), nullable=False)


def _create_entries_set_aside() -> None:
    op.create_table(
        "entries_set_aside",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("source_id", _id(), nullable=False),
        sa.Column("entry_key", sa.String(64), nullable=False),
        sa.Column("guid", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        _moment("first_seen_at"),
        _moment("last_seen_at"),
        sa.PrimaryKeyConstraint("id", name="pk_entries_set_aside"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_entries_set_aside_source_id"),
        sa.UniqueConstraint("source_id", "entry_key", name="uq_entries_set_aside_source_id_entry_key"),
        sqlite_autoincrement=True,
    )
