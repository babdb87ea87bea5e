"""Copies of a SQLite database, made and put back while it is in use or not.

Called by `administration` and by `migrate`; everything here blocks. A copy is whole or is not
there: it is written under another name, checked, flushed and then renamed.
"""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from skillspace.core.db.schema import HEAD, REVISIONS
from skillspace.core.errors import Conflict, InvalidInput, NotFound, SchemaTooNew
from skillspace.core.storage import writing
from skillspace.core.text import t
from skillspace.core.values import Value

Progress = Callable[[int, int], None]
"""Called with pages done and pages in all."""

_COPIES_KEPT: Final = 3
_PAGES_AT_ONCE: Final = 4096
_DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


class Copied(Value, frozen=True, kw_only=True):
    """A copy of a database.

    Args:
        path: Where it is.
        size_bytes: How long it is.
        revision: The schema it has.
    """

    path: str
    size_bytes: int
    revision: str


class Restored(Value, frozen=True, kw_only=True):
    """What a restore did.

    Args:
        path: The database.
        revision: The schema it has now; older than this version's until it is upgraded.
        replaced: Copy of what was there before; None if there was nothing.
    """

    path: str
    revision: str
    replaced: str | None


def copy_file(source: Path, target: Path, force: bool, progress: Progress | None = None) -> Copied:
    """Copy a database that may be written meanwhile; every commit before the start is in it.

    Args:
        source: The database.
        target: The copy; its folder must exist.
        force: Whether to replace a file that is there.
        progress: Told now and then.

    Raises:
        NotFound: There is no database.
        Conflict: There is a file already.
        StorageUnavailable: The copy cannot be written.
    """
    target = target.absolute()
    if not source.is_file():
        raise NotFound(t("There is no database at {path}.", path=source), path=source)
    if target.exists() and (not force or target.samefile(source)):
        raise Conflict(
            t("{path} is there already.", path=target),
            hint=t("Choose another name, or replace it with --force."),
            path=target,
        )
    with _draft_of(target) as draft:
        with _opened(source) as original, _opened(draft) as copy:
            # A write-ahead log beside the copy would be two files to carry.
            _transfer(original, copy, progress)
            copy.execute("PRAGMA journal_mode=DELETE")
        revision = inspect_file(draft)
    return Copied(path=str(target), size_bytes=target.stat().st_size, revision=revision)


def inspect_file(path: Path) -> str:
    """Make sure that a file is a sound database of ours and return the schema it has.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It is no SQLite database, not ours, or damaged.
        SchemaTooNew: It was written by a newer version.
    """
    if not path.is_file():
        raise NotFound(t("There is no file {path}.", path=path), path=path)
    try:
        with _opened(path, immutable=True) as connection:
            problems = integrity_problems(connection)
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise InvalidInput(
            t("{path} is not a SkillSpace database.", path=path), path=path, reason=str(error)
        ) from error
    if problems:
        raise InvalidInput(
            t("{path} is damaged: {problem}.", path=path, problem=problems[0]), path=path
        )
    revision = str(found[0]) if found else ""
    if revision not in REVISIONS:
        raise SchemaTooNew(
            t(
                "{path} was written by a newer SkillSpace (schema {revision}; this version "
                "knows up to {head}).",
                path=path,
                revision=revision,
                head=HEAD,
            ),
            hint=t("Upgrade SkillSpace first."),
            path=path,
            revision=revision,
        )
    return revision


def restore_file(source: Path, target: Path, progress: Progress | None = None) -> Restored:
    """Put a copy in the place of a database, keeping what was there.

    The pages are written into the file in one transaction of SQLite's own: a process killed
    meanwhile has changed nothing, and one that opens the file meanwhile waits.

    Args:
        source: A copy; checked before anything is touched.
        target: The database; made if there is none.
        progress: Told now and then.

    Raises:
        InvalidInput, NotFound, SchemaTooNew: The copy cannot be used.
        Conflict: Another process uses the database.
        StorageUnavailable: Nothing can be written there.
    """
    revision = inspect_file(source)
    if target.exists() and target.samefile(source):
        raise Conflict(t("{path} is the database itself.", path=source), path=source)
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = target.with_name(f"{target.name}.replaced-{_stamp()}.bak")
    is_new = not target.exists() or not target.stat().st_size
    _make_private(target)
    with _opened(source, immutable=True) as original:
        try:
            _replace(original, target, None if is_new else kept, progress)
        except sqlite3.DatabaseError as error:
            if _code(error) not in _DAMAGED:
                raise
            # Nobody can be using it, and there is nothing to copy page by page.
            _move(target, kept)
            _make_private(target)
            _replace(original, target, None, progress)
    return Restored(path=str(target), revision=revision, replaced=None if is_new else str(kept))


def copy_before_migration(path: Path, head: str) -> Path:
    """Copy a database beside itself before it is migrated, and keep the newest such copies.

    Args:
        path: The database.
        head: The schema it will have afterwards; part of the copy's name.
    """
    copy = path.with_name(f"{path.name}.before-{head}-{_stamp()}.bak")
    copy_file(path, copy, force=False)
    older = sorted(path.parent.glob(f"{path.name}.before-*.bak"), key=_age)
    for old in older[:-_COPIES_KEPT]:
        old.unlink(missing_ok=True)
    return copy


def integrity_problems(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite finds wrong: damaged pages, rows that refer to nothing."""
    rows = connection.execute("PRAGMA integrity_check(20)").fetchall()
    found = [str(row[0]) for row in rows if row[0] != "ok"]
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        found.append(
            t(
                "row {row} of {table} refers to nothing in {parent}",
                row=rowid,
                table=table,
                parent=parent,
            )
        )
    return found


def check_file(path: Path) -> list[str]:
    """Return what is wrong with a database file.

    Raises:
        NotFound: There is none.
    """
    if not path.is_file():
        raise NotFound(t("There is no database at {path}.", path=path), path=path)
    try:
        with _opened(path) as connection:
            return integrity_problems(connection)
    except sqlite3.DatabaseError as error:
        if _code(error) in _DAMAGED:
            return [str(error)]
        raise


def _replace(
    original: sqlite3.Connection, target: Path, kept: Path | None, progress: Progress | None
) -> None:
    """Write a database over another one, alone in it from the first look to the last page."""
    with _opened(target, timeout_s=0.2) as database:
        try:
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            # SQLite leaves the write-ahead log only when nobody else has the file open.
            database.execute("PRAGMA journal_mode=DELETE")
            database.execute("PRAGMA synchronous=FULL")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            raise Conflict(
                t("Another process uses the database {path}.", path=target),
                hint=t("Stop every SkillSpace first, then try again."),
                path=target,
            ) from error
        if kept is not None:
            with _draft_of(kept) as draft, _opened(draft) as copy:
                _transfer(database, copy, None)
        _transfer(original, database, progress)


def _move(path: Path, kept: Path) -> None:
    with writing(path):
        for ending in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{path}{ending}", f"{kept}{ending}")


def _code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _transfer(
    source: sqlite3.Connection, target: sqlite3.Connection, progress: Progress | None
) -> None:
    def told(status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    # A snapshot held from the first page to the last: what others commit meanwhile would make
    # the copy start again, for ever on a busy database.
    source.execute("BEGIN")
    try:
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(target, pages=_PAGES_AT_ONCE, progress=told, sleep=0.0)
    finally:
        source.execute("ROLLBACK")


@contextlib.contextmanager
def _opened(
    path: Path, immutable: bool = False, timeout_s: float = 10.0
) -> Iterator[sqlite3.Connection]:
    """Open a file.

    Args:
        immutable: Leave nothing beside the file; it must not be in use.
    """
    address = path.absolute().as_uri() + ("?immutable=1" if immutable else "?mode=rw")
    connection = sqlite3.connect(address, uri=True, timeout=timeout_s, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def _draft_of(target: Path) -> Iterator[Path]:
    """Yield an empty private file that becomes the target at the end, or is removed."""
    with writing(target):
        number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(number)
    draft = Path(name)
    try:
        yield draft
        with writing(target):
            _flush(draft)
            os.replace(draft, target)
            _flush(target.parent)
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            Path(f"{draft}{ending}").unlink(missing_ok=True)


def _make_private(path: Path) -> None:
    with contextlib.suppress(FileExistsError), writing(path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")


def _age(path: Path) -> float:
    return path.stat().st_mtime
