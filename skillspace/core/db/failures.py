"""What database drivers say, in words that name the place and the remedy.

Called by `engine` for every error that leaves a transaction, and by `administration`. Knows
each driver's codes; leaves alone what only the caller can explain, such as a broken constraint.
"""

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from skillspace.core.errors import (
    DatabaseUnavailable,
    SkillSpaceError,
    StorageUnavailable,
    Temporary,
)
from skillspace.core.storage import storage_error
from skillspace.core.text import t

# Source: postgresql.org/docs/15/errcodes-appendix.html; MariaDB error code reference.
_PASSWORD: Final = frozenset({"28P01", "28000", 1044, 1045, 1698})
_NO_DATABASE: Final = frozenset({"3D000", 1049})
_CROWDED: Final = frozenset({"53300", 1040, 1203})
_FULL: Final = frozenset({"53100", 1021, 1114})
_READ_ONLY: Final = frozenset({"25006", 1290, 1792, 1836})
_OVERTAKEN: Final = frozenset({"40001", "40P01", 1020, 1205, 1213})
_GONE: Final = frozenset({2002, 2003, 2005, 2006, 2013, 2014, 2055, "57P01", "57P02", "57P03"})


class explained:
    """Turns what a driver says within the block into an error of ours.

    Args:
        address: The file's path or the URL without password.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            known = failure(error, self._address)
            if known is not None:
                raise known from error


def failure(error: Exception, address: str) -> SkillSpaceError | None:
    """Say what an error of a driver means; None if it is not about the database as such.

    Args:
        error: What left the transaction.
        address: The file's path or the URL without password.
    """
    if isinstance(error, SkillSpaceError | IntegrityError):
        return None
    if isinstance(error, PoolTimeout):
        return _crowded(address)
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        return _sqlite_failure(original, address)
    if isinstance(error, DBAPIError):
        return _server_failure(_code(original), address, error)
    if _is_of_driver(error) or (isinstance(error, OSError) and "://" in address):
        return _server_failure(_code(error), address, error) or _unreachable(address, error)
    return None


def _sqlite_failure(error: sqlite3.Error, path: str) -> SkillSpaceError | None:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        if code == sqlite3.SQLITE_NOTADB:
            message = t("{path} is not a SkillSpace database.", path=path)
        else:
            message = t("The database {path} is damaged.", path=path)
        return DatabaseUnavailable(
            message, hint=t("Restore a backup: skillspace db restore FILE"), path=path
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseUnavailable(
            t("Another process has kept the database {path} locked for too long.", path=path),
            hint=t("Wait until it is done, or stop it, and try again."),
            path=path,
        )
    return storage_error(error, path)


def _server_failure(
    code: str | int | None, address: str, error: Exception
) -> SkillSpaceError | None:
    if code in _PASSWORD:
        return DatabaseUnavailable(
            t("The database server refused the user or password of {address}.", address=address),
            hint=t("Check database_url: skillspace config get database_url"),
            address=address,
        )
    if code in _NO_DATABASE:
        return DatabaseUnavailable(
            t("There is no database {address}.", address=address),
            hint=t("Create it on the server, then: skillspace db upgrade"),
            address=address,
        )
    if code in _CROWDED:
        return _crowded(address)
    if code in _FULL:
        return StorageUnavailable(
            t("The disk of the database {address} is full.", address=address),
            hint=t("Free some space on the server."),
            address=address,
        )
    if code in _READ_ONLY:
        return StorageUnavailable(
            t("The database {address} takes no changes: it is read-only.", address=address),
            hint=t("Let database_url name the server that takes writes."),
            address=address,
        )
    if code in _OVERTAKEN:
        return Temporary(t("Another transaction got in the way; try again."), delay_s=0.1)
    is_cut = isinstance(error, DBAPIError) and error.connection_invalidated
    if code in _GONE or is_cut or isinstance(_root(error), OSError):
        return _unreachable(address, error)
    return None


def _crowded(address: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        t("The database {address} has no connection to spare.", address=address),
        hint=t("Try again, or raise its limit of connections."),
        address=address,
    )


def _unreachable(address: str, error: Exception) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        t("The database {address} cannot be reached.", address=address),
        hint=t("Check that the server runs and that database_url is right."),
        address=address,
        reason=str(_root(error)),
    )


def _is_of_driver(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in ("asyncpg", "aiomysql", "pymysql")


def _code(error: BaseException | None) -> str | int | None:
    """Return SQLSTATE (PostgreSQL) or error number (MariaDB), wherever the driver keeps it."""
    while error is not None:
        if error.args and isinstance(error.args[0], int) and not isinstance(error, OSError):
            return error.args[0]
        state = getattr(error, "sqlstate", None)
        if isinstance(state, str):
            return state
        error = error.__cause__ or error.__context__
    return None


def _root(error: BaseException) -> BaseException:
    """Return what an error was first raised from."""
    while (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return error
