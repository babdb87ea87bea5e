"""Transactions mean the same on SQLite, PostgreSQL and MariaDB."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from skillspace.core.db.engine import Database, create_database
from skillspace.core.db.migrate import ensure_current
from skillspace.core.db.tables import outbox, users
from skillspace.core.errors import (
    DatabaseUnavailable,
    MissingExtra,
    SettingsError,
    SkillSpaceError,
    StorageUnavailable,
)

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


async def add(database: Database, name: str, display: str = "") -> int:
    """Add a user and return the row's id."""
    async with database.write() as connection:
        result = await connection.execute(
            sa.insert(users).values(username=name, display_name=display, created_at=NOW)
        )
        assert result.inserted_primary_key is not None
        return int(result.inserted_primary_key[0])


async def names(database: Database) -> list[str]:
    """Return all user names."""
    async with database.read() as connection:
        return list((await connection.execute(sa.select(users.c.username))).scalars())


async def test_a_write_is_all_or_nothing(database: Database) -> None:
    """What a block wrote stays if it ends well and is gone if it raises."""
    await add(database, "kept")

    async def fail() -> None:
        async with database.write() as connection:
            await connection.execute(sa.insert(users).values(username="lost", created_at=NOW))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await names(database) == ["kept"]


async def test_a_cancelled_write_rolls_back_and_the_next_one_works(database: Database) -> None:
    """Cancelling a block in the middle undoes it and gives its connection back."""
    reached = asyncio.Event()

    async def write() -> None:
        async with database.write() as connection:
            await connection.execute(sa.insert(users).values(username="lost", created_at=NOW))
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write(), name="test write")
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await add(database, "next")
    assert await names(database) == ["next"]


async def test_a_read_cannot_change_anything(database: Database) -> None:
    """A statement that writes is refused inside a read."""
    with pytest.raises((DBAPIError, SkillSpaceError)):
        async with database.read() as connection:
            await connection.execute(sa.insert(users).values(username="no", created_at=NOW))
    assert await names(database) == []


async def test_a_read_sees_one_moment(database: Database) -> None:
    """Two queries of one read agree, whatever is committed between them."""
    query = sa.select(sa.func.count()).select_from(users)
    async with database.read() as connection:
        before = await connection.scalar(query)
        await add(database, "meanwhile")
        assert await connection.scalar(query) == before == 0
    assert await names(database) == ["meanwhile"]


async def test_reads_go_on_while_a_write_is_open(database: Database) -> None:
    """Readers neither wait for a writer nor see what it has not committed."""
    async with database.write() as connection:
        await connection.execute(sa.insert(users).values(username="new", created_at=NOW))
        assert await asyncio.gather(*(names(database) for _ in range(6))) == [[]] * 6


async def test_moments_and_text_come_back_as_they_were(database: Database) -> None:
    """Times keep zone and microseconds, text keeps every script, whatever the server's default."""
    moment = NOW.astimezone(timezone(timedelta(hours=8)))
    text = "naïve 数据库 🚀 \u0000".replace("\u0000", "")
    async with database.write() as connection:
        await connection.execute(
            sa.insert(users).values(username="u", display_name=text, created_at=moment)
        )
    async with database.read() as connection:
        row = (await connection.execute(sa.select(users))).one()
    assert (row.created_at, row.created_at.tzinfo) == (NOW, UTC)
    assert row.display_name == text


async def test_names_differ_by_case_everywhere(database: Database) -> None:
    """Two names that differ only in case or accent are two names."""
    for name in ("ada", "Ada", "àda"):
        await add(database, name)
    with pytest.raises(IntegrityError):
        await add(database, "Ada")


async def test_a_value_that_does_not_fit_is_refused(database: Database) -> None:
    """No server shortens a text or accepts a wrong value in silence."""
    if database.dialect == "sqlite":
        async with database.read() as connection:
            assert await connection.scalar(sa.text("PRAGMA foreign_keys")) == 1
        return
    with pytest.raises(DBAPIError):
        await add(database, "x" * 200)


async def test_results_tell_rows_and_counts(database: Database) -> None:
    """Row counts of changes, new ids and many parameter sets work alike."""
    first = await add(database, "a")
    assert await add(database, "b") > first
    async with database.write() as connection:
        rows = [{"task_id": f"t{i}", "queue": "q", "created_at": NOW} for i in range(5)]
        await connection.execute(sa.insert(outbox), rows)
        changed = await connection.execute(
            sa.update(outbox).where(outbox.c.task_id > "t2").values(queue="z")
        )
        assert changed.rowcount == 2
        count = await connection.run_sync(
            lambda sync: sync.scalar(sa.select(sa.func.count()).select_from(outbox))
        )
        assert count == 5


async def test_many_writers_in_one_process(database: Database) -> None:
    """Fifty tasks may write at once; each commit is there afterwards."""
    await asyncio.gather(*(add(database, f"user{i}") for i in range(50)))
    assert len(await names(database)) == 50


async def test_a_write_inside_a_write_is_a_mistake_not_a_hang(tmp_path: Path) -> None:
    """On SQLite the inner one would wait for the outer one: it is refused at once."""
    database = create_database(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(RuntimeError):
        async with database.write(), database.write():
            pass
    await database.close()


async def test_ping_answers(database: Database) -> None:
    """A ping returns a time in milliseconds."""
    assert await database.ping() > 0


async def test_durable_commits_flush_and_others_need_not(tmp_path: Path) -> None:
    """SQLite flushes at each durable commit (FULL) and not at the others (NORMAL)."""
    database = create_database(f"sqlite:///{tmp_path}/a.db")
    for durable, level in ((True, 2), (False, 1), (True, 2)):
        async with database.write(durable=durable) as connection:
            assert await connection.scalar(sa.text("PRAGMA synchronous")) == level
    async with database.read() as connection:
        assert await connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
    await database.close()


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Nobody else may read the file, its log or the folder made for it."""
    path = tmp_path / "deep" / "space.db"
    database = create_database(f"sqlite:///{path}")
    await database.ping()
    modes = {item.name: item.stat().st_mode & 0o777 for item in path.parent.iterdir()}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}, modes
    await database.close()


WRITER = """
import asyncio, sys
import sqlalchemy as sa
from skillspace.core.db.engine import create_database
from skillspace.core.db.migrate import ensure_current
from skillspace.core.db.tables import outbox
from datetime import datetime, UTC

async def main(url, count):
    database = create_database(url)
    for i in range(count):
        async with database.read() as connection:
            await connection.scalar(sa.select(sa.func.count()).select_from(outbox))
        async with database.write(durable=i % 50 == 0) as connection:
            found = await connection.scalar(sa.select(sa.func.max(outbox.c.id)))
            await connection.execute(sa.insert(outbox).values(
                id=(found or 0) + 1, task_id="t", queue="q", created_at=datetime.now(UTC)))
    await database.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def test_four_processes_write_one_file(sqlite_template: Path, tmp_path: Path) -> None:
    """Processes that read and write one file at once never see it locked and lose nothing."""
    path = tmp_path / "shared.db"
    path.write_bytes(sqlite_template.read_bytes())
    command = [sys.executable, "-c", WRITER, f"sqlite:///{path}", "150"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert errors == [""] * 4
    with closing(sqlite3.connect(path)) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM outbox ORDER BY id")]
    assert ids == list(range(1, 601))


def test_two_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Switching a new file to its write-ahead log fails for none of those who come at once."""
    program = (
        "import asyncio, sys\n"
        "from skillspace.core.db.engine import create_database\n"
        "from skillspace.core.db.migrate import ensure_current\n"
        "async def main(url):\n"
        "    database = create_database(url)\n"
        "    await ensure_current(database, automatic=True)\n"
        "    await database.close()\n"
        "asyncio.run(main(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{tmp_path}/new.db"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [process.communicate()[1] for process in processes] == [""] * 4


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("nonsense", SettingsError),
        ("oracle://host/name", SettingsError),
        ("sqlite://", SettingsError),
        ("sqlite:///:memory:", SettingsError),
        ("postgresql://me:secret@127.0.0.1:1/name", DatabaseUnavailable),
        ("mysql://me:secret@127.0.0.1:1/name", DatabaseUnavailable),
        ("postgresql://me@127.0.0.1:1/name?password=secret", DatabaseUnavailable),
    ],
)
async def test_a_bad_url_is_told_without_its_password(
    url: str, error: type[SkillSpaceError]
) -> None:
    """What cannot be used or reached is named, with a remedy and never with a password."""
    with pytest.raises(error) as caught:
        await create_database(url).ping()
    assert caught.value.hint
    assert "secret" not in f"{caught.value} {caught.value.evidence}"


async def test_a_database_that_is_not_there(blank_database_url: str) -> None:
    """A server without the database says how to go on; SQLite makes the file."""
    database = create_database(blank_database_url + "_missing")
    if database.dialect == "sqlite":
        assert await database.ping() > 0
    else:
        with pytest.raises(DatabaseUnavailable) as caught:
            await database.ping()
        assert "db upgrade" in caught.value.hint
    await database.close()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Some other file is named as what it is not, and left as it is."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"Dear diary, " * 1000)
    database = create_database(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnavailable, match=r"notes\.txt"):
        await database.ping()
    await database.close()
    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_a_read_only_folder(read_only_folder: Path) -> None:
    """A folder that cannot be written is named, with the way out."""
    database = create_database(f"sqlite:///{read_only_folder}/space.db")
    with pytest.raises(StorageUnavailable, match=str(read_only_folder)) as caught:
        await database.ping()
    assert "SKILLSPACE_HOME" in caught.value.hint
    await database.close()


def test_a_missing_driver_is_told_with_its_install_command(tmp_path: Path) -> None:
    """Without the driver the error names the extra to install."""
    program = (
        "import sys\n"
        "sys.modules['asyncpg'] = sys.modules['aiomysql'] = None\n"
        "from skillspace.core.db.engine import create_database\n"
        "from skillspace.core.errors import MissingExtra\n"
        "for url in ('postgresql://h/n', 'mysql://h/n'):\n"
        "    try: create_database(url)\n"
        "    except MissingExtra as error: print(error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == [
        "pip install 'skillspace[postgres]'",
        "pip install 'skillspace[mysql]'",
    ]
    assert MissingExtra.code == "missing_extra"


def test_opening_a_file_loads_little(tmp_path: Path) -> None:
    """A query on SQLite needs neither the ORM nor Alembic nor a server's driver."""
    program = (
        "import asyncio, sys\n"
        "from skillspace.core.db.engine import create_database\n"
        "from skillspace.core.db.migrate import ensure_current\n"
        "async def main():\n"
        f"    database = create_database('sqlite:///{tmp_path}/a.db')\n"
        "    await ensure_current(database, automatic=True)\n"
        "    await database.close()\n"
        "asyncio.run(main())\n"
        "print([name for name in ('sqlalchemy.orm', 'alembic', 'asyncpg', 'aiomysql',\n"
        "    'sqlalchemy.dialects.mysql', 'sqlalchemy.dialects.postgresql')"
        " if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


async def test_a_full_disk(small_disk: Path) -> None:
    """A write that finds the disk full says so; what was committed before stays readable."""
    database = create_database(f"sqlite:///{small_disk}/space.db")
    await ensure_current(database, automatic=True)
    await add(database, "before")

    async def fill() -> None:
        for i in range(400):
            await add(database, f"user{i}", "x" * 100_000)

    with pytest.raises(StorageUnavailable) as caught:
        await fill()
    assert "space.db" in caught.value.message
    assert caught.value.hint
    assert "before" in await names(database)
    await database.close()


async def test_a_commit_that_fails_lets_go_of_the_file(tmp_path: Path) -> None:
    """The transaction is undone, this process can write again, and so can every other."""
    database = create_database(f"sqlite:///{tmp_path}/space.db")
    try:
        async with database.write() as connection:
            await connection.execute(sa.text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
            await connection.execute(
                sa.text(
                    "CREATE TABLE child (id INTEGER REFERENCES parent (id) "
                    "DEFERRABLE INITIALLY DEFERRED)"
                )
            )
        with pytest.raises(IntegrityError):
            # Refused by the commit, as a disk without room refuses one.
            async with database.write() as connection:
                await connection.execute(sa.text("INSERT INTO child VALUES (1)"))
        async with database.write() as connection:
            assert await connection.scalar(sa.text("SELECT count(*) FROM child")) == 0
        with closing(sqlite3.connect(tmp_path / "space.db", timeout=0)) as other:
            other.execute("INSERT INTO parent VALUES (1)")
            other.commit()
    finally:
        await database.close()
