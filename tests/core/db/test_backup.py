"""Copies of a SQLite database: whole, checked, and never in the way of those who use it."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from skillspace.core.db.administration import (
    backup_database,
    check_database,
    database_status,
    restore_database,
    upgrade_database,
)
from skillspace.core.db.engine import Database, create_database
from skillspace.core.db.tables import outbox
from skillspace.core.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidInput,
    NotFound,
    SchemaTooNew,
    SkillSpaceError,
    StorageUnavailable,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def space(sqlite_template: Path, tmp_path: Path) -> Path:
    """Return a database with the schema."""
    path = tmp_path / "space.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


def url_of(path: Path) -> str:
    """Return the URL of a file."""
    return f"sqlite:///{path}"


async def add(database: Database, number: int) -> None:
    """Commit one numbered row."""
    async with database.write(durable=False) as connection:
        await connection.execute(
            sa.insert(outbox).values(id=number, task_id="t", queue="x" * 60, created_at=NOW)
        )


def ids(path: Path) -> list[int]:
    """Return the numbers of all rows."""
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM outbox ORDER BY id")]


async def test_a_copy_under_writes_has_every_earlier_commit(space: Path, tmp_path: Path) -> None:
    """While rows are added, a copy is sound and holds all that was committed before it began."""
    database = create_database(url_of(space))
    for number in range(1, 501):
        await add(database, number)
    written = 500
    is_done = asyncio.Event()

    async def keep_writing() -> None:
        nonlocal written
        while not is_done.is_set():
            await add(database, written + 1)
            written += 1

    writer = asyncio.create_task(keep_writing(), name="test writer")
    for turn in range(5):
        before = written
        copy = tmp_path / f"copy{turn}.db"
        done = await backup_database(url_of(space), copy, progress=lambda done, total: None)
        found = ids(copy)
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= before
        assert done.size_bytes == copy.stat().st_size
        assert await check_database(url_of(copy)) == []
    is_done.set()
    await writer
    await database.close()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


async def test_a_file_is_not_replaced_by_surprise(space: Path, tmp_path: Path) -> None:
    """An existing file is kept unless it is forced, and the database itself always."""
    target = tmp_path / "notes.txt"
    target.write_text("mine")
    with pytest.raises(Conflict, match=r"notes\.txt"):
        await backup_database(url_of(space), target)
    assert target.read_text() == "mine"
    await backup_database(url_of(space), target, force=True)
    assert ids(target) == []
    with pytest.raises(Conflict):
        await backup_database(url_of(space), space, force=True)


async def test_restore_puts_the_copy_in_place_and_keeps_the_other(
    space: Path, tmp_path: Path
) -> None:
    """After a restore the database is the copy, and the replaced one lies beside it."""
    database = create_database(url_of(space))
    await add(database, 1)
    await backup_database(url_of(space), tmp_path / "copy.db")
    await add(database, 2)
    await database.close()
    done = await restore_database(url_of(space), tmp_path / "copy.db")
    assert ids(space) == [1]
    assert done.replaced is not None
    assert ids(Path(done.replaced)) == [1, 2]
    assert await check_database(url_of(space)) == []
    assert (await database_status(url_of(space))).state == "current"


async def test_restore_into_nothing_and_over_a_ruin(space: Path, tmp_path: Path) -> None:
    """A missing database is made; a broken one is set aside as it is."""
    await backup_database(url_of(space), tmp_path / "copy.db")
    fresh = tmp_path / "new folder" / "space.db"
    done = await restore_database(url_of(fresh), tmp_path / "copy.db")
    assert (done.replaced, ids(fresh)) == (None, [])
    fresh.write_bytes(b"ruin" * 4096)
    done = await restore_database(url_of(fresh), tmp_path / "copy.db")
    assert done.replaced is not None
    assert Path(done.replaced).read_bytes() == b"ruin" * 4096
    assert ids(fresh) == []


async def test_restore_is_refused_while_somebody_uses_the_database(
    space: Path, tmp_path: Path
) -> None:
    """A process that merely has it open is enough; nothing changes."""
    await backup_database(url_of(space), tmp_path / "copy.db")
    database = create_database(url_of(space))
    await add(database, 1)
    with pytest.raises(Conflict, match="uses the database"):
        await restore_database(url_of(space), tmp_path / "copy.db")
    await add(database, 2)
    await database.close()
    assert ids(space) == [1, 2]
    assert list(tmp_path.glob("*.bak")) == []


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("absent", NotFound),
        ("text", InvalidInput),
        ("foreign", InvalidInput),
        ("newer", SchemaTooNew),
        ("damaged", InvalidInput),
    ],
)
async def test_a_bad_copy_is_refused_before_anything_is_touched(
    space: Path, tmp_path: Path, content: str, error: type[SkillSpaceError]
) -> None:
    """What cannot be restored is told, and the database stays as it is."""
    bad = tmp_path / "bad.db"
    make_bad(bad, content, space)
    before = space.read_bytes()
    with pytest.raises(error, match=r"bad\.db"):
        await restore_database(url_of(space), bad)
    assert space.read_bytes() == before
    assert list(tmp_path.glob("*.bak")) == []


def make_bad(bad: Path, content: str, good: Path) -> None:
    """Write a file that cannot be restored."""
    if content == "text":
        bad.write_text("just some text " * 500)
    elif content == "foreign":
        with closing(sqlite3.connect(bad)) as connection:
            connection.execute("CREATE TABLE photos (id INTEGER)")
    elif content == "newer":
        bad.write_bytes(good.read_bytes())
        with closing(sqlite3.connect(bad)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'future'")
            connection.commit()
            connection.execute("PRAGMA journal_mode=DELETE")
    elif content == "damaged":
        data = bytearray(good.read_bytes())
        data[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
        bad.write_bytes(data)


async def test_check_finds_damage_and_dangling_rows(space: Path) -> None:
    """A row that refers to nothing, a missing index and a broken page are each told."""
    with closing(sqlite3.connect(space)) as connection:
        connection.execute(
            "INSERT INTO resumes (owner_id, title, language, document, created_at, updated_at) "
            "VALUES (99, '', 'en', '{}', '2026-01-01', '2026-01-01')"
        )
        connection.commit()
    assert "resumes" in str(await check_database(url_of(space)))
    with closing(sqlite3.connect(space)) as connection:
        connection.execute("DELETE FROM resumes")
        connection.execute("DROP INDEX ix_messages_task_id")
        connection.commit()
    assert "ix_messages_task_id" in str(await check_database(url_of(space)))
    data = bytearray(space.read_bytes())
    data[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
    space.write_bytes(data)
    assert await check_database(url_of(space)) != []


async def test_a_full_disk_leaves_no_half_copy(space: Path, small_disk: Path) -> None:
    """A copy that does not fit is told and leaves nothing behind."""
    database = create_database(url_of(space))
    for number in range(1, 30):
        async with database.write() as connection:
            await connection.execute(
                sa.text("INSERT INTO message_search (rowid, words) VALUES (:key, :words)"),
                {"key": number, "words": f"q0{number} " * 40_000},
            )
    await database.close()
    with pytest.raises(StorageUnavailable, match=r"copy\.db"):
        await backup_database(url_of(space), small_disk / "copy.db")
    assert list(small_disk.iterdir()) == []


async def test_status_check_and_upgrade_everywhere(database_url: str) -> None:
    """Status, check and upgrade work on each kind of database."""
    status = await database_status(database_url)
    assert (status.state, status.revision) == ("current", status.head)
    assert status.latency_ms is not None
    assert await check_database(database_url) == []
    done = await upgrade_database(database_url)
    assert done.before == done.after


async def test_a_servers_database_is_left_to_its_own_tools(
    database_url: str, tmp_path: Path
) -> None:
    """On a server, backup and restore name the program that does it."""
    if database_url.startswith("sqlite"):
        assert (await backup_database(database_url, tmp_path / "c.db")).size_bytes > 0
        return
    with pytest.raises(InvalidInput) as caught:
        await backup_database(database_url, tmp_path / "c.db")
    assert "dump" in caught.value.hint


async def test_looking_makes_no_file(tmp_path: Path) -> None:
    """Status and check of a database that is not there leave no trace."""
    path = tmp_path / "none" / "space.db"
    assert not (await database_status(url_of(path))).exists
    with pytest.raises(NotFound):
        await check_database(url_of(path))
    assert not path.parent.exists()
    other = tmp_path / "text.db"
    other.write_text("not a database at all " * 100)
    with pytest.raises(DatabaseUnavailable):
        await database_status(url_of(other))
