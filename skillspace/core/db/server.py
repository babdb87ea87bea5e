"""PostgreSQL and MariaDB: two small pools of connections, one that writes and one that reads.

Used by `engine` alone. Both speak UTF-8 and UTC whatever the server's defaults are, and
neither shortens or bends a value to make it fit.
"""

import importlib.util
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.util import greenlet_spawn

from skillspace.core.db.connection import Connection, to_the_end
from skillspace.core.errors import MissingExtra
from skillspace.core.text import t

T = TypeVar("T")
Kind = Literal["postgresql", "mysql"]

_DRIVERS: Final[dict[Kind, str]] = {"postgresql": "asyncpg", "mysql": "aiomysql"}
_EXTRAS: Final[dict[Kind, str]] = {"postgresql": "postgres", "mysql": "mysql"}
_POOL_CONNECTIONS: Final = 5
_CONNECT_TIMEOUT_S: Final = 10


class ServerStore:
    """The pools of one database on a server.

    Args:
        kind: Which server.
        url: With user and password; its driver is chosen here.

    Raises:
        MissingExtra: The driver is not installed.
    """

    def __init__(self, kind: Kind, url: URL) -> None:
        driver = _DRIVERS[kind]
        if importlib.util.find_spec(driver) is None:
            extra = _EXTRAS[kind]
            raise MissingExtra(
                t("The driver {name} for this database is not installed.", name=driver),
                hint=f"pip install 'skillspace[{extra}]'",
                extra=extra,
            )
        url = url.set(drivername=f"{kind}+{driver}")
        self._writer = _create_engine(kind, url, read_only=False)
        self._reader = _create_engine(kind, url, read_only=True)

    @asynccontextmanager
    async def write(self, durable: bool) -> AsyncIterator[Connection]:
        """Open a transaction in READ COMMITTED; the server alone decides how durable it is."""
        async with _transaction(self._writer, commit=True) as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Open a read-only transaction in REPEATABLE READ, which sees one moment."""
        async with _transaction(self._reader, commit=False) as connection:
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        for engine in (self._writer, self._reader):
            await to_the_end(_run(engine.dispose))


@asynccontextmanager
async def _transaction(engine: sa.Engine, commit: bool) -> AsyncIterator[Connection]:
    connection = await _run(engine.connect)

    def commit_and_return() -> None:
        connection.commit()
        connection.close()

    try:
        yield Connection(connection, _run)
    except BaseException:
        await to_the_end(_run(connection.close))
        raise
    if not commit:
        await to_the_end(_run(connection.close))
        return
    try:
        await to_the_end(_run(commit_and_return))
    except BaseException:
        await to_the_end(_run(connection.close))
        raise


def _run(function: Callable[[], T]) -> Coroutine[Any, Any, T]:
    return greenlet_spawn(function)


def _create_engine(kind: Kind, url: URL, read_only: bool) -> sa.Engine:
    options: dict[str, Any] = {}
    if kind == "postgresql":
        options["server_settings"] = {
            "application_name": "skillspace",
            "TimeZone": "UTC",
            **({"default_transaction_read_only": "on"} if read_only else {}),
        }
        options["timeout"] = _CONNECT_TIMEOUT_S
    else:
        options["charset"] = "utf8mb4"
        options["connect_timeout"] = _CONNECT_TIMEOUT_S
    engine = sa.create_engine(
        url,
        connect_args=options,
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        pool_size=_POOL_CONNECTIONS,
        # A connection that a restart of the server cut is noticed before it is used.
        pool_pre_ping=True,
        pool_recycle=1800,
        # An error's text goes to logs and people; what was being stored does not.
        hide_parameters=True,
    )
    if kind == "mysql":
        sa.event.listen(engine, "connect", _prepare_read if read_only else _prepare_write)
    return engine


def _prepare_write(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    # TRADITIONAL refuses a value that does not fit, instead of shortening it.
    cursor.execute("SET time_zone='+00:00', sql_mode='TRADITIONAL'")
    cursor.close()


def _prepare_read(connection: Any, record: object) -> None:
    _prepare_write(connection, record)
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION READ ONLY")
    cursor.close()
