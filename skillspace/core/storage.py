"""What the operating system or SQLite says about a disk, in words that name path and remedy.

Called where files are written and at the edge of the faces. Tells apart read-only, full and
forbidden; never retries, never writes.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Final

from skillspace.core.errors import StorageUnavailable
from skillspace.core.text import t

# Source: sqlite.org/rescode.html.
_SQLITE: Final = {8: errno.EROFS, 10: errno.EIO, 13: errno.ENOSPC, 14: errno.EACCES}
_KNOWN: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR}
)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within this block an operating-system error about a disk becomes StorageUnavailable.

    Args:
        path: What is being written, as people know it.

    Raises:
        StorageUnavailable: The folder is read-only, full or not ours.
    """
    try:
        yield
    except OSError as error:
        known = storage_error(error, path)
        if known is None:
            raise
        raise known from error


def storage_error(
    error: BaseException, path: str | os.PathLike[str] = ""
) -> StorageUnavailable | None:
    """Say what an error means for a disk; None if it does not concern one.

    Args:
        error: Any error; those it was raised from and those SQLAlchemy wraps (`orig`) are
            looked at too.
        path: What was being written, if the caller knows; else what the error names.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        number = _error_number(current)
        if number in _KNOWN:
            # What the caller was writing says more than the temporary file it wrote first.
            name = path or getattr(current, "filename", None) or ""
            return _explain(number, os.fsdecode(name))
        current = getattr(current, "orig", None) or current.__cause__ or current.__context__
    return None


def _error_number(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return None if isinstance(error, ConnectionError) else error.errno
    code = getattr(error, "sqlite_errorcode", None)
    # The low byte is the primary result code; the rest refines it.
    return _SQLITE.get(code & 0xFF) if isinstance(code, int) else None


def _explain(number: int, path: str) -> StorageUnavailable:
    place = path or t("the folder of the database")
    if number == errno.EACCES and _is_on_read_only_disk(path):
        # SQLite says only that it cannot open the file it must write beside the database.
        number = errno.EROFS
    if number in (errno.ENOSPC, errno.EDQUOT):
        message = t("The disk is full: {path} could not be written.", path=place)
        hint = t("Free some space, or move everything with SKILLSPACE_HOME=/another/folder.")
    elif number == errno.EROFS:
        message = t("{path} is read-only.", path=place)
        hint = t("Make it writable, or use another place with SKILLSPACE_HOME=/another/folder.")
    elif number == errno.EIO:
        message = t("The disk reports an error at {path}.", path=place)
        hint = t("Check the disk, then the database: skillspace db check")
    else:
        message = t("{path} cannot be opened or written by this user.", path=place)
        hint = t("Give yourself access, or use SKILLSPACE_HOME=/another/folder.")
    return StorageUnavailable(message, hint=hint, path=path)


def _is_on_read_only_disk(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except (OSError, AttributeError):  # Windows has no such call
        return False
