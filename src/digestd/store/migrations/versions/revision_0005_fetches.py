"""A short log of polls, and how many in a row brought nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create `fetches`, and count unchanged polls in `sources`."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    op.create_table(
        "fetches",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("source_id", big, nullable=False),
        sa.Column("fetched_at", moment, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("body_bytes", sa.BigInteger(), nullable=False),
        sa.Column("articles_new", sa.Integer(), nullable=False),
        sa.Column("articles_updated", sa.Integer(), nullable=False),
        sa.Column("unchanged_before", sa.Integer(), nullable=False),
        sa.Column("schedule_reason", sa.Text(), nullable=False),
        sa.Column("next_delay_seconds", sa.Double(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_fetches"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_fetches_source_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_fetches_source_id_id", "fetches", ["source_id", "id"])
    op.create_index("ix_fetches_fetched_at", "fetches", ["fetched_at"])
    op.add_column("sources", sa.Column("unchanged_polls", sa.Integer(), nullable=False, server_default="0"))
