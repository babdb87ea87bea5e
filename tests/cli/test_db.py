"""`skillspace db` looks after a database in any state."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., Any]


@pytest.fixture
def database_file(home: Path) -> Path:
    """Return the path of the embedded database; not made yet."""
    return home / "data" / "skillspace.db"


def set_revision(path: Path, revision: str) -> None:
    """Write another schema number into a database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()


def test_status_of_nothing_makes_nothing(ask: Ask, home: Path) -> None:
    """Before the first start there is no database, and asking for its state makes none."""
    done = ask("db", "status", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["exists"], found["state"]) == (False, "empty")
    assert not home.exists()


def test_upgrade_then_status_then_check(ask: Ask, database_file: Path) -> None:
    """An upgrade makes the tables; a second one finds nothing to do; all is sound."""
    first = ask("db", "upgrade", "--json")
    assert first.code == 0, first.err
    assert json.loads(first.out)["before"] == ""
    assert database_file.exists()
    second = ask("db", "upgrade")
    assert (second.code, second.out) == (0, "")
    assert "current" in second.err
    assert str(database_file) in ask("db", "status").out
    assert json.loads(ask("db", "check", "--json").out) == {"is_sound": True, "problems": []}


def test_backup_and_restore(ask: Ask, database_file: Path, tmp_path: Path) -> None:
    """A copy can be made, is not replaced by surprise, and can be put back."""
    ask("db", "upgrade")
    copy = tmp_path / "copy.db"
    assert ask("db", "backup", str(copy)).code == 0
    again = ask("db", "backup", str(copy))
    assert again.code == 6
    assert "--force" in again.err
    assert ask("db", "backup", str(copy), "--force").code == 0
    unasked = ask("db", "restore", str(copy))
    assert unasked.code == 2
    assert "--yes" in unasked.err
    done = ask("db", "restore", str(copy), "--yes", "--json")
    assert done.code == 0, done.err
    assert Path(json.loads(done.out)["replaced"]).exists()


def test_a_restore_can_be_declined(ask: Ask, tmp_path: Path) -> None:
    """Without a yes at the terminal nothing happens and the exit code says so."""
    ask("db", "upgrade")
    copy = tmp_path / "copy.db"
    ask("db", "backup", str(copy))
    assert ask("db", "restore", str(copy), stdin="n\n", tty=True).code == 1
    assert ask("db", "restore", str(copy), stdin="y\n", tty=True).code == 0


def test_a_newer_database(ask: Ask, database_file: Path) -> None:
    """Its state is shown; an upgrade is refused as a conflict that names both schemas."""
    ask("db", "upgrade")
    set_revision(database_file, "future")
    assert json.loads(ask("db", "status", "--json").out)["state"] == "ahead"
    for command in ("upgrade", "check"):
        done = ask("db", command)
        assert done.code == 6, command
        assert "future" in done.err
        assert "hint:" in done.err


@pytest.mark.parametrize("command", ["status", "upgrade", "check"])
def test_a_file_that_is_no_database(ask: Ask, database_file: Path, command: str) -> None:
    """It is named and left as it is."""
    database_file.parent.mkdir(parents=True)
    database_file.write_text("Dear diary, " * 1000)
    done = ask("db", command)
    assert done.code == (1 if command == "check" else 3)
    assert "Traceback" not in done.err
    assert database_file.read_text() == "Dear diary, " * 1000


def test_a_restore_of_something_else(ask: Ask, tmp_path: Path) -> None:
    """What is no backup is refused as a wrong input, a missing file as not found."""
    (tmp_path / "cv.pdf").write_bytes(b"%PDF-1.7 " * 500)
    assert ask("db", "restore", str(tmp_path / "cv.pdf"), "--yes").code == 2
    assert ask("db", "restore", str(tmp_path / "absent"), "--yes").code == 5


def test_a_damaged_database(ask: Ask, database_file: Path) -> None:
    """A check tells the damage on stdout and ends with 1."""
    ask("db", "upgrade")
    data = bytearray(database_file.read_bytes())
    data[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
    database_file.write_bytes(data)
    done = ask("db", "check", "--json")
    assert done.code == 1
    assert json.loads(done.out)["problems"]


def test_a_server_that_does_not_answer(ask: Ask) -> None:
    """The address is shown without its password, with code 3."""
    url = "postgresql://me:hidden@127.0.0.1:1/space"
    done = ask("db", "status", SKILLSPACE_DATABASE_URL=url)
    assert done.code == 3
    assert "127.0.0.1" in done.err
    assert "hidden" not in done.err + done.out


def test_a_read_only_folder(ask: Ask, read_only_folder: Path) -> None:
    """A database that cannot be made is told with where and what to do, code 3."""
    url = f"sqlite:///{read_only_folder}/space.db"
    done = ask("db", "upgrade", SKILLSPACE_DATABASE_URL=url)
    assert done.code == 3
    assert str(read_only_folder) in done.err


def test_every_command_on_each_database(ask: Ask, blank_database_url: str) -> None:
    """Status, upgrade and check work on SQLite, PostgreSQL and MariaDB alike."""
    variables = {"SKILLSPACE_DATABASE_URL": blank_database_url}
    assert json.loads(ask("db", "status", "--json", **variables).out)["state"] == "empty"
    if not blank_database_url.startswith("sqlite"):
        done = ask("db", "check", **variables)
        assert (done.code, "db upgrade" in done.out) == (1, True)
    assert ask("db", "upgrade", **variables).code == 0
    assert json.loads(ask("db", "status", "--json", **variables).out)["state"] == "current"
    assert ask("db", "check", **variables).code == 0
