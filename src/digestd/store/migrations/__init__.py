"""The one Alembic history of the database: a module per revision under `versions`."""
