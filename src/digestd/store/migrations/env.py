"""What Alembic runs for `upgrade`: it works on the connection, and in the transaction, that it is handed."""

from __future__ import annotations

from alembic import context

# SQLite's DDL is transactional too; only Python's driver, which we keep in autocommit, ever made it look
# otherwise.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
