"""A connection inside a transaction, the same on every kind of database.

Made by `sqlite` and `server`, handed out by `engine`, used by services. Never commits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import CursorResult

T = TypeVar("T")
Dialect = Literal["sqlite", "postgresql", "mysql"]
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Run(Protocol):
    """Runs blocking SQLAlchemy code where it may block, and awaits it."""

    def __call__(self, function: Callable[[], T]) -> Awaitable[T]:
        """Run the function; calls of one connection are run in their order."""
        ...


class Connection:
    """A connection inside a transaction.

    Why not SQLAlchemy's AsyncConnection: importing it loads the ORM, and on SQLite it needs
    four changes of thread per statement where this needs one.
    """

    def __init__(self, connection: sa.Connection, run: Run) -> None:
        self._connection = connection
        self._run = run

    @property
    def dialect(self) -> Dialect:
        """Which kind of SQL is spoken here; MariaDB counts as mysql."""
        return cast(Dialect, self._connection.dialect.name)

    async def execute(
        self, statement: sa.Executable, parameters: Parameters | None = None
    ) -> CursorResult[Any]:
        """Run one statement; its rows are all fetched when this returns.

        Args:
            statement: Built with SQLAlchemy Core.
            parameters: Values of its bound names; a list runs it once for each.

        Returns:
            The result. `rowcount` and `inserted_primary_key` only without rows.
        """
        return await self._run(
            lambda: _fetched(statement, self._connection.execute(statement, parameters))
        )

    async def scalar(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one statement and return the first column of its first row; None without rows."""
        return await self._run(lambda: self._connection.scalar(statement, parameters))

    async def run_sync(self, function: Callable[[sa.Connection], T]) -> T:
        """Run a function on the blocking connection: many statements for one change of thread.

        Args:
            function: Must neither commit nor keep the connection.
        """
        return await self._run(lambda: function(self._connection))

    async def together(self, work: "Callable[[Connection], Coroutine[Any, Any, T]]") -> T:
        """Run a coroutine function that awaits this connection alone, in one change of thread.

        Args:
            work: Given a connection whose statements run at once.

        Raises:
            RuntimeError: It waits for something else.
        """

        def run() -> T:
            coroutine = work(Connection(self._connection, _at_once))
            try:
                coroutine.send(None)
            except StopIteration as done:
                return cast(T, done.value)
            coroutine.close()
            raise RuntimeError("work on one connection waits for something else")

        return await self._run(run)


async def _at_once(function: Callable[[], T]) -> T:
    return function()


def _fetched(statement: sa.Executable, result: CursorResult[Any]) -> CursorResult[Any]:
    """Return a result that needs its cursor no more."""
    is_plain_change = isinstance(statement, sa.UpdateBase) and not (
        statement.returning_column_descriptions
    )
    if is_plain_change or not result.returns_rows:
        return result
    # It offers every way to read rows; what it lacks (rowcount) is said in `execute`.
    return cast("CursorResult[Any]", result.freeze()())


async def to_the_end(work: Awaitable[T]) -> T:
    """Await work that must not be left half-way; a cancellation waits until it is done.

    Raises:
        asyncio.CancelledError: The caller was cancelled meanwhile; the work is done.
    """
    future = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            if future.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001 - the future keeps it, and `result` below raises it
            break
    if cancelled is not None:
        if not future.cancelled():
            future.exception()
        raise cancelled
    return future.result()
