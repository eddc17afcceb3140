"""What APIs cost in a day, counted for all processes on one database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "budgets",
        sa.Column("budget_key", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("reads", sa.BigInteger(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("closed_until", sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")),
        sa.Column("closed_because", sa.Text()),
        sa.PrimaryKeyConstraint("budget_key", name="pk_budgets"),
    )
