"""Brings a database's tables to what this version works with.

Called by `core.app` at every start (`ensure_current`) and by `administration`. Only one process
migrates at a time; whoever waited finds nothing left to do. On SQLite and PostgreSQL a
migration is one transaction, so that a process killed in it has changed nothing; MariaDB
commits every change of a table at once, so its migrations can be run again over a part of
themselves. Alembic is loaded only when there is something to migrate.
"""

import asyncio
import os
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from skillspace.core.db.connection import Connection, to_the_end
from skillspace.core.db.engine import Database
from skillspace.core.db.file_lock import file_lock
from skillspace.core.db.schema import (
    HISTORY,
    History,
    SchemaStatus,
    create_schema,
    schema_status,
    status_of,
)
from skillspace.core.errors import (
    DatabaseUnavailable,
    SchemaNotCurrent,
    SchemaTooNew,
    SkillSpaceError,
)
from skillspace.core.text import t
from skillspace.core.values import Value

# Any number will do, as long as all versions use the same one: the letters "skill".
_POSTGRESQL_LOCK: Final = 0x736B696C6C
_MARIADB_LOCK: Final = "skillspace migration"
_MARIADB_WAIT_S: Final = 600


class Upgrade(Value, frozen=True, kw_only=True):
    """What an upgrade did.

    Args:
        before: Revision found; empty for a new database.
        after: Revision now.
        backup: Copy of the file as it was; None if there was nothing to copy.
    """

    before: str
    after: str
    backup: str | None = None


async def ensure_current(database: Database, automatic: bool) -> None:
    """Make sure that the schema is the one this version works with.

    Args:
        database: Any database.
        automatic: Whether to migrate here and now; without it only the embedded database's
            owner is spared the command.

    Raises:
        SchemaNotCurrent: It must be upgraded first.
        SchemaTooNew: It was written by a newer version.
        DatabaseUnavailable: It is a database, but not ours.
    """
    status = await schema_status(database)
    if status.state == "current":
        return
    refuse_unusable(database, status)
    if not automatic:
        raise SchemaNotCurrent(
            t(
                "The database {address} is not ready for this version (schema {revision}, "
                "needed {head}).",
                address=database.address,
                revision=status.revision or t("none"),
                head=status.head,
            ),
            hint="skillspace db upgrade",
            revision=status.revision,
            head=status.head,
        )
    await upgrade(database)


def refuse_unusable(database: Database, status: SchemaStatus) -> None:
    """Raise if no upgrade can help.

    Raises:
        SchemaTooNew: It was written by a newer version.
        DatabaseUnavailable: It is a database, but not ours.
    """
    if status.state == "ahead":
        raise SchemaTooNew(
            t(
                "The database {address} was written by a newer SkillSpace (schema {revision}; "
                "this version knows up to {head}).",
                address=database.address,
                revision=status.revision,
                head=status.head,
            ),
            hint=t(
                "Upgrade SkillSpace, restore an older backup with `skillspace db restore`, "
                "or use another place with SKILLSPACE_HOME."
            ),
            revision=status.revision,
            head=status.head,
        )
    if status.state == "foreign":
        raise DatabaseUnavailable(
            t("{path} is not a SkillSpace database.", path=database.address),
            hint=t("Let database_url name another file: skillspace config set database_url …"),
            path=database.address,
        )


async def upgrade(database: Database, history: History = HISTORY) -> Upgrade:
    """Bring the schema to the head, one process at a time; nothing to do is fine.

    An older SQLite file is copied first, beside itself.

    Args:
        database: Any database.
        history: The migrations there are; tests bring one more.

    Raises:
        SchemaTooNew: It was written by a newer version.
        DatabaseUnavailable: It is a database, but not ours, or another process is still
            migrating it.
    """
    if database.path is not None:
        return await _upgrade_file(database, database.path, history)
    status = await schema_status(database, history)
    refuse_unusable(database, status)
    if status.state != "current":
        async with database.write() as connection:
            await _upgrade_server(connection, history)
    return Upgrade(before=status.revision, after=status.head)


async def _upgrade_file(database: Database, path: Path, history: History) -> Upgrade:
    from skillspace.core.db.backup import copy_before_migration

    async with file_lock(path.with_name(f"{path.name}.migrate.lock")):
        status = await schema_status(database, history)
        refuse_unusable(database, status)
        copy = None
        if status.state == "empty":
            async with database.write() as connection:
                await connection.run_sync(_create_if_empty)
        elif status.state == "behind":
            copy = await to_the_end(asyncio.to_thread(copy_before_migration, path, status.head))
            await to_the_end(asyncio.to_thread(_migrate_file, path, history))
        return Upgrade(
            before=status.revision, after=status.head, backup=str(copy) if copy else None
        )


def _create_if_empty(connection: sa.Connection) -> None:
    # Where the file system knows no locks, two processes may come this far.
    if status_of(connection).state == "empty":
        create_schema(connection)


def _migrate_file(path: Path, history: History) -> None:
    """Migrate a SQLite file in one transaction, blocking.

    Foreign keys are off meanwhile, because rebuilding a table would delete what refers to it;
    they are checked before the commit.
    """
    from sqlalchemy.pool import NullPool

    from skillspace.core.db.sqlite import connect

    engine = sa.create_engine(
        "sqlite://", creator=lambda: connect(path, is_writer=True), poolclass=NullPool
    )

    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    sa.event.listen(engine, "begin", begin)
    with engine.begin() as connection:
        _run_migrations(connection, history)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise SkillSpaceError(
                t(
                    "The migration of {path} would leave table {table} broken.",
                    path=path,
                    table=broken[0],
                ),
                hint=t("Nothing was changed. Look for damage: skillspace db check"),
            )


async def _upgrade_server(connection: Connection, history: History) -> None:
    def migrate_if_behind(sync: sa.Connection) -> None:
        if status_of(sync, history).state in ("empty", "behind"):
            _run_migrations(sync, history)

    if connection.dialect == "postgresql":
        # It ends with the transaction, however that ends.
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
        await connection.run_sync(migrate_if_behind)
        return
    got = await connection.scalar(sa.select(sa.func.get_lock(_MARIADB_LOCK, _MARIADB_WAIT_S)))
    if got != 1:
        raise DatabaseUnavailable(
            t("Another process is still migrating the database."), hint=t("Try again later.")
        )
    try:
        await connection.run_sync(migrate_if_behind)
    finally:
        await connection.scalar(sa.select(sa.func.release_lock(_MARIADB_LOCK)))


def _run_migrations(connection: sa.Connection, history: History) -> None:
    from alembic import command

    command.upgrade(alembic_config(connection, history), "head")


def alembic_config(connection: sa.Connection, history: History = HISTORY) -> Any:
    """Return Alembic's configuration for a connection; no file is read."""
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    places = os.pathsep.join([str(folder / "versions"), *history.folders])
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("version_locations", places.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
