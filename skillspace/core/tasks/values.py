"""What a task is to everyone outside its row: states, views, outcomes."""

from datetime import datetime
from typing import Final, Literal

from skillspace.core.errors import SkillSpaceError, error_class
from skillspace.core.events import ERROR, FINISH, Event
from skillspace.core.text import t
from skillspace.core.values import Json, Value

TaskState = Literal["PENDING", "STARTED", "PROGRESS", "SUCCESS", "FAILURE", "RETRY", "REVOKED"]
WAITING: Final = ("PENDING", "RETRY")
RUNNING: Final = ("STARTED", "PROGRESS")
ENDED: Final = ("SUCCESS", "FAILURE", "REVOKED")


class TaskFailure(Value, frozen=True, kw_only=True):
    """Why a task failed, in a form that survives a database and a version.

    Args:
        code: The stable code of an error class.
        message: One sentence.
        hint: What to do about it; may be empty.
    """

    code: str
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: SkillSpaceError) -> "TaskFailure":
        """Describe an error."""
        return cls(code=error.code, message=error.message, hint=error.hint)

    @classmethod
    def told_by(cls, last: Event) -> "TaskFailure | None":
        """Read from a task's last event why it did not succeed; None if it did."""
        if not last.is_terminal or last.type == FINISH:
            return None
        told = last.payload
        # The other types are called as the errors they tell of.
        code = told.get("code") or ("failed" if last.type == ERROR else last.type)
        message = told.get("message") or t("The task ended without saying why.")
        return cls(code=str(code), message=str(message), hint=str(told.get("hint") or ""))

    def as_error(self) -> SkillSpaceError:
        """Return the error again, of the class its code names."""
        kind = error_class(self.code)
        error = kind(self.message)
        error.hint = self.hint
        return error


class TaskView(Value, frozen=True, kw_only=True):
    """A task as its owner sees it.

    Args:
        meta: Progress so far, such as `{"current": 1, "total": 3}`.
        attempt: 0 before the first start.
        is_alive: For a running task, whether its process lives; None when that cannot be
            told from here, or when it is not running.
    """

    id: str
    kind: str
    queue: str
    owner_id: int
    state: TaskState
    meta: dict[str, Json] | None
    result: dict[str, Json] | None
    error: TaskFailure | None
    attempt: int
    deaths: int
    retry_of: str | None
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    is_alive: bool | None = None

    @property
    def has_ended(self) -> bool:
        """Whether this is the task's last state."""
        return self.state in ENDED


class Claim(Value, frozen=True, kw_only=True):
    """The right to run one attempt of a task: whoever holds the highest fence may write."""

    task_id: str
    kind: str
    owner_id: int
    fence: int
    attempt: int
    payload: dict[str, Json]


class Outcome(Value, frozen=True, kw_only=True):
    """How a task ended, given to its type's `settle` inside the final transaction.

    Args:
        state: SUCCESS, FAILURE or REVOKED.
        event: Type of the terminal event: finish, error, cancelled, interrupted.
        answer: All answer text in the log, joined.
        thinking: All thinking text in the log, joined.
        result: What the handler returned; on success only.
        failure: Why, unless it succeeded.
    """

    state: TaskState
    event: str
    answer: str = ""
    thinking: str = ""
    result: dict[str, Json] | None = None
    failure: TaskFailure | None = None
