"""What tests of several rooms share: a real PostgreSQL, and how hypothesis behaves."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import hypothesis
import pytest

from support.postgres import PostgresServer

# Machines under load are slow, not wrong.
hypothesis.settings.register_profile("digestd", deadline=None)
hypothesis.settings.load_profile("digestd")


def start_postgres() -> PostgresServer:
    """A new server that runs; where there can be none, the test is skipped, and fails in CI."""
    try:
        server = PostgresServer()
        server.start()
    except (RuntimeError, OSError) as error:
        reason = f"no PostgreSQL to test with: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL that all tests share; none of them stops it."""
    server = start_postgres()
    yield server
    server.destroy()


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for this test alone, to be stopped and started."""
    server = start_postgres()
    yield server
    server.destroy()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database on the shared server, for this test alone."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)
