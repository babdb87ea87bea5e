"""Writes what a person asked to have as a file: whole or not at all, and over nothing.

Called by commands with `-o FILE` and by `/save`. Never decides a name.
"""

import os
import tempfile
from pathlib import Path

from skillspace.core.errors import Conflict, NotFound
from skillspace.core.storage import writing
from skillspace.core.text import t


def write_file(path: Path, text: str, *, replace: bool, hint: str) -> None:
    """Write a text file in one step.

    Args:
        path: Where; its folder must exist.
        text: Written as UTF-8.
        replace: Whether a file that is already there may go.
        hint: Remedy when there is one and it may not.

    Raises:
        NotFound: Its folder does not exist.
        Conflict: There is a file, and it may not be replaced.
        StorageUnavailable: The folder is read-only, full or not ours.
    """
    if path.is_dir() or (path.exists() and not replace):
        raise Conflict(t("{path} is already there.", path=path), hint=hint, path=str(path))
    if not path.parent.is_dir():
        raise NotFound(t("There is no folder {path}.", path=path.parent), path=str(path.parent))
    with writing(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, _mode_of_new_files())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _mode_of_new_files() -> int:
    # The only way to read the mask is to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
