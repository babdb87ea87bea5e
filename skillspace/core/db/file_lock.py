"""A lock between processes, on a file. Used where only one process may work on a database file.

The kernel lets go of it however a process dies. Where there are no such locks (Windows, some
network disks) nobody waits: what is guarded must then be safe by itself.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from skillspace.core.storage import writing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # absent module

_LOOK_AGAIN_S: Final = 0.02


@asynccontextmanager
async def file_lock(path: Path) -> AsyncIterator[None]:
    """Hold the lock for the block, waiting for whoever holds it.

    Args:
        path: The lock's file; made when missing and never removed, because removing it
            would let two processes hold two files of one name.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while not _take(descriptor):  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(_LOOK_AGAIN_S)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    if fcntl is None:
        return True  # type: ignore[unreachable]  # reached on Windows
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # The file system knows no locks.
        return True
    return True
