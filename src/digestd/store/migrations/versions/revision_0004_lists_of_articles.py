"""Lists that read no more articles than they show: the digest, and the articles whose page is not read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NOT_DONE = "extraction <> 'done'"


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("ix_articles_published_at", "articles", ["published_at"])
    op.create_index(
        "ix_articles_not_done",
        "articles",
        ["extraction", "fetched_at", "id"],
        sqlite_where=sa.text(_NOT_DONE),
        postgresql_where=sa.text(_NOT_DONE),
    )
