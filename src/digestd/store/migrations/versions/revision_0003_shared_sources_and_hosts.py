"""What several processes on one database share: changes of sources, turns of hosts, whose list is in force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables."""
    op.add_column("sources", sa.Column("enabled_override", sa.Boolean()))
    op.add_column("sources", _moment("changed_at"))
    op.create_index("ix_sources_changed_at", "sources", ["changed_at"])
    op.create_table(
        "hosts",
        sa.Column("host_key", sa.String(64), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        _moment("next_start_at", nullable=False),
        _moment("paused_until"),
        sa.PrimaryKeyConstraint("host_key", name="pk_hosts"),
    )
    op.create_table(
        "source_lists",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        _moment("written_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_source_lists"),
    )


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite"), nullable=nullable)
