"""How often an article has followed its entry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing is known of updates before."""
    op.add_column("articles", sa.Column("updates", sa.Integer(), nullable=False, server_default="0"))
