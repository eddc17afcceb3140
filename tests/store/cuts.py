"""Transactions that are cut off before one of their statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, Executable, event

from digestd.store.direct import Answer, Direct


class PowerCut(BaseException):
    """The process ends here."""


@contextmanager
def cut_before(number: int) -> Iterator[list[str]]:
    """Let the statement with this number, from 0 on, be the end; gives the statements until then."""
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: Any) -> None:
        if len(statements) == number:
            raise PowerCut
        statements.append(statement)

    execute = Direct.execute

    def counted(self: Direct, statement: Executable, parameters: Any = None) -> Answer:
        count(None, None, str(statement))
        return execute(self, statement, parameters)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        with patch.object(Direct, "execute", counted):
            yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", count)
