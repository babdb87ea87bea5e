"""Which schema a database has, told without Alembic; and the whole schema made at once.

Used by `migrate` and `administration`. Reads one row to know that all is well, which every
command does at its start.
"""

from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from skillspace.core.db.engine import Database
from skillspace.core.db.search import INDEXES
from skillspace.core.db.tables import metadata
from skillspace.core.values import Value

REVISIONS: Final = ("0001",)
"""Every migration, oldest first; a test compares it with `migrations/versions`."""

HEAD: Final = REVISIONS[-1]
"""The schema this version works with."""


class History(Value, frozen=True, kw_only=True):
    """The migrations there are.

    Args:
        revisions: Their numbers, oldest first.
        folders: Where they are, beside `migrations/versions`.
    """

    revisions: tuple[str, ...]
    folders: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """The newest."""
        return self.revisions[-1]


HISTORY: Final = History(revisions=REVISIONS)

VERSION_TABLE: Final = sa.table("alembic_version", sa.column("version_num", sa.String))

SchemaState = Literal["current", "behind", "ahead", "empty", "foreign"]


class SchemaStatus(Value, frozen=True, kw_only=True):
    """Which schema a database has.

    Args:
        state: current; behind (to be upgraded); ahead (written by a newer version); empty;
            foreign (a file with tables that are not ours).
        revision: What the database says; empty without tables of ours.
        head: What this version works with.
    """

    state: SchemaState
    revision: str = ""
    head: str


async def schema_status(database: Database, history: History = HISTORY) -> SchemaStatus:
    """Say which schema a database has, by the migrations there are."""
    try:
        async with database.read() as connection:
            revision = await connection.scalar(sa.select(VERSION_TABLE.c.version_num))
    except DBAPIError:
        async with database.read() as connection:
            return await connection.run_sync(lambda sync: status_of(sync, history))
    return _status(revision or "", history)


def status_of(connection: sa.Connection, history: History = HISTORY) -> SchemaStatus:
    """Say which schema the database of a connection has, looking for the table first."""
    inspector = sa.inspect(connection)
    if inspector.has_table(VERSION_TABLE.name):
        revision = connection.scalar(sa.select(VERSION_TABLE.c.version_num))
        return _status(revision or "", history)
    # A server's database may be shared; a file of its own with other tables is a mistake.
    if connection.dialect.name == "sqlite" and inspector.get_table_names():
        return SchemaStatus(state="foreign", head=history.head)
    return SchemaStatus(state="empty", head=history.head)


def _status(revision: str, history: History) -> SchemaStatus:
    state: SchemaState
    if not revision:
        state = "empty"
    elif revision == history.head:
        state = "current"
    else:
        state = "behind" if revision in history.revisions else "ahead"
    return SchemaStatus(state=state, revision=revision, head=history.head)


def create_schema(connection: sa.Connection) -> None:
    """Make all tables in an empty SQLite database, in the transaction of the connection.

    Why not by migrations: the first start of all should not wait for Alembic. A test compares
    the two.
    """
    metadata.create_all(connection, checkfirst=False)
    for index in INDEXES:
        for statement in index.creation("sqlite"):
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version ("
        "version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(sa.insert(VERSION_TABLE).values(version_num=HEAD))
