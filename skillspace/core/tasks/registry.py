"""The task types there are. A new one is one file in `core/jobs/` and one line in `core/app.py`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

import msgspec

from skillspace.core.db.engine import Connection
from skillspace.core.errors import InvalidInput
from skillspace.core.tasks.values import Claim, Outcome
from skillspace.core.text import t
from skillspace.core.values import Json


class TaskContext(Protocol):
    """What a running handler may do."""

    claim: Claim

    async def emit(self, type_: str, payload: dict[str, Json]) -> None:
        """Add an event to the task's log; waits while the log is more than 64 events behind."""
        ...

    async def progress(self, current: int, total: int) -> None:
        """Say how far the work is: an event, and the row's `meta`."""
        ...


class TaskType(Protocol):
    """One kind of durable work.

    Attributes:
        kind: Name in rows and commands, such as `chat`.
        queue: Where it waits: default, generation, render.
        permission: What the submitter must hold.
        payload: Struct that the row's payload decodes to; must tolerate unknown fields.
        is_repeatable: Whether an attempt that already emitted text may simply be run again;
            then several attempts may follow each other in one log.
    """

    kind: str
    queue: str
    permission: str
    is_repeatable: bool

    @property
    def payload(self) -> type[msgspec.Struct]:
        """Return the struct that the row's payload decodes to."""
        ...

    async def run(self, context: TaskContext, payload: Any) -> dict[str, Json]:
        """Do the work and return its result.

        Runs again after a crash: every effect must be safe to repeat. Raises Temporary to be
        tried again, any other SkillSpaceError to fail for good.
        """
        ...

    async def settle(
        self, connection: Connection, claim: Claim, outcome: Outcome, now: datetime
    ) -> None:
        """Write what the end of the task changes, in the transaction that ends it."""
        ...

    async def prepare_retry(
        self, connection: Connection, claim: Claim, new_task_id: str, now: datetime
    ) -> dict[str, Json]:
        """Return the payload for doing an ended task's work again, making room for its result.

        Called in the transaction that submits the new task.

        Raises:
            Conflict: What has happened since leaves no place for it.
        """
        ...

    def is_kept(self, payload: dict[str, Json]) -> bool:
        """Say whether an ended task stays in its owner's list; others go once they were read."""
        ...


class Registry:
    """Task types by kind.

    Args:
        types: All there are; two with one kind are a mistake that shows at start.
    """

    def __init__(self, types: Iterable[TaskType]) -> None:
        self._types: dict[str, TaskType] = {}
        for task_type in types:
            if task_type.kind in self._types:
                raise ValueError(f"two task types are called {task_type.kind}")
            self._types[task_type.kind] = task_type

    def __contains__(self, kind: str) -> bool:
        return kind in self._types

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds, in order of registration."""
        return tuple(self._types)

    def get(self, kind: str) -> TaskType:
        """Return the type of this kind.

        Raises:
            InvalidInput: There is none, here and in this version.
        """
        try:
            return self._types[kind]
        except KeyError:
            raise InvalidInput(
                t("There is no task type {kind}.", kind=kind),
                hint=t("Known types: {kinds}.", kinds=", ".join(self._types)),
            ) from None
