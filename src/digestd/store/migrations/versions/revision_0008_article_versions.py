"""What articles said before their updates, and the facts of advisories."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create `article_versions`, and add the facts; of what was updated before, nothing is known."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    op.create_table(
        "article_versions",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("source_id", big, nullable=False),
        sa.Column("article_id", big, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text()),
        sa.Column("author", sa.Text()),
        sa.Column("summary", sa.Text()),
        sa.Column("content", sa.Text()),
        sa.Column("facts", sa.JSON()),
        sa.Column("said_at", moment, nullable=False),
        sa.Column("replaced_at", moment, nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_article_versions"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_article_versions_source_id"),
        sa.ForeignKeyConstraint(["article_id"], ["articles.id"], name="fk_article_versions_article_id"),
        sa.UniqueConstraint(
            "article_id", "source_id", "number", name="uq_article_versions_article_id_source_id_number"
        ),
        sqlite_autoincrement=True,
    )
    op.add_column("articles", sa.Column("facts", sa.JSON()))
    condition = sa.text("updated_at IS NOT NULL")
    op.create_index(
        "ix_articles_revised",
        "articles",
        ["updated_at", "id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
