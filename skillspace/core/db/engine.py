"""The database: transactions that read and transactions that write, alike on every kind.

`create_database` is called by `core.app` and `administration`; services call `read` and
`write`. A write is all or nothing; a read sees one moment and can change nothing. What a
driver says about a server or a disk becomes an error of ours here and nowhere else; a broken
constraint stays SQLAlchemy's IntegrityError, because only the caller knows what it means.
Loads neither SQLAlchemy's ORM nor Alembic, which together would double the time a command
takes to start.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from skillspace.core.db.connection import Connection, Dialect
from skillspace.core.db.failures import explained
from skillspace.core.db.sqlite import SqliteStore
from skillspace.core.errors import SettingsError
from skillspace.core.text import t

__all__ = ["Connection", "Database", "Dialect", "create_database"]

_DIALECTS: Final[dict[str, Dialect]] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}


class Store(Protocol):
    """How one kind of database keeps its connections; `sqlite` and `server` implement it."""

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """Open a transaction that sees one moment."""
        ...

    def write(self, durable: bool) -> AbstractAsyncContextManager[Connection]:
        """Open a transaction that changes something."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Database:
    """One database; made by `create_database`, ended by `close`.

    Attributes:
        dialect: Which kind of SQL it speaks; MariaDB counts as mysql.
        address: The URL without password and options, or the file's path: safe to show.
        path: The file of a SQLite database; None for a server.
    """

    def __init__(self, dialect: Dialect, address: str, store: Store, path: Path | None) -> None:
        self.dialect: Dialect = dialect
        self.address = address
        self.path = path
        self._store = store

    @asynccontextmanager
    async def write(self, durable: bool = True) -> AsyncIterator[Connection]:
        """Open a transaction that commits at the end of the block, or rolls back if it raises.

        On SQLite it takes the write lock at its first statement, so it cannot fail later for
        being overtaken. A cancelled block rolls back; a commit under way is always finished.

        Args:
            durable: False lets SQLite skip the disk flush: a power cut may then lose this
                commit, unless a durable one followed; a dying process never does. Makes no
                difference on a server.

        Raises:
            DatabaseUnavailable: It cannot be reached, or is locked for too long.
            StorageUnavailable: Its disk is full or read-only.
            Temporary: Another transaction got in the way; the same again may work.
        """
        with explained(self.address):
            async with self._store.write(durable) as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Open a transaction that sees one moment of the database and can change nothing.

        Raises:
            DatabaseUnavailable: It cannot be reached.
            StorageUnavailable: Its file cannot be opened.
        """
        with explained(self.address):
            async with self._store.read() as connection:
                yield connection

    async def ping(self) -> float:
        """Ask the database for nothing and return how long the answer took, in ms."""
        async with self.read() as connection:
            start = time.perf_counter()
            await connection.scalar(sa.select(1))
            return (time.perf_counter() - start) * 1000

    async def close(self) -> None:
        """Close every connection. Nothing may be running."""
        await self._store.close()


def create_database(url: str) -> Database:
    """Make a database ready for use; connections are opened when they are needed.

    Args:
        url: `sqlite:////absolute/path`, `postgresql://user:password@host:port/name` or
            `mysql://…`, `mariadb://…`. Further `?name=value` go to the driver.

    Raises:
        SettingsError: It is none of these.
        MissingExtra: The driver is not installed.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise _bad_url(t("it is not a URL")) from error
    dialect = _DIALECTS.get(parsed.get_backend_name())
    if dialect is None:
        raise _bad_url(t("{name} is not supported", name=parsed.get_backend_name()))
    if dialect == "sqlite":
        path = _file_of(parsed)
        return Database(dialect, str(path), SqliteStore(path), path)
    # The embedded database, which is the usual one, starts without this module.
    from skillspace.core.db.server import ServerStore

    # What follows the `?` goes to the driver, which takes a password there too.
    shown = parsed.set(drivername=dialect, query={})
    address = shown.render_as_string(hide_password=True)
    return Database(dialect, address, ServerStore(dialect, parsed), None)


def _file_of(url: URL) -> Path:
    if not url.database or url.database == ":memory:" or url.query:
        raise _bad_url(t("a SQLite database needs the path of a file"))
    return Path(os.path.abspath(os.path.expanduser(url.database)))


def _bad_url(reason: str) -> SettingsError:
    return SettingsError(
        t("database_url cannot be used: {reason}.", reason=reason),
        hint=t(
            "Give sqlite:////path/to/file, postgresql://user:password@host/name "
            "or mysql://user:password@host/name."
        ),
        key="database_url",
    )
