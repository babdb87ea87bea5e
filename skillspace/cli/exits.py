"""Exit codes: one small table, read along the hierarchy of errors.

Read by `cli.run`, and by `scripts/generate` for the reference. A class without a row has the
code of its nearest parent with one.
"""

from enum import IntEnum
from typing import Final

from skillspace.core.errors import (
    Cancelled,
    Conflict,
    Denied,
    InvalidInput,
    NotFound,
    SkillSpaceError,
    Temporary,
    TimedOut,
    Unavailable,
)


class Exit(IntEnum):
    """What a command's exit code says; scripts may rely on it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    DENIED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    TIMED_OUT = 124
    INTERRUPTED = 130


MEANINGS: Final = {
    Exit.OK: "it worked",
    Exit.FAILED: "it failed, for a reason without a code of its own",
    Exit.USAGE: "the command line, a setting or an input cannot be used",
    Exit.UNAVAILABLE: "a part that is needed does not answer: database, model, disk, an extra",
    Exit.DENIED: "a permission is missing",
    Exit.NOT_FOUND: "there is no such thing",
    Exit.CONFLICT: "the thing is in a state that does not allow this",
    Exit.TIMED_OUT: "it took longer than was allowed",
    Exit.INTERRUPTED: "it was stopped by Ctrl-C or cancelled; what was done is kept",
}

EXITS: Final[dict[type[SkillSpaceError], Exit]] = {
    SkillSpaceError: Exit.FAILED,
    InvalidInput: Exit.USAGE,
    Unavailable: Exit.UNAVAILABLE,
    Temporary: Exit.UNAVAILABLE,
    Denied: Exit.DENIED,
    NotFound: Exit.NOT_FOUND,
    Conflict: Exit.CONFLICT,
    TimedOut: Exit.TIMED_OUT,
    Cancelled: Exit.INTERRUPTED,
}


def exit_code(error: type[SkillSpaceError]) -> Exit:
    """Return the exit code of an error's class: its own row, or its nearest parent's."""
    return next(EXITS[parent] for parent in error.__mro__ if parent in EXITS)
