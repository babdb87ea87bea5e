"""Migrations: one schema on every database, one process at a time, nothing lost by a kill."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from skillspace.core.db.drift import schema_differences
from skillspace.core.db.engine import Database, create_database
from skillspace.core.db.migrate import alembic_config, ensure_current, upgrade
from skillspace.core.db.schema import HEAD, REVISIONS, VERSION_TABLE, History, schema_status
from skillspace.core.db.tables import chat_sessions, users
from skillspace.core.errors import DatabaseUnavailable, SchemaNotCurrent, SchemaTooNew

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
NEXT = f'''
import os, time
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{HEAD}"
branch_labels = depends_on = None

def pause(place):
    if os.environ.get("PLANTED_PAUSE") == place:
        print("paused", flush=True)
        time.sleep(600)

def upgrade():
    op.create_table("planted", sa.Column("id", sa.Integer(), primary_key=True), if_not_exists=True)
    pause("first")
    op.create_index("ix_planted_id", "planted", ["id"], if_not_exists=True)
    with op.batch_alter_table("users") as batch:
        batch.alter_column("display_name", type_=sa.String(300), existing_type=sa.String(150),
            existing_nullable=False, existing_server_default="")
    pause("second")
'''
RUN = """
import asyncio, sys
from skillspace.core.db.engine import create_database
from skillspace.core.db.migrate import upgrade
from skillspace.core.db.schema import REVISIONS, History

async def main(url, folder):
    database = create_database(url)
    done = await upgrade(database, History(revisions=(*REVISIONS, "9999"), folders=(folder,)))
    print(done.before, done.after, bool(done.backup))
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def later(tmp_path: Path) -> History:
    """Return the history of a version with one migration more."""
    folder = tmp_path / "later"
    folder.mkdir()
    (folder / "9999_planted.py").write_text(NEXT)
    return History(revisions=(*REVISIONS, "9999"), folders=(str(folder),))


def start(url: str, history: History, pause: str = "") -> subprocess.Popen[str]:
    """Start a process that upgrades a database, and stops on the way where it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, url, *history.folders],
        cwd=ROOT,
        env={**os.environ, "PLANTED_PAUSE": pause},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def add_rows(database: Database) -> None:
    """Add a user and a conversation that refers to it."""
    async with database.write() as connection:
        await connection.execute(sa.insert(users).values(id=7, username="ada", created_at=NOW))
        row = {"owner_id": 7, "title": "kept", "system": "", "created_at": NOW, "updated_at": NOW}
        await connection.execute(sa.insert(chat_sessions).values(row))


async def count_rows(database: Database) -> tuple[int, int]:
    """Count users and conversations."""
    async with database.read() as connection:
        counts = [
            await connection.scalar(sa.select(sa.func.count()).select_from(table))
            for table in (users, chat_sessions)
        ]
    return counts[0], counts[1]


async def set_revision(database: Database, revision: str) -> None:
    """Write another revision into the database."""
    async with database.write() as connection:
        await connection.execute(sa.update(VERSION_TABLE).values(version_num=revision))


async def test_migrations_make_exactly_the_tables(blank_database_url: str) -> None:
    """From nothing, migrations lead to what `tables.py` declares, on each database."""
    database = create_database(blank_database_url)
    if database.dialect == "sqlite":
        async with database.write() as connection:
            await connection.run_sync(_migrate_from_nothing)
    else:
        await upgrade(database)
    async with database.read() as connection:
        assert await connection.run_sync(schema_differences) == []
    assert (await schema_status(database)).state == "current"
    await database.close()


async def test_a_difference_is_seen(database: Database) -> None:
    """The comparison notices a missing column, index and full-text table."""
    async with database.write() as connection:
        await connection.execute(sa.text("DROP TABLE outbox"))
    async with database.read() as connection:
        assert "outbox" in str(await connection.run_sync(schema_differences))
    # The database is shared by later tests on MariaDB.
    async with database.write() as connection:
        from skillspace.core.db.tables import metadata, outbox

        await connection.run_sync(lambda sync: metadata.create_all(sync, tables=[outbox]))


def _migrate_from_nothing(connection: sa.Connection) -> None:
    from alembic import command

    command.upgrade(alembic_config(connection), "head")


def shape(path: Path) -> dict[str, Any]:
    """Return everything SQLite knows of a schema, without the words it was made with."""
    found: dict[str, Any] = {}
    with closing(sqlite3.connect(path)) as connection:
        for name, kind, _, without_rowid, strict in connection.execute(
            "SELECT name, type, ncol, wr, strict FROM pragma_table_list WHERE schema = 'main'"
        ):
            indexes = connection.execute(f"PRAGMA index_list('{name}')").fetchall()
            found[name] = (
                kind,
                without_rowid,
                strict,
                connection.execute(f"PRAGMA table_xinfo('{name}')").fetchall(),
                sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list('{name}')")),
                sorted(
                    (
                        row[2:],
                        "" if row[1].startswith("sqlite_") else row[1],
                        connection.execute(f"PRAGMA index_xinfo('{row[1]}')").fetchall(),
                    )
                    for row in indexes
                ),
            )
        virtual = "SELECT name, sql FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'"
        found["virtual"] = connection.execute(virtual).fetchall()
    return found


async def test_a_new_file_is_made_as_migrations_would(tmp_path: Path) -> None:
    """The fast way of the first start and the migrations lead to one schema."""
    fast = create_database(f"sqlite:///{tmp_path}/fast.db")
    await ensure_current(fast, automatic=True)
    await fast.close()
    slow = create_database(f"sqlite:///{tmp_path}/slow.db")
    async with slow.write() as connection:
        await connection.run_sync(_migrate_from_nothing)
    await slow.close()
    made = shape(tmp_path / "fast.db")
    assert made == shape(tmp_path / "slow.db")
    assert "messages" in made


async def test_known_revisions_are_those_in_the_folder(tmp_path: Path) -> None:
    """The constant that spares loading Alembic names every migration, in order."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
    found = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS
    engine.dispose()


async def test_states(blank_database_url: str, later: History) -> None:
    """Empty, current, behind and ahead are told apart, and each has its way on."""
    database = create_database(blank_database_url)
    assert (await schema_status(database)).state == "empty"
    with pytest.raises(SchemaNotCurrent) as caught:
        await ensure_current(database, automatic=False)
    assert caught.value.hint == "skillspace db upgrade"
    await ensure_current(database, automatic=True)
    await ensure_current(database, automatic=False)
    assert (await schema_status(database)).state == "current"
    assert (await schema_status(database, later)).state == "behind"
    await set_revision(database, "9999")
    assert (await schema_status(database)).state == "ahead"
    await database.close()


async def test_a_database_of_a_newer_version_is_refused(blank_database_url: str) -> None:
    """It is left alone; the error names both schemas and what to do."""
    database = create_database(blank_database_url)
    await upgrade(database)
    await add_rows(database)
    await set_revision(database, "fromthefuture")
    for refused in (ensure_current(database, automatic=True), upgrade(database)):
        with pytest.raises(SchemaTooNew, match=f"fromthefuture.*{HEAD}") as caught:
            await refused
        assert "Upgrade SkillSpace" in caught.value.hint
    assert await count_rows(database) == (1, 1)
    await database.close()


async def test_a_file_with_other_tables_is_refused(tmp_path: Path) -> None:
    """Another program's SQLite file is not filled with our tables."""
    path = tmp_path / "photos.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")
    database = create_database(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnavailable, match=r"photos\.db"):
        await ensure_current(database, automatic=True)
    await database.close()


async def test_an_older_file_is_copied_then_migrated(tmp_path: Path, later: History) -> None:
    """Rows survive a rebuilt table, the copy has the old schema, three copies are kept."""
    path = tmp_path / "space.db"
    database = create_database(f"sqlite:///{path}")
    await upgrade(database)
    await add_rows(database)
    for _ in range(5):
        done = await upgrade(database, later)
        assert (done.before, done.after) == (HEAD, "9999")
        assert done.backup is not None
        with closing(sqlite3.connect(done.backup)) as copy:
            assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
        await set_revision(database, HEAD)
        async with database.write() as connection:
            await connection.execute(sa.text("DROP TABLE planted"))
    assert await count_rows(database) == (1, 1)
    assert len(list(tmp_path.glob("space.db.before-9999-*.bak"))) == 3
    await database.close()


def test_two_upgrades_at_once(blank_database_url: str, later: History) -> None:
    """One process migrates, the other waits and finds nothing left to do."""
    asyncio.run(_prepare(blank_database_url))
    processes = [start(blank_database_url, later) for _ in range(3)]
    outputs = [process.communicate() for process in processes]
    assert [error for _, error in outputs] == [""] * 3
    assert {out.split()[1] for out, _ in outputs} == {"9999"}
    if blank_database_url.startswith("sqlite"):
        assert sum(out.strip().endswith("True") for out, _ in outputs) == 1
    asyncio.run(_expect(blank_database_url, later, "current"))


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_kill_in_the_middle_is_mended_by_the_next_run(
    blank_database_url: str, later: History, place: str
) -> None:
    """kill -9 inside a migration leaves the old schema, and the next run completes it."""
    asyncio.run(_prepare(blank_database_url))
    for _ in range(3):
        process = start(blank_database_url, later, pause=place)
        assert process.stdout is not None
        assert process.stdout.readline() == "paused\n", process.communicate()[1]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        asyncio.run(_expect(blank_database_url, later, "behind"))
    process = start(blank_database_url, later)
    out, error = process.communicate()
    assert error == ""
    assert out.split()[:2] == [HEAD, "9999"]
    asyncio.run(_expect(blank_database_url, later, "current"))


async def _prepare(url: str) -> None:
    database = create_database(url)
    await upgrade(database)
    await add_rows(database)
    await database.close()


async def _expect(url: str, history: History, state: str) -> None:
    database = create_database(url)
    assert (await schema_status(database, history)).state == state
    assert await count_rows(database) == (1, 1)
    await database.close()
