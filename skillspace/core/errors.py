"""Every error SkillSpace raises on purpose, drawn as one tree.

Each class has a stable `code` that programs may rely on. Nothing here knows of exit
codes or HTTP: `cli/exits.py` reads along this hierarchy.

    SkillSpaceError                 failed
    ├── InvalidInput                invalid_input     what was given cannot be used
    │   ├── SettingsError           settings          a key, value or URL in the settings
    │   ├── PromptTooLong           prompt_too_long   more tokens than the model reads
    │   └── NotAModel               not_a_model       a folder or file that is no usable model
    ├── Unavailable                 unavailable       a part that is needed does not answer
    │   ├── DatabaseUnavailable     database_unavailable
    │   ├── EngineUnavailable       engine_unavailable
    │   ├── MissingExtra            missing_extra     an optional dependency is not installed
    │   ├── StorageUnavailable      storage_unavailable   read-only or full disk
    │   └── SchemaNotCurrent        schema_not_current    run `skillspace db upgrade`
    ├── Denied                      denied
    ├── NotFound                    not_found
    │   └── NotReplayable           not_replayable    a log past its time to live
    ├── Conflict                    conflict
    │   ├── LeaseLost               lease_lost        another writer holds this task
    │   └── SchemaTooNew            schema_too_new    database written by a newer SkillSpace
    ├── TimedOut                    timed_out
    ├── Interrupted                 interrupted       the process that did the work died
    ├── Cancelled                   cancelled         somebody asked for it to stop
    ├── Poisoned                    poison            set aside after killing its processes
    └── Temporary                   temporary         worth trying again after delay_s
"""

from collections.abc import Iterator


class SkillSpaceError(Exception):
    """Something went wrong that a person can be told about.

    Args:
        message: One sentence that names the thing and the place, already in the reader's
            language.
        hint: What to do about it, one sentence or a command; empty when there is nothing.
        evidence: Plain values for programs (`--json`), such as ids, paths and limits.
    """

    code = "failed"

    def __init__(self, message: str, *, hint: str = "", **evidence: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.evidence = evidence


class InvalidInput(SkillSpaceError):
    """What was given cannot be used."""

    code = "invalid_input"


class SettingsError(InvalidInput):
    """A setting has an unknown name, a wrong value or a bad URL."""

    code = "settings"


class PromptTooLong(InvalidInput):
    """The prompt alone has more tokens than the model can read."""

    code = "prompt_too_long"


class NotAModel(InvalidInput):
    """A folder or file is not a model that can be loaded."""

    code = "not_a_model"


class Unavailable(SkillSpaceError):
    """A part that is needed does not answer."""

    code = "unavailable"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached or opened."""

    code = "database_unavailable"


class EngineUnavailable(Unavailable):
    """The engine that generates text cannot be reached or loaded."""

    code = "engine_unavailable"


class MissingExtra(Unavailable):
    """An optional dependency is not installed; the hint holds the install command."""

    code = "missing_extra"


class StorageUnavailable(Unavailable):
    """A folder cannot be written: read-only, full, or not ours."""

    code = "storage_unavailable"


class SchemaNotCurrent(Unavailable):
    """The database's tables are older than this version and are not upgraded by themselves."""

    code = "schema_not_current"


class Denied(SkillSpaceError):
    """The actor lacks the permission, or the object is somebody else's."""

    code = "denied"


class NotFound(SkillSpaceError):
    """There is no such thing, or none that the actor may see."""

    code = "not_found"


class NotReplayable(NotFound):
    """An event log is past its time to live and the offset asked for is gone."""

    code = "not_replayable"


class Conflict(SkillSpaceError):
    """The thing is in a state that does not allow this, or somebody else changed it first."""

    code = "conflict"


class LeaseLost(Conflict):
    """Another writer holds the task now; what this one has left to say is not wanted."""

    code = "lease_lost"


class SchemaTooNew(Conflict):
    """The database was written by a newer SkillSpace."""

    code = "schema_too_new"


class TimedOut(SkillSpaceError):
    """It took longer than was allowed."""

    code = "timed_out"


class Interrupted(SkillSpaceError):
    """The process that did the work died; what it had done is kept."""

    code = "interrupted"


class Cancelled(SkillSpaceError):
    """Somebody asked for it to stop; what was done is kept."""

    code = "cancelled"


class Poisoned(SkillSpaceError):
    """A task killed every process that ran it and was set aside."""

    code = "poison"


class Temporary(SkillSpaceError):
    """It failed for now; a task that raises this is tried again.

    Args:
        message: What failed.
        delay_s: Seconds to wait before the next attempt.
    """

    code = "temporary"

    def __init__(self, message: str, *, delay_s: float = 1.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.delay_s = delay_s


def every_error() -> Iterator[type[SkillSpaceError]]:
    """Yield the class at the root and every class below it."""
    pending = [SkillSpaceError]
    while pending:
        error = pending.pop()
        yield error
        pending.extend(error.__subclasses__())


def error_class(code: str) -> type[SkillSpaceError]:
    """Return the class with this code; the root class for a code nobody knows (a newer writer)."""
    return next((error for error in every_error() if error.code == code), SkillSpaceError)
