"""Tells at once, on one host, whether the process that holds a task is still alive.

A process holds an operating-system lock on a file of its own for as long as it lives; the
kernel lets go of it however the process dies. Whoever can take the lock knows. Across hosts,
and where there are no such locks, the answer is "cannot tell" and the task's lease decides.

The runner names itself with `owner`; recovery asks `is_dead`. Nothing here reads the database.
"""

import os
import socket
import sys
import uuid
from pathlib import Path
from typing import Final

from skillspace.core.storage import writing

if sys.platform != "win32":
    import fcntl

_HAS_LOCKS: Final[bool] = sys.platform != "win32"
"""Without them the lease alone decides."""
_FOLDER_ID: Final = "folder-id"


class ProcessLock:
    """A lock on a file that lasts as long as this process.

    Args:
        folder: Shared by all processes on one database and one host; made when missing.

    Raises:
        StorageUnavailable: The folder cannot be written.

    Why a folder id is part of the owner's name: only processes that see the same folder may
    judge each other by its locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = uuid.uuid4().hex
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder_id = _read_folder_id(folder)
            self._descriptor = self._hold()
        self.owner = f"{self._folder_id}/{self._name}/{socket.gethostname()[:80]}:{os.getpid()}"

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    def _hold(self) -> int | None:
        if not _HAS_LOCKS:
            return None
        while True:
            descriptor = os.open(self._path(self._name), os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                if os.fstat(descriptor).st_ino == os.stat(self._path(self._name)).st_ino:
                    return descriptor
            except FileNotFoundError:
                pass
            # A cleaner took the file away between the two calls.
            os.close(descriptor)

    def is_dead(self, owner: str) -> bool | None:
        """Say whether the process with this owner name has died.

        Returns:
            True or False when the lock tells, None when it cannot (another host or folder).
        """
        parts = owner.split("/")
        if not _HAS_LOCKS or len(parts) != 3 or parts[0] != self._folder_id:
            return None
        return parts[1] != self._name and _is_free(self._path(parts[1]))

    def remove_dead(self) -> int:
        """Remove the lock files of processes that have died and return how many there were."""
        if not _HAS_LOCKS:
            return 0
        removed = 0
        for path in self._folder.glob("*.lock"):
            if path.stem != self._name and _is_free(path, remove=True):
                removed += 1
        return removed

    def close(self) -> None:
        """Let go of the lock; from now on this process counts as dead."""
        if self._descriptor is not None:
            self._path(self._name).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def _is_free(path: Path, remove: bool = False) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        # Another cleaner may have been faster, and a new process may have made the file again.
        if remove and _is_still(path, descriptor):
            path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the path names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _read_folder_id(folder: Path) -> str:
    path = folder / _FOLDER_ID
    draft = folder / f"{_FOLDER_ID}.{uuid.uuid4().hex}"
    if not path.exists():
        draft.write_text(uuid.uuid4().hex, encoding="ascii")
        try:
            # A link, unlike a rename, never replaces what another process wrote first.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text(encoding="ascii").strip()
