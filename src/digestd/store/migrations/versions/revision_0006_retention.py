"""When an article left its source's document, when a source last served one whole, and what was deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Whatever was not seen when its source was read last has left. Where that document was cut off, this is wrong: nothing
# is deleted before the source has served a whole one (`last_whole_at`), which sets it right.
_FIND_LEFT = """UPDATE articles SET left_at = last_seen_at
FROM (SELECT source_id AS id, max(last_seen_at) AS read_at FROM articles GROUP BY source_id) AS source
WHERE articles.source_id = source.id AND articles.last_seen_at < source.read_at"""


def upgrade() -> None:
    """Add the columns with their indexes, and create `tombstones`."""
    op.add_column("sources", _moment("last_whole_at"))
    op.add_column("articles", _moment("left_at"))
    op.execute(_FIND_LEFT)
    _create_partial_index("articles", "in_document", ["source_id"], where="left_at IS NULL")
    _create_partial_index("articles", "left", ["source_id", "left_at", "id"], where="left_at IS NOT NULL")
    _create_tombstones()


def _create_tombstones() -> None:
    op.create_table(
        "tombstones",
        sa.Column("id", _id(), autoincrement=False, nullable=False),
        sa.Column("source_id", _id(), nullable=False),
        sa.Column("entry_key", sa.String(64), nullable=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("url", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        _moment("deleted_at", nullable=False),
        _moment("last_seen_at", nullable=False),
        _moment("left_at"),
        sa.PrimaryKeyConstraint("id", name="pk_tombstones"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_tombstones_source_id"),
        sa.UniqueConstraint("source_id", "entry_key", name="uq_tombstones_source_id_entry_key"),
    )
    op.create_index("ix_tombstones_source_id_identity", "tombstones", ["source_id", "identity"])
    op.create_index("ix_tombstones_source_id_left_at", "tombstones", ["source_id", "left_at"])
    _create_partial_index("tombstones", "in_document", ["source_id"], where="left_at IS NULL")


def _create_partial_index(table: str, name: str, columns: list[str], *, where: str) -> None:
    condition = sa.text(where)
    op.create_index(f"ix_{table}_{name}", table, columns, sqlite_where=condition, postgresql_where=condition)


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite"), nullable=nullable)
