"""The statements of every poll on SQLite, handed to the driver as they are: SQLAlchemy's own part of one costs several
times what the statement does."""

from __future__ import annotations

import re
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Executable, Insert

from digestd.store.outage import masked, outage

_Result = TypeVar("_Result")
_Convert: TypeAlias = Callable[[Any], Any]
_REQUIRED = object()
# Where SQLAlchemy leaves room for a list.
_LIST = re.compile(r"__\[POSTCOMPILE_(\w+)\]")


class NotDirectly(Exception):
    """Nothing was written, and why is to be found out by doing the same over SQLAlchemy."""


class Statement:
    """One statement as the driver takes it: its text, its parameters in their order, and what converts the values of
    both sides, as SQLAlchemy itself has them. `names` are the parameters that it is given, of which an INSERT without
    values takes its columns."""

    def __init__(self, statement: Any, dialect: Dialect, names: Iterable[str] = ()) -> None:
        inserted = [*names] if isinstance(statement, Insert) and statement.select is None else None
        compiled = statement.compile(dialect=dialect, column_keys=inserted)
        bound = {name: one for one, name in compiled.bind_names.items()}
        types = {name: one.type.dialect_impl(dialect) for name, one in bound.items()}
        self._texts = _LIST.split(compiled.string)
        self._parameters: list[tuple[str, Any, _Convert | None]] = [
            (
                name,
                _REQUIRED if bound[name].required else compiled.params[name],
                types[name].bind_processor(dialect),
            )
            for name in compiled.positiontup
        ]
        self._lists = frozenset(name for name, one in bound.items() if one.expanding)
        columns = list(getattr(statement, "exported_columns", ()))
        # Some have no name that could be one here.
        self._row: Any = (
            namedtuple("Row", [column.key for column in columns], rename=True) if columns else None
        )
        self._converts: list[tuple[int, _Convert]] = [
            (place, convert)
            for place, column in enumerate(columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None)) is not None
        ]

    def text(self, given: Mapping[str, Any]) -> str:
        """What goes to the driver: with as many places as the lists that were `given` have."""
        if len(self._texts) == 1:
            return self._texts[0]
        parts = self._texts[:1]
        for name, text in zip(self._texts[1::2], self._texts[2::2], strict=True):
            parts += [", ".join("?" * _places(len(given[name]))), text]
        return "".join(parts)

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """What goes to the driver for the parameters that were `given`. Raises KeyError where one is missing."""
        if self._lists:
            return [*self._spread(given)]
        values = []
        for name, usual, convert in self._parameters:
            value = given[name] if usual is _REQUIRED else given.get(name, usual)
            values.append(value if convert is None else convert(value))
        return values

    def _spread(self, given: Mapping[str, Any]) -> Iterator[Any]:
        for name, usual, convert in self._parameters:
            value = given[name] if usual is _REQUIRED else given.get(name, usual)
            values = value if name in self._lists else [value]
            yield from values if convert is None else map(convert, values)
            if name in self._lists:
                # What is in the list already changes nothing.
                yield from [values[-1]] * (_places(len(values)) - len(values))

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

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def one_or_none(self) -> Any:
        """The only row, if there is one."""
        return self._rows[0] if self._rows else None

    def scalars(self) -> Iterable[Any]:
        """The first value of each row."""
        return (row[0] for row in self._rows)


class Direct:
    """A transaction of the driver's own that takes statements as :class:`sqlalchemy.Connection` does. Each must be the
    same object every time, since it is kept; an INSERT without values is to be given the same columns every time; no
    list of values within one (`IN`) may be empty."""

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
        if isinstance(parameters, Sequence):
            known = self._statement(statement, parameters[0])
            cursor = self._connection.executemany(
                known.text(parameters[0]), [known.values(one) for one in parameters]
            )
            return Answer([], cursor.rowcount)
        given = parameters or {}
        known = self._statement(statement, given)
        cursor = self._connection.execute(known.text(given), known.values(given))
        if cursor.description is None:
            return Answer([], cursor.rowcount)
        return Answer([known.row(raw) for raw in cursor.fetchall()], cursor.rowcount)

    def _statement(self, statement: Executable, names: Iterable[str]) -> Statement:
        known = self._known.get(statement)
        if known is None:
            known = self._known[statement] = Statement(statement, self.dialect, names)
        return known


def _places(values: int) -> int:
    """How many places a list gets: few numbers of them, as the driver keeps what it has prepared."""
    return 1 << (values - 1).bit_length()


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
