"""The log: what a process notes for those who run it, one line per event, on stderr.

Called by the faces once (`start_log`) and by everything else through `get_log`. A line never
holds a secret, and never a character that would begin another line or steer a terminal. It is
no place for what a person must read: that goes through `t` to the face.
"""

import logging
from typing import Any, Final, TextIO

from skillspace.core.errors import SkillSpaceError
from skillspace.core.settings import star_passwords

NAME: Final = "skillspace"


def get_log(name: str) -> logging.Logger:
    """Return the log of one part.

    Args:
        name: Of the part, such as `tasks`; shown in each line.
    """
    return logging.getLogger(f"{NAME}.{name}")


def start_log(level: str, stream: TextIO) -> logging.Handler:
    """Write lines of this level and above to a stream, from now on.

    Args:
        level: debug, info, warning or error.
        stream: Usually stderr.

    Returns:
        The handler, for `stop_log`.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log = logging.getLogger(NAME)
    log.addHandler(handler)
    log.setLevel(level.upper())
    log.propagate = False
    return handler


def stop_log(handler: logging.Handler) -> None:
    """Undo `start_log`."""
    log = logging.getLogger(NAME)
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)
    log.propagate = True
    handler.close()


class _OneLine(logging.Formatter):
    """One event, one line, in printable characters; an exception follows as escaped text.

    An error that people can be told about follows as its message; its stack would say nothing
    more about a full disk.
    """

    def formatException(self, ei: Any) -> str:
        """Return what is told of an exception."""
        error = ei[1]
        return error.message if isinstance(error, SkillSpaceError) else super().formatException(ei)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = star_passwords(super().format(record))
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
