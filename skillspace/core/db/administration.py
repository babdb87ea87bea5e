"""Looking after a database: status, upgrade, backup, restore, check; plain functions for faces.

Called by `skillspace db` and `skillspace doctor`. Works when the schema is old, new or missing,
because it never opens the app. Each function opens the database by its URL and closes it again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from skillspace.core.db import backup as files
from skillspace.core.db.backup import Copied, Progress, Restored
from skillspace.core.db.connection import to_the_end
from skillspace.core.db.engine import Database, create_database
from skillspace.core.db.failures import explained
from skillspace.core.db.migrate import Upgrade, refuse_unusable, upgrade
from skillspace.core.db.schema import HEAD, SchemaState, schema_status
from skillspace.core.errors import InvalidInput, NotFound
from skillspace.core.text import t
from skillspace.core.values import Value


class DatabaseStatus(Value, frozen=True, kw_only=True):
    """What there is to know about a database.

    Args:
        address: URL without password, or path.
        dialect: sqlite, postgresql or mysql (MariaDB counts as such).
        exists: False for a SQLite file that is not there yet.
        state: current, behind, ahead, empty or foreign.
        revision: Its schema; empty without tables of ours.
        head: The schema this version works with.
        latency_ms: How long it took to answer; None without a file.
        size_bytes: Of the SQLite file; None for a server.
    """

    address: str
    dialect: str
    exists: bool
    state: SchemaState
    revision: str
    head: str
    latency_ms: float | None = None
    size_bytes: int | None = None


async def database_status(url: str, *, refuse: bool = False) -> DatabaseStatus:
    """Say where the database is, whether it answers, and which schema it has.

    Args:
        url: Of the database. Neither it nor a file is changed or made.
        refuse: Raise for a schema that no upgrade can mend, rather than report it.

    Raises:
        SettingsError, MissingExtra, DatabaseUnavailable, StorageUnavailable: It cannot be used.
        SchemaTooNew: It was written by a newer version; with `refuse` only.
    """
    async with _opened(url) as database:
        exists = database.path is None or database.path.exists()
        if not exists:
            # Looking must not make a file.
            return DatabaseStatus(
                address=database.address,
                dialect=database.dialect,
                exists=False,
                state="empty",
                revision="",
                head=HEAD,
            )
        schema = await schema_status(database)
        if refuse:
            refuse_unusable(database, schema)
        return DatabaseStatus(
            address=database.address,
            dialect=database.dialect,
            exists=True,
            state=schema.state,
            revision=schema.revision,
            head=schema.head,
            latency_ms=round(await database.ping(), 3),
            size_bytes=database.path.stat().st_size if database.path else None,
        )


async def upgrade_database(url: str) -> Upgrade:
    """Bring the schema to what this version works with.

    Raises:
        SchemaTooNew: It was written by a newer version.
        DatabaseUnavailable, StorageUnavailable: It cannot be used.
    """
    async with _opened(url) as database:
        return await upgrade(database)


async def backup_database(
    url: str, target: Path, force: bool = False, progress: Progress | None = None
) -> Copied:
    """Copy a SQLite database into a file while it may be in use.

    Args:
        url: Of the database.
        target: The file.
        force: Whether to replace a file that is there.
        progress: Called in another thread.

    Raises:
        InvalidInput: A server's database: its own tools do this better.
        Conflict: There is a file already.
        NotFound, StorageUnavailable: There is no database, or no room for the copy.
    """
    async with _opened(url) as database:
        path = _file_of(database, "backup")
        # It is the copy that cannot be written, not the database.
        with explained(str(target)):
            return await to_the_end(
                asyncio.to_thread(files.copy_file, path, target, force, progress)
            )


async def restore_database(url: str, source: Path, progress: Progress | None = None) -> Restored:
    """Put a copy in the place of the SQLite database; what was there is kept beside it.

    Args:
        url: Of the database.
        source: A file that `backup_database` made.
        progress: Called in another thread.

    Raises:
        InvalidInput: The file is no sound copy, or the database is on a server.
        Conflict: Another process uses the database.
        SchemaTooNew, NotFound, StorageUnavailable: The copy cannot be used or put there.
    """
    async with _opened(url) as database:
        path = _file_of(database, "restore")
        return await to_the_end(asyncio.to_thread(files.restore_file, source, path, progress))


async def check_database(url: str) -> list[str]:
    """Return what is wrong with a database, in words; nothing when it is sound.

    Looks for damaged pages and dangling references (SQLite) and for tables, columns and
    indexes that differ from what this version expects.

    Raises:
        NotFound: There is no SQLite file.
        SchemaTooNew: A newer version wrote it.
        DatabaseUnavailable, StorageUnavailable: It cannot be opened.
    """
    async with _opened(url) as database:
        if database.path is not None:
            if not database.path.is_file():
                raise NotFound(
                    t("There is no database at {path}.", path=database.path),
                    hint=t("It is made at the first start: skillspace demo"),
                )
            problems = await asyncio.to_thread(files.check_file, database.path)
            if problems:
                return problems
        status = await schema_status(database)
        refuse_unusable(database, status)
        if status.state != "current":
            return [
                t(
                    "The schema is {revision}, needed is {head}: skillspace db upgrade",
                    revision=status.revision or t("none"),
                    head=status.head,
                )
            ]
        from skillspace.core.db.drift import schema_differences

        async with database.read() as connection:
            return await connection.run_sync(schema_differences)


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database = create_database(url)
    try:
        with explained(database.address):
            yield database
    finally:
        await database.close()


def _file_of(database: Database, action: str) -> Path:
    if database.path is not None:
        return database.path
    program = "pg_dump --format=custom" if database.dialect == "postgresql" else "mariadb-dump"
    if action == "restore":
        program = "pg_restore" if database.dialect == "postgresql" else "mariadb"
    raise InvalidInput(
        t("Only a SQLite database is backed up and restored here."),
        hint=t("For {address} use: {program}", address=database.address, program=program),
    )
