"""Tasks as their owners see them: submit, look, follow, cancel, retry.

Every face and every other service comes through here. A task belongs to whoever submitted
it; others need `ai:task:view` or `ai:task:cancel`.
"""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import insert, select, update

from skillspace.core.accounts.permissions import require
from skillspace.core.clock import Clock
from skillspace.core.db.engine import Connection, Database
from skillspace.core.db.tables import tasks
from skillspace.core.errors import Conflict, InvalidInput, NotFound
from skillspace.core.events import CANCELLED, Event
from skillspace.core.ports import EventLog
from skillspace.core.tasks import outbox
from skillspace.core.tasks.ending import close_from_row, remove
from skillspace.core.tasks.leases import claim_of
from skillspace.core.tasks.outbox import Relay
from skillspace.core.tasks.reader import Reader
from skillspace.core.tasks.recovery import Recovery
from skillspace.core.tasks.registry import Registry
from skillspace.core.tasks.runner import Runner
from skillspace.core.tasks.values import (
    ENDED,
    RUNNING,
    WAITING,
    Outcome,
    TaskFailure,
    TaskView,
)
from skillspace.core.text import t
from skillspace.core.values import Actor, Json

T = TypeVar("T")

LIST_LIMIT: Final = 1000
TASK_ID_CHARACTERS: Final = 36

# Built once: making a statement costs as much as running it.
_NEW_TASK: Final = insert(tasks)


class Submission:
    """A write transaction that may submit tasks; their hints go out after its commit."""

    def __init__(self, connection: Connection, registry: Registry, clock: Clock) -> None:
        self.connection = connection
        self.hints: list[tuple[str, str]] = []
        self._registry = registry
        self._clock = clock

    async def together(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do work that awaits nothing but this transaction, in one change of thread."""
        outer = self.connection

        async def directly(connection: Connection) -> T:
            self.connection = connection
            try:
                return await work()
            finally:
                self.connection = outer

        return await outer.together(directly)

    async def submit(
        self,
        actor: Actor,
        kind: str,
        payload: dict[str, Json],
        *,
        task_id: str | None = None,
        retry_of: str | None = None,
    ) -> str:
        """Write a task and its hint; they exist once the transaction commits.

        Args:
            actor: Becomes the owner.
            kind: A registered task type.
            payload: What its payload struct decodes from; small, for large things give an id.
            task_id: A fresh UUID; None makes one.
            retry_of: The task that this one repeats.

        Returns:
            The new task's id, a UUID.

        Raises:
            Denied: The actor lacks the type's permission.
            InvalidInput: There is no such type.
        """
        task_type = self._registry.get(kind)
        require(actor, task_type.permission)
        task_id = task_id or str(uuid.uuid4())
        now = self._clock.now()
        row = {
            "id": task_id,
            "kind": kind,
            "queue": task_type.queue,
            "owner_id": actor.user_id,
            "state": "PENDING",
            "payload": payload,
            "retry_of": retry_of,
            "created_at": now,
            "available_at": now,
        }
        await self.connection.execute(_NEW_TASK, row)
        await outbox.add(self.connection, task_type.queue, task_id, now)
        self.hints.append((task_type.queue, task_id))
        return task_id


class TaskService:
    """The rules of durable work.

    Args:
        database: Where tasks are.
        log: Where their events are.
        registry: The kinds there are.
        relay: Takes hints to the queue.
        reader: Follows logs.
        recovery: Tells whether a task's process lives.
        clock: For rows.
        runner: This process's own, to cancel at once what runs here; None in a process that
            runs nothing.
    """

    def __init__(
        self,
        database: Database,
        log: EventLog,
        registry: Registry,
        *,
        relay: Relay,
        reader: Reader,
        recovery: Recovery,
        clock: Clock,
        runner: Runner | None,
    ) -> None:
        self._database = database
        self._log = log
        self._registry = registry
        self._relay = relay
        self._reader = reader
        self._recovery = recovery
        self._clock = clock
        self._runner = runner

    @property
    def running_here(self) -> int:
        """How many tasks run in this process; closing the app would hand them over."""
        return 0 if self._runner is None else len(self._runner.running_ids)

    async def drain(self) -> None:
        """Begin nothing more in this process and wait for what runs in it."""
        if self._runner is not None:
            await self._runner.drain()

    @asynccontextmanager
    async def submitting(self) -> AsyncIterator[Submission]:
        """Open a write transaction in which tasks may be submitted beside other changes."""
        async with self._database.write() as connection:
            submission = Submission(connection, self._registry, self._clock)
            yield submission
        for queue, task_id in submission.hints:
            await self._relay.give(queue, task_id)

    async def get(self, actor: Actor, task_id: str) -> TaskView:
        """Return one task.

        Args:
            actor: The owner, or one with `ai:task:view`.
            task_id: A UUID, or the first characters of one if only one task begins so.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        return self._view(await self._find(actor, task_id, "ai:task:view"))

    async def look_after(self, actor: Actor, task_id: str) -> TaskView:
        """Return one task, brought home first if the process that ran it is dead.

        What it had done is where it belongs then; or it waits to be run again.

        Args:
            actor: The owner, or one with `ai:task:view`.
            task_id: As `get`.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        row = await self._find(actor, task_id, "ai:task:view")
        if row.state in RUNNING:
            await self._recovery.recover_if_dead(row.id)
        return await self.get(actor, row.id)

    async def list(
        self,
        actor: Actor,
        *,
        states: Sequence[str] = (),
        kinds: Sequence[str] = (),
        limit: int = 20,
        everybody: bool = False,
    ) -> list[TaskView]:
        """Return tasks, newest first.

        Args:
            actor: Sees their own tasks.
            states: Only these; empty for all.
            kinds: Only these; empty for all.
            limit: 1–1000.
            everybody: All users' tasks; needs `ai:task:view`.
        """
        if not 1 <= limit <= LIST_LIMIT:
            raise InvalidInput(t("A list has from 1 to {limit} rows.", limit=LIST_LIMIT))
        query = select(tasks).order_by(tasks.c.created_at.desc(), tasks.c.id).limit(limit)
        if everybody:
            require(actor, "ai:task:view")
        else:
            query = query.where(tasks.c.owner_id == actor.user_id)
        if states:
            query = query.where(tasks.c.state.in_(states))
        if kinds:
            query = query.where(tasks.c.kind.in_(kinds))
        async with self._database.read() as connection:
            return [self._view(row) for row in await connection.execute(query)]

    async def follow(
        self, actor: Actor, task_id: str, after: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Yield a task's events with seq > after as they come, up to the terminal one.

        Raises:
            NotFound: There is no such task, or it is somebody else's.
            NotReplayable: Its log is past its time to live.
        """
        row = await self._find(actor, task_id, "ai:task:view")
        # Whoever stops watching half-way is no longer listened for at once.
        is_new = row.state in WAITING
        async with aclosing(self._reader.follow(row.id, after, is_new=is_new)) as events:
            async for event in events:
                yield event

    async def cancel(self, actor: Actor, task_id: str) -> TaskView:
        """Ask a task to stop: at once if it has not begun, else within one step of its work.

        What it has done is kept. Returns the task as it is after the wish was written; the
        terminal event comes through `follow`.

        Raises:
            NotFound: There is no such task, or it is somebody else's.
            Conflict: It has already ended.
        """
        row = await self._find(actor, task_id, "ai:task:cancel")
        now = self._clock.now()
        failure = TaskFailure(code="cancelled", message=t("Cancelled before it began."))
        outcome = Outcome(state="REVOKED", event=CANCELLED, failure=failure)
        async with self._database.write() as connection:
            this = tasks.c.id == row.id
            revoked = await connection.execute(
                update(tasks)
                .where(this, tasks.c.state.in_(WAITING))
                .values(
                    state="REVOKED",
                    fence=tasks.c.fence + 1,
                    error=failure,
                    finished_at=now,
                    cancel_requested_at=now,
                )
            )
            if revoked.rowcount == 1:
                await outbox.remove(connection, row.id)
                claim = claim_of((await connection.execute(select(tasks).where(this))).one())
                if row.kind in self._registry:
                    await self._registry.get(row.kind).settle(connection, claim, outcome, now)
            else:
                wished = await connection.execute(
                    update(tasks)
                    .where(this, tasks.c.state.in_(RUNNING))
                    .values(cancel_requested_at=now)
                )
                if wished.rowcount != 1:
                    raise Conflict(
                        t("Task {task} has already ended.", task=row.id),
                        hint=t("See how: skillspace task show {task}", task=row.id),
                    )
        if revoked.rowcount == 1:
            await close_from_row(self._database, self._log, row.id)
        elif self._runner is None or not self._runner.cancel(row.id):
            # A process that died no longer hears the wish.
            await self._recovery.recover_if_dead(row.id)
        return await self.get(actor, row.id)

    async def retry(self, actor: Actor, task_id: str) -> TaskView:
        """Submit an ended task's work again, as a new task that names the old one.

        Somebody else's task stays theirs; to retry it takes `ai:task:view` as well.

        Raises:
            Denied: It is somebody else's and the actor may not view it.
            NotFound: There is no such task, or it is somebody else's.
            Conflict: It has not ended, or it succeeded.
        """
        row = await self._find(actor, task_id, "ai:task:retry")
        owner = actor
        if row.owner_id != actor.user_id:
            require(actor, "ai:task:view")
            owner = msgspec.structs.replace(actor, user_id=row.owner_id)
        if row.state not in ENDED or row.state == "SUCCESS":
            raise Conflict(
                t(
                    "Task {task} is {state}; only a failed or cancelled one can be retried.",
                    task=row.id,
                    state=row.state,
                )
            )
        new_id = str(uuid.uuid4())
        async with self.submitting() as submission:
            payload = await self._registry.get(row.kind).prepare_retry(
                submission.connection, claim_of(row), new_id, self._clock.now()
            )
            await submission.submit(owner, row.kind, payload, task_id=new_id, retry_of=row.id)
        return await self.get(actor, new_id)

    async def forget(self, actor: Actor, task_id: str) -> None:
        """Remove an ended task that nobody keeps, such as an unsaved chat, without a trace.

        Raises:
            NotFound: There is no such task, or it is somebody else's.
            Conflict: It has not ended, or it belongs to something that is kept.
        """
        row = await self._find(actor, task_id, "ai:task:cancel")
        if row.state not in ENDED:
            raise Conflict(t("Task {task} has not ended.", task=row.id))
        if row.kind not in self._registry or self._registry.get(row.kind).is_kept(row.payload):
            raise Conflict(t("Task {task} belongs to something that is kept.", task=row.id))
        await close_from_row(self._database, self._log, row.id)
        await remove(self._database, self._log, row.id)

    async def _find(self, actor: Actor, task_id: str, permission: str) -> Any:
        """Find a task the actor may touch; a foreign one looks like none at all."""
        # A whole id is looked up by the key; only a beginning makes the database search.
        is_whole = len(task_id) == TASK_ID_CHARACTERS
        same = tasks.c.id == task_id
        if not is_whole:
            same = tasks.c.id.startswith(task_id, autoescape=True)
        query = select(tasks).where(same).limit(2)
        if not (actor.is_superuser or permission in actor.permissions):
            query = query.where(tasks.c.owner_id == actor.user_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all() if task_id else []
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise NotFound(
                t("More than one task begins with {task}.", task=task_id),
                hint=t("Give more characters of the id."),
            )
        raise NotFound(
            t("There is no task {task}.", task=task_id),
            hint=t("See what there is: skillspace task list"),
        )

    def _view(self, row: Any) -> TaskView:
        is_alive = None
        if row.state in RUNNING and row.lease_owner is not None:
            is_alive = self._recovery.is_alive(row)
        return TaskView(
            id=row.id,
            kind=row.kind,
            queue=row.queue,
            owner_id=row.owner_id,
            state=row.state,
            meta=row.meta,
            result=row.result,
            error=None if row.error is None else msgspec.convert(row.error, TaskFailure),
            attempt=row.attempt,
            deaths=row.deaths,
            retry_of=row.retry_of,
            cancel_requested_at=row.cancel_requested_at,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            is_alive=is_alive,
        )
