"""SQLite: one writer and a few readers per process, each in a thread of its own.

Used by `engine` alone. Many processes may hold the file: writers queue up at BEGIN IMMEDIATE
and nobody ever has to give up half-way. The file and its folder are for their owner's eyes.
"""

import asyncio
import contextlib
import contextvars
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from skillspace.core.db.connection import Connection, to_the_end
from skillspace.core.storage import writing

T = TypeVar("T")

BUSY_S: Final = 10.0
"""How long a statement waits for another process."""

READERS: Final = 4
_WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class SqliteStore:
    """The connections to one file.

    Args:
        path: Absolute; file and folders are made when missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: _Line | None = None
        self._writing = asyncio.Lock()
        self._writing_task: asyncio.Task[object] | None = None
        self._idle: list[_Line] = []
        self._reading = asyncio.Semaphore(READERS)

    @asynccontextmanager
    async def write(self, durable: bool) -> AsyncIterator[Connection]:
        """Open the transaction of this process's only writer."""
        if self._writing_task is asyncio.current_task() is not None:
            raise RuntimeError("a write inside a write would wait for itself for ever")
        async with self._writing:
            self._writing_task = asyncio.current_task()
            try:
                if self._writer is None:
                    self._writer = await _Line.open(self._path, "BEGIN IMMEDIATE")
                self._writer.durable = durable
                async with self._writer.transaction(commit=True) as connection:
                    yield connection
            finally:
                self._writing_task = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Open a transaction on a reader that is free."""
        async with self._reading:
            line = self._idle.pop() if self._idle else await _Line.open(self._path, "BEGIN")
            try:
                async with line.transaction(commit=False) as connection:
                    yield connection
            finally:
                self._idle.append(line)

    async def close(self) -> None:
        """Close every connection; the last process to do so empties the WAL."""
        lines, self._idle = self._idle, []
        if self._writer is not None:
            lines = [*lines, self._writer]
            self._writer = None
        for line in lines:
            await to_the_end(line.close())


class _Line:
    """One connection and the thread that it lives in.

    Args:
        begin: The statement that opens a transaction; anything but BEGIN IMMEDIATE makes a
            connection that cannot write.
    """

    def __init__(self, path: Path, begin: str) -> None:
        self._begin_statement = begin
        self._is_writer = begin == "BEGIN IMMEDIATE"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._engine = sa.create_engine(
            "sqlite://",
            creator=lambda: connect(path, self._is_writer),
            poolclass=NullPool,
            # An error's text goes to logs and people; what was being stored does not.
            hide_parameters=True,
        )
        sa.event.listen(self._engine, "begin", self._begin)
        self.durable = True
        self._is_flushing: bool | None = None
        self._connection: sa.Connection

    @classmethod
    async def open(cls, path: Path, begin: str) -> "_Line":
        """Open the connection in its thread."""
        line = cls(path, begin)
        try:
            line._connection = await to_the_end(line.run(line._engine.connect))
        except BaseException:
            line._thread.shutdown(wait=False)
            raise
        return line

    def run(self, function: Callable[[], T]) -> Awaitable[T]:
        """Run a function in the thread, after those before it."""
        # What a thread says goes to people in the caller's language.
        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(self._thread, context.run, function)

    @asynccontextmanager
    async def transaction(self, commit: bool) -> AsyncIterator[Connection]:
        """Lend the connection for one transaction, which its first statement begins."""
        try:
            yield Connection(self._connection, self.run)
        except BaseException:
            await to_the_end(self.run(self._roll_back))
            raise
        if not commit:
            # Nobody waits for the end of a read; the thread gets to it before what comes next.
            self._thread.submit(self._roll_back)
            return
        try:
            await to_the_end(self.run(self._connection.commit))
        except BaseException:
            # A commit that failed (full disk) leaves the transaction open, and the file locked;
            # after one that was done while its caller was cancelled there is nothing to undo.
            await to_the_end(self.run(self._roll_back))
            raise

    def _roll_back(self) -> None:
        self._connection.rollback()
        # SQLAlchemy sends no ROLLBACK for a transaction whose commit it has tried.
        driver = self._connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection) and driver.in_transaction:
            driver.rollback()

    def _begin(self, connection: sa.Connection) -> None:
        # The flush may only be switched between two transactions.
        if self._is_writer and self._is_flushing is not self.durable:
            level = "FULL" if self.durable else "NORMAL"
            connection.exec_driver_sql(f"PRAGMA synchronous={level}")
            self._is_flushing = self.durable
        connection.exec_driver_sql(self._begin_statement)

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await self.run(self._connection.close)
        self._thread.shutdown(wait=False)


def connect(path: Path, is_writer: bool) -> sqlite3.Connection:
    """Open the file, making it if need be.

    Why no memory mapping: a file that another process cuts short would kill this one.
    """
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError), writing(path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    # Without an isolation level the module begins no transactions of its own.
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        use_wal(connection)
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
        if not is_writer:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log, in which readers and the writer never wait.

    Why a loop: SQLite does not wait by itself when two processes switch a new file at once.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
