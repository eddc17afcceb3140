"""The statements of every poll on SQLite, handed to the driver as they are: SQLAlchemy's own part of one costs several
times what the statement does."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Executable

from digestd.store.outage import masked, outage

_Result = TypeVar("_Result")
_Convert: TypeAlias = Callable[[Any], Any]
_REQUIRED = object()


class NotDirectly(Exception):
    """Nothing was written, and why is to be found out by doing the same over SQLAlchemy."""


class Statement:
    """One statement as the driver takes it: its text, its parameters in their order, and what converts the values of
    both sides, as SQLAlchemy itself has them."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text: str = compiled.string
        types = {name: bound.type.dialect_impl(dialect) for bound, name in compiled.bind_names.items()}
        required = {name for bound, name in compiled.bind_names.items() if bound.required}
        self._parameters: list[tuple[str, Any, _Convert | None]] = [
            (
                name,
                _REQUIRED if name in required else compiled.params[name],
                types[name].bind_processor(dialect),
            )
            for name in compiled.positiontup
        ]
        columns = list(getattr(statement, "exported_columns", ()))
        self._row: Any = namedtuple("Row", [column.key for column in columns]) if columns else None
        self._converts: list[tuple[int, _Convert]] = [
            (place, convert)
            for place, column in enumerate(columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None)) is not None
        ]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """What goes to the driver for the parameters that were `given`. Raises KeyError where one is missing."""
        values = []
        for name, usual, convert in self._parameters:
            value = given[name] if usual is _REQUIRED else given.get(name, usual)
            values.append(value if convert is None else convert(value))
        return values

    def row(self, raw: Sequence[Any]) -> Any:
        """A row that the driver gave, with its values by the names of the columns."""
        values = list(raw)
        for place, convert in self._converts:
            values[place] = convert(values[place])
        return self._row._make(values)


class Answer:
    """What a statement gave, as far as it is asked for here."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def all(self) -> list[Any]:
        """Every row."""
        return self._rows

    def scalars(self) -> Iterable[Any]:
        """The first value of each row."""
        return (row[0] for row in self._rows)


class Direct:
    """A transaction of the driver's own that takes statements as :class:`sqlalchemy.Connection` does, but for lists of
    values within one (`IN`)."""

    def __init__(
        self, connection: sqlite3.Connection, dialect: Dialect, known: dict[Executable, Statement]
    ) -> None:
        self._connection = connection
        self._known = known
        self.dialect = dialect

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Answer:
        """Run `statement`, once for each of `parameters` where these are several."""
        known = self._known.get(statement)
        if known is None:
            # All of them are made with their module, or kept by it.
            known = self._known[statement] = Statement(statement, self.dialect)
        if isinstance(parameters, Sequence):
            cursor = self._connection.executemany(known.text, [known.values(one) for one in parameters])
            return Answer([], cursor.rowcount)
        cursor = self._connection.execute(known.text, known.values(parameters or {}))
        if cursor.description is None:
            return Answer([], cursor.rowcount)
        return Answer([known.row(raw) for raw in cursor.fetchall()], cursor.rowcount)


AnyConnection: TypeAlias = Connection | Direct
"""What the statements of every poll can be run on."""


class DirectEngine:
    """Transactions of the driver's own on the connections of `engine`, which is one of SQLite."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[Executable, Statement] = {}

    def transact(self, work: Callable[[Direct], _Result]) -> _Result:
        """Do `work` in one transaction. Raises :class:`~digestd.errors.StoreUnavailable` when the database cannot be
        had, and :class:`NotDirectly` for whatever else went wrong; nothing was written then."""
        pooled = self._engine.raw_connection()
        try:
            connection = pooled.driver_connection
            assert isinstance(connection, sqlite3.Connection)
            connection.execute("BEGIN IMMEDIATE")
            result = work(Direct(connection, self._engine.dialect, self._known))
            connection.execute("COMMIT")
        # The border between what is quick and what explains itself.
        except Exception as error:
            if (unavailable := outage(error, masked(self._engine.url))) is not None:
                raise unavailable from error
            raise NotDirectly from error
        finally:
            # The pool rolls back what was not committed.
            pooled.close()
        return result
